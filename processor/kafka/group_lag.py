"""The lag of a consumer group: how far it is behind the ends of its topics."""

from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from processor.foundation.settings import Settings
from processor.kafka.connection import consumer_config
from processor.kafka.log_ends import ANSWER_SECONDS, ask_broker, log_bounds, partitions_of


class PartitionLag(NamedTuple):
    """The position of the group in one partition, and the bounds of the log.

    `committed` is the next offset that it reads, None before its first commit; `start` and `end` are the log's.
    """

    partition: int
    committed: int | None
    start: int
    end: int

    @property
    def lag(self) -> int:
        """Count the offsets from what is committed (the log start before the first commit) to the log end."""
        return max(0, self.end - max(self.start, self.committed or 0))


def group_lag(settings: Settings, topics: Sequence[str]) -> dict[str, list[PartitionLag]]:
    """Return how far the group `app_id` is, by topic; raises BrokerUnreachable, ReadFailed for a missing topic."""
    consumer = Consumer(consumer_config(settings, settings.app_id))
    try:
        return {topic: _topic_lag(settings, consumer, topic) for topic in topics}
    finally:
        consumer.close()


def _topic_lag(settings: Settings, consumer: Consumer, topic: str) -> list[PartitionLag]:
    places = [TopicPartition(topic, partition) for partition in partitions_of(settings, consumer, topic)]
    committed = ask_broker(settings, lambda: consumer.committed(places, timeout=ANSWER_SECONDS))
    bounds = {place.partition: log_bounds(settings, consumer, topic, place.partition) for place in committed}
    return [
        PartitionLag(
            place.partition, None if place.offset == OFFSET_INVALID else place.offset, *bounds[place.partition]
        )
        for place in committed
    ]
