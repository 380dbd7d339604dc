"""Topics on the broker: create what is missing, compare with what should be, require it.

The embedded broker knows neither CreateTopics nor DescribeConfigs (it names a controller that is none of its brokers):
the answers then say `unsupported` and the caller goes on.
"""

import time
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

from processor.foundation.settings import Settings
from processor.kafka.connection import confluent_config
from processor.kafka.errors import BrokerUnreachable, LoginRefused, SettingsRefused, TopicsMissing, WrongPartitionCounts
from processor.kafka.topics import TopicSpec

ANSWER_SECONDS: Final = 10.0
_TRY_SECONDS: Final = 1.0
_VISIBLE_POLL_SECONDS: Final = 0.02
_LOGIN: Final = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM}
)
_TRIES_WHEN_REFUSED: Final = 2  # a refused connection is no slow network


class TopicOutcome(StrEnum):
    """An outcome of `create_missing` for one topic."""

    CREATED = "created"
    PRESENT = "present"
    UNSUPPORTED = "not supported by this broker"
    FAILED = "failed"


class TopicResult(NamedTuple):
    """The outcome for one topic; `text` explains a failure."""

    topic: str
    outcome: TopicOutcome
    text: str = ""


class ConfigDifference(NamedTuple):
    """A topic's configuration is not what correctness rests on."""

    topic: str
    name: str
    found: str
    wanted: str


class TopicConfigs(NamedTuple):
    """The configurations in force of topics, defaults included, by topic.

    Of the topics `denied` we may not ask (DescribeConfigs).
    """

    found: Mapping[str, Mapping[str, str]]
    denied: tuple[str, ...] = ()


class Differences(NamedTuple):
    """The differences of topics' configurations from what they should be; those `denied` could not be compared."""

    found: list[ConfigDifference]
    denied: tuple[str, ...] = ()


