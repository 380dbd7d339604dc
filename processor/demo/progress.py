"""Read how far a worker is, as Kafka and Kinesis know it; often, so over connections that stay."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from processor.foundation.settings import Settings
from processor.kafka.connection import consumer_config
from processor.sandbox.streams import StreamReader
from schemas.flow import Flow

RESPONSE_SECONDS: Final = 10.0


class WorkerProgress(NamedTuple):
    """Offsets of `profile-events` and `exports`, each summed over its partitions, and records in the streams.

    Log end offsets count what was ever written, and a broker's markers of transactions too.
    """

    events_committed: int
    events_end: int
    exports_committed: int
    exports_end: int
    delivered: int

    @property
    def is_caught_up(self) -> bool:
        """Return whether the worker's group has nothing left to do."""
        return self.events_committed >= self.events_end and self.exports_committed >= self.exports_end

    @property
    def short(self) -> str:
        """Return few words, for a line that changes."""
        return f"{self.events_committed:,} of {self.events_end:,} events, {self.delivered:,} records in the streams"


class ProgressReader:
    """A reader of the group `app_id`, the topics and the streams, while the context lasts. It never joins the group."""

    def __init__(self, settings: Settings, endpoint_url: str, flows: Sequence[Flow]) -> None:
        self._settings = settings
        self._consumer = Consumer(consumer_config(settings, settings.app_id))
        destinations = [flow.destination for flow in flows]
        self._streams = [StreamReader(endpoint_url, each.region, each.stream) for each in destinations]
        self._delivered = 0

    def read(self) -> WorkerProgress:
        """Return the progress now. Raises KafkaException or botocore's errors when nobody answers."""
        topics = self._settings.topics
        self._delivered += sum(len(stream.read_on()) for stream in self._streams)
        return WorkerProgress(*self._offsets(topics.profile_events), *self._offsets(topics.exports), self._delivered)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _offsets(self, topic: str) -> tuple[int, int]:
        partitions = [TopicPartition(topic, partition) for partition in range(self._settings.partitions)]
        committed = self._consumer.committed(partitions, timeout=RESPONSE_SECONDS)
        return sum(max(0, each.offset) for each in committed), sum(self._end(each) for each in partitions)

    def _end(self, partition: TopicPartition) -> int:
        bounds = self._consumer.get_watermark_offsets(partition, timeout=RESPONSE_SECONDS)
        return int(bounds[1]) if bounds is not None else 0
