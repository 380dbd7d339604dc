"""How far a worker is, as Kafka and Kinesis know it; asked often, so over connections that stay."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from processor.foundation.settings import Settings
from processor.kafka.connection import consumer_config
from processor.sandbox.endpoint import StreamReader
from schemas.flow import Flow

ANSWER_SECONDS: Final = 10.0


class State(NamedTuple):
    """Offsets of `profile-events` and `exports`, each summed over its partitions, and records in the streams.

    Ends count what was ever written, and a broker's markers of transactions too.
    """

    events_committed: int
    events_end: int
    exports_committed: int
    exports_end: int
    delivered: int

    @property
    def is_caught_up(self) -> bool:
        """Whether the worker's group has nothing left to do."""
        return self.events_committed >= self.events_end and self.exports_committed >= self.exports_end

    @property
    def short(self) -> str:
        """Few words, for a line that changes."""
        return f"{self.events_committed:,} of {self.events_end:,} events, {self.delivered:,} records in the streams"


class Progress:
    """Looks at the group `app_id`, the topics and the streams, while the context lasts. Never joins the group."""

    def __init__(self, settings: Settings, endpoint_url: str, flows: Sequence[Flow]) -> None:
        self._settings = settings
        self._consumer = Consumer(consumer_config(settings, settings.app_id))
        places = [flow.destination for flow in flows]
        self._streams = [StreamReader(endpoint_url, place.region, place.stream) for place in places]
        self._delivered = 0

    def look(self) -> State:
        """The state now. Raises KafkaException or botocore's errors when nobody answers."""
        topics = self._settings.topics
        self._delivered += sum(len(stream.read_on()) for stream in self._streams)
        return State(*self._offsets(topics.profile_events), *self._offsets(topics.exports), self._delivered)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _offsets(self, topic: str) -> tuple[int, int]:
        places = [TopicPartition(topic, partition) for partition in range(self._settings.partitions)]
        committed = self._consumer.committed(places, timeout=ANSWER_SECONDS)
        return sum(max(0, place.offset) for place in committed), sum(self._end(place) for place in places)

    def _end(self, place: TopicPartition) -> int:
        bounds = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        return int(bounds[1]) if bounds is not None else 0