class Admin:
    """A connection for questions about topics.

    Every call raises BrokerUnreachable when nobody answers in `answer_seconds`, or lets us in; the constructor raises
    SettingsRefused, NoTokenForKafka.
    """

    def __init__(self, settings: Settings, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._settings = settings
        self._seconds = answer_seconds
        self._last_error: KafkaError | None = None
        self._refused = False
        try:
            self._client = AdminClient(dict[str, Any](confluent_config(settings), error_cb=self._note))
        except KafkaException as error:
            raise SettingsRefused(error.args[0].str()) from None

    def partition_counts(self) -> dict[str, int]:
        """Return every topic on the broker and how many partitions it has."""
        return {name: len(topic.partitions) for name, topic in self._metadata().topics.items()}

    def create_missing(self, specs: Sequence[TopicSpec]) -> list[TopicResult]:
        """Create the topics that are not there; never changes one that is.

        What it created can be used when it returns.
        """
        metadata = self._metadata()
        missing = [spec for spec in specs if spec.name not in metadata.topics]
        outcomes = (
            self._create(missing) if has_controller(metadata) else {spec.name: _unsupported(spec) for spec in missing}
        )
        self._wait_until_led([name for name, result in outcomes.items() if result.outcome is TopicOutcome.CREATED])
        return [outcomes.get(spec.name, TopicResult(spec.name, TopicOutcome.PRESENT)) for spec in specs]

    def require(self, specs: Sequence[TopicSpec]) -> None:
        """Raise TopicsMissing or WrongPartitionCounts unless all are there as they should be (configuration aside)."""
        counts = self.partition_counts()
        if missing := [spec.name for spec in specs if spec.name not in counts]:
            raise TopicsMissing(missing)
        if wrong := wrong_counts(specs, counts):
            raise WrongPartitionCounts(wrong)

    def differences(self, specs: Sequence[TopicSpec]) -> Differences | None:
        """Compare the topics that are there with how they should be; None where the broker cannot tell."""
        topics = self._metadata().topics
        return differences_of(specs, self.configs([spec.name for spec in specs if spec.config and spec.name in topics]))

    def config(self, topic: str) -> Mapping[str, str] | None:
        """Return a topic's configuration in force, defaults included; None where the broker does not tell us."""
        configs = self.configs([topic])
        return None if configs is None else configs.found.get(topic)

    def configs(self, topics: Sequence[str]) -> TopicConfigs | None:
        """Return the configurations of topics; None where the broker cannot tell, as the embedded one."""
        if not has_controller(self._metadata()):
            return None
        if not topics:
            return TopicConfigs({})
        asked = self._client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in topics], request_timeout=self._seconds
        )
        answers = {resource.name: self._answer(future) for resource, future in asked.items()}
        found = {name: answer for name, answer in answers.items() if answer is not None}
        return TopicConfigs(found, tuple(name for name, answer in answers.items() if answer is None))

    def _wait_until_led(self, topics: Sequence[str]) -> None:
        """Wait until a broker names a leader of every partition, as long as for an answer.

        The controller answers before the brokers know.
        """
        deadline = time.monotonic() + self._seconds
        while topics and not _all_led(self._metadata(), topics) and time.monotonic() < deadline:
            time.sleep(_VISIBLE_POLL_SECONDS)

    def _create(self, specs: Sequence[TopicSpec]) -> dict[str, TopicResult]:
        if not specs:
            return {}
        new = [
            NewTopic(
                spec.name, spec.partitions, self._settings.replication_factor, config={**spec.config, **spec.initial}
            )
            for spec in specs
        ]
        return {
            name: self._creation(name, future)
            for name, future in self._client.create_topics(new, request_timeout=self._seconds).items()
        }

    def _creation(self, name: str, future: Any) -> TopicResult:
        try:
            future.result()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:  # somebody was faster
                return TopicResult(name, TopicOutcome.PRESENT)
            return TopicResult(name, TopicOutcome.FAILED, reason.str())
        return TopicResult(name, TopicOutcome.CREATED)

    def _answer(self, future: Any) -> Mapping[str, str] | None:
        try:
            return {name: str(entry.value) for name, entry in future.result().items()}
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return None
            raise BrokerUnreachable(self._settings, reason.str()) from None

    def _metadata(self) -> ClusterMetadata:
        tries = max(1, int(self._seconds / _TRY_SECONDS))
        for number in range(1, tries + 1):
            try:
                metadata = self._client.list_topics(timeout=_TRY_SECONDS)
            except KafkaException as error:
                self._client.poll(0)
                reason = (self._last_error or error.args[0]).str()
                if self._refused and number >= _TRIES_WHEN_REFUSED:
                    break
            else:
                if metadata.brokers:
                    return metadata
                reason = "it is starting: it listens, and knows of no broker yet"
                time.sleep(_TRY_SECONDS)
        if self._last_error is not None and self._last_error.code() in _LOGIN:
            raise LoginRefused(self._settings, reason)
        raise BrokerUnreachable(self._settings, reason)

    def _note(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._refused = True
        else:
            self._last_error = error


def differences_of(specs: Sequence[TopicSpec], told: TopicConfigs | None) -> Differences | None:
    """Compare topics' configurations with how they should be; None where the broker cannot tell."""
    if told is None:
        return None
    wanted = {spec.name: spec for spec in specs if spec.config}
    found = [each for name, config in told.found.items() if name in wanted for each in _compare(wanted[name], config)]
    return Differences(found, tuple(name for name in told.denied if name in wanted))


def wrong_counts(specs: Sequence[TopicSpec], counts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return topic → (partitions found, wanted), of topics that are there with another number."""
    return {
        spec.name: (counts[spec.name], spec.partitions)
        for spec in specs
        if counts.get(spec.name, spec.partitions) != spec.partitions
    }


def has_controller(metadata: ClusterMetadata) -> bool:
    """Return whether the broker answers an operator's questions.

    The embedded one names a controller that is none of its brokers, and does not.
    """
    return metadata.controller_id in metadata.brokers


def _all_led(metadata: ClusterMetadata, topics: Sequence[str]) -> bool:
    return all(
        name in metadata.topics
        and all(partition.leader in metadata.brokers for partition in metadata.topics[name].partitions.values())
        for name in topics
    )


def _unsupported(spec: TopicSpec) -> TopicResult:
    return TopicResult(spec.name, TopicOutcome.UNSUPPORTED, "topics are named when it starts")


def _compare(spec: TopicSpec, found: Mapping[str, str]) -> list[ConfigDifference]:
    values = {name: found.get(name, "unknown") for name in spec.config}
    return [
        ConfigDifference(spec.name, name, values[name], wanted)
        for name, wanted in spec.config.items()
        if values[name] != wanted
    ]
