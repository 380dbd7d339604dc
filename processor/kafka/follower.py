"""Topics read on and on: each time what is new, up to the ends of that moment."""

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from processor.foundation.settings import Settings
from processor.kafka.connection import Properties, consumer_config
from processor.kafka.errors import ReadFailed
from processor.kafka.log_ends import log_bounds, partitions_of
from processor.kafka.messages import NO_PARTITION, as_record, next_position
from schemas.kafka import ReadRecord

STALL_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
_MOST_MESSAGES: Final = 1000

Place = tuple[str, int]
"""A topic and a partition of it."""


class TopicFollower:
    """A reader of topics that goes on where it was; it begins when it is first asked, at the log starts.

    For one thread at a time. `purpose` stands in the name of its group, which commits nothing; `client`: properties of
    librdkafka beside ours.
    """

    def __init__(
        self,
        settings: Settings,
        *topics: str,
        purpose: str = "reader",
        client: Properties | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._settings, self._topics = settings, topics
        self._properties = consumer_config(settings, f"{settings.app_id}-{purpose}")
        self._client = client or {}
        self._stall_seconds = stall_seconds
        self._consumers: tuple[Consumer, Consumer] | None = None
        self._positions: dict[Place, int] = {}

    @property
    def is_new(self) -> bool:
        """Return whether the next records are the first."""
        return self._consumers is None

    def log_start(self, topic: str, partition: int) -> int:
        """Return the log start offset of a partition; raises BrokerUnreachable."""
        _, asker = self._consumers or self._begin()
        return log_bounds(self._settings, asker, topic, partition)[0]

    def read_on(self) -> list[ReadRecord]:
        """Return what is new up to the ends of now, in order within each partition.

        Raises as `read_topic` does; whoever asks again begins anew, at the log starts.
        """
        try:
            return list(self.iterate())
        except BaseException:
            self.close()
            raise

    def iterate(self) -> Iterator[ReadRecord]:
        """Yield what is new up to the ends of now, in order within each partition.

        Raises as `read_topic` does; whoever asks again goes on after the last record that was given.
        """
        consumer, asker = self._consumers or self._begin()
        ends = {place: log_bounds(self._settings, asker, *place)[1] for place in self._positions}
        last_move = time.monotonic()
        while behind := [place for place, end in ends.items() if self._positions[place] < end]:
            for message in _poll(consumer):
                last_move = time.monotonic()
                yield from self._step(message)
            if time.monotonic() - last_move > self._stall_seconds:
                raise ReadFailed(_stalled(behind, self._stall_seconds))

    def poll(self) -> Iterator[ReadRecord]:
        """Yield what has come by now, or comes within 20 ms."""
        consumer, _ = self._consumers or self._begin()
        for message in _poll(consumer):
            yield from self._step(message)

    def close(self) -> None:
        """Close the connections to the broker."""
        consumers, self._consumers, self._positions = self._consumers, None, {}
        for consumer in consumers or ():
            consumer.close()

    def _step(self, message: Message) -> Iterator[ReadRecord]:
        """Move the position to behind a message, and yield it where it is a record."""
        topic = message.topic()
        if topic not in self._topics:
            return  # about the connection, which librdkafka mends itself
        partition, position = next_position(message)
        if partition == NO_PARTITION:
            return
        self._positions[topic, partition] = max(self._positions[topic, partition], position)
        if message.error() is None:
            yield as_record(message)

    def _begin(self) -> tuple[Consumer, Consumer]:
        """Open two consumers, since one that fetches answers other questions only after its fetch: 50 ms."""
        consumer, asker = Consumer(self._properties | self._client), Consumer(self._properties)
        try:
            topics = {topic: partitions_of(self._settings, asker, topic) for topic in self._topics}
        except BaseException:
            consumer.close()
            asker.close()
            raise
        self._positions = {(topic, partition): 0 for topic, partitions in topics.items() for partition in partitions}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in self._positions])
        self._consumers = consumer, asker
        return self._consumers


def _poll(consumer: Consumer) -> list[Message]:
    """Return all messages that are there; `consume` alone would wait until it has as many as it was asked for."""
    first = consumer.poll(_POLL_SECONDS)
    return [] if first is None else [first, *consumer.consume(_MOST_MESSAGES, 0)]


def _stalled(behind: list[Place], seconds: float) -> str:
    topics = {topic for topic, _ in behind}
    return "; ".join(
        f"{topic}: nothing came for {seconds:.0f} s, before the end of partitions"
        f" {sorted(partition for of, partition in behind if of == topic)}"
        for topic in sorted(topics)
    )
