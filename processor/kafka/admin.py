"""Topics on the broker: create what is missing, compare with what should be, require it.

The embedded broker knows neither CreateTopics nor DescribeConfigs (it names a controller that is none of its brokers): the answers then say
`unsupported` and the caller goes on.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its __init__ does not list
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from processor.kafka.connection import confluent_config
from processor.kafka.errors import BrokerUnreachable, TopicsMissing, WrongPartitionCounts
from processor.kafka.topics import TopicSpec
from processor.settings import Settings

ANSWER_SECONDS: Final = 10.0
_TRY_SECONDS: Final = 1.0
_TRIES_WHEN_REFUSED: Final = 2  # a refused connection is no slow network


class TopicOutcome(StrEnum):
    """What became of a topic that `create_missing` was asked for."""

    CREATED = "created"
    PRESENT = "present"
    UNSUPPORTED = "not supported by this broker"
    FAILED = "failed"


class TopicResult(NamedTuple):
    """`text` explains a failure."""

    topic: str
    outcome: TopicOutcome
    text: str = ""


class ConfigDifference(NamedTuple):
    """A topic's configuration is not what correctness rests on."""

    topic: str
    name: str
    found: str
    wanted: str


class Admin:
    """A connection for questions about topics; every call raises BrokerUnreachable when nobody answers in 10 s."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last_error: KafkaError | None = None
        self._refused = False
        self._client = AdminClient(dict[str, Any](confluent_config(settings), error_cb=self._note))

    def partition_counts(self) -> dict[str, int]:
        """Every topic on the broker and how many partitions it has."""
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def create_missing(self, specs: Sequence[TopicSpec]) -> list[TopicResult]:
        """Create the topics that are not there; never changes one that is."""
        metadata = self._metadata()
        missing = [spec for spec in specs if spec.name not in metadata.topics]
        outcomes = self._create(missing) if _has_controller(metadata) else {spec.name: _unsupported(spec) for spec in missing}
        return [outcomes.get(spec.name, TopicResult(spec.name, TopicOutcome.PRESENT)) for spec in specs]

    def require(self, specs: Sequence[TopicSpec]) -> None:
        """Raise TopicsMissing or WrongPartitionCounts unless all are there as they should be (configuration aside)."""
        counts = self.partition_counts()
        if missing := [spec.name for spec in specs if spec.name not in counts]:
            raise TopicsMissing(missing)
        if wrong := wrong_counts(specs, counts):
            raise WrongPartitionCounts(wrong)

    def differences(self, specs: Sequence[TopicSpec]) -> list[ConfigDifference] | None:
        """What of the topics' configuration is not as it should be; None where the broker cannot tell."""
        metadata = self._metadata()
        if not _has_controller(metadata):
            return None
        present = {spec.name: spec for spec in specs if spec.config and spec.name in metadata.topics}
        asked = self._client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in present], request_timeout=ANSWER_SECONDS)
        return [found for resource, future in asked.items() for found in _compare(present[resource.name], self._answer(future))]

    def _create(self, specs: Sequence[TopicSpec]) -> dict[str, TopicResult]:
        if not specs:
            return {}
        new = [NewTopic(spec.name, spec.partitions, self._settings.replication_factor, config=dict(spec.config)) for spec in specs]
        return {name: self._creation(name, future) for name, future in self._client.create_topics(new, request_timeout=ANSWER_SECONDS).items()}

    def _creation(self, name: str, future: Any) -> TopicResult:
        try:
            future.result()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:  # somebody was faster
                return TopicResult(name, TopicOutcome.PRESENT)
            return TopicResult(name, TopicOutcome.FAILED, reason.str())
        return TopicResult(name, TopicOutcome.CREATED)

    def _answer(self, future: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = future.result()
        except KafkaException as error:
            raise BrokerUnreachable(self._settings, error.args[0].str()) from None
        return answer

    def _metadata(self) -> ClusterMetadata:
        tries = int(ANSWER_SECONDS / _TRY_SECONDS)
        for number in range(1, tries + 1):
            try:
                return self._client.list_topics(timeout=_TRY_SECONDS)
            except KafkaException as error:
                self._client.poll(0)
                reason = self._last_error or error.args[0]
                if number == tries or (self._refused and number >= _TRIES_WHEN_REFUSED):
                    raise BrokerUnreachable(self._settings, reason.str()) from None
        raise AssertionError("unreachable: the last try returns or raises")

    def _note(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._refused = True
        else:
            self._last_error = error


def wrong_counts(specs: Sequence[TopicSpec], counts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Topic → (partitions found, wanted), of those that are there with another number."""
    return {spec.name: (counts[spec.name], spec.partitions) for spec in specs if counts.get(spec.name, spec.partitions) != spec.partitions}


def _has_controller(metadata: ClusterMetadata) -> bool:
    return metadata.controller_id in metadata.brokers


def _unsupported(spec: TopicSpec) -> TopicResult:
    return TopicResult(spec.name, TopicOutcome.UNSUPPORTED, "topics are named when it starts")


def _compare(spec: TopicSpec, found: Mapping[str, Any]) -> list[ConfigDifference]:
    values = {name: str(found[name].value) if name in found else "unknown" for name in spec.config}
    return [ConfigDifference(spec.name, name, values[name], wanted) for name, wanted in spec.config.items() if values[name] != wanted]
