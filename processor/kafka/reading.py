"""Topics read from an offset to the end that they have when asked; nothing is ever committed.

The end is the last stable offset: what an open transaction holds back is not there yet.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from processor.foundation.settings import Settings
from processor.kafka.connection import consumer_config
from processor.kafka.errors import ReadFailed
from processor.kafka.log_ends import log_bounds, partitions_of
from processor.kafka.messages import NO_PARTITION, as_record, next_position
from schemas.kafka import ReadRecord

STALL_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_MOST_MESSAGES: Final = 1000


def read_compacted(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """Return the last value of each key of a compacted topic, without those whose last value is a tombstone.

    Raises as `read_topic` does.
    """
    values: dict[bytes, bytes] = {}
    for record in read_topic(settings, topic):
        if record.key is None:
            continue
        values.pop(record.key, None)
        if record.value is not None:
            values[record.key] = record.value
    return values


def read_topic(settings: Settings, topic: str, only: Collection[int] = ()) -> Iterator[ReadRecord]:
    """Yield every record, in order within each partition, up to the ends at the time of the call.

    `only` of these partitions, where some are named. Raises BrokerUnreachable; ReadFailed when the topic is missing,
    nothing moves for 20 s, or records are removed before they were read.
    """
    with closing(_open_consumer(settings)) as consumer:
        wanted = [partition for partition in partitions_of(settings, consumer, topic) if not only or partition in only]
        ends = {partition: log_bounds(settings, consumer, topic, partition)[1] for partition in wanted}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        yield from _read_up_to(consumer, topic, ends)


def read_from(settings: Settings, topic: str, first_offsets: Mapping[int, int]) -> Iterator[ReadRecord]:
    """Yield every record of these partitions from an offset on, up to the ends at the time of the call.

    Records are in order within each partition. Offset 0 is wherever the log starts. Raises as `read_topic` does;
    ReadFailed too where the log starts above another offset.
    """
    with closing(_open_consumer(settings)) as consumer:
        bounds = {partition: log_bounds(settings, consumer, topic, partition) for partition in first_offsets}
        further = {partition: end for partition, (_, end) in bounds.items() if end > first_offsets[partition]}
        starts = {partition: first_offsets[partition] or bounds[partition][0] for partition in further}
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
        yield from _read_up_to(consumer, topic, further)


def read_newest(settings: Settings, topic: str, offsets: int) -> Iterator[ReadRecord]:
    """Yield the records at the last `offsets` offsets of each partition, in order within each.

    Raises as `read_topic` does.
    """
    with closing(_open_consumer(settings)) as consumer:
        partitions = partitions_of(settings, consumer, topic)
        bounds = {partition: log_bounds(settings, consumer, topic, partition) for partition in partitions}
    yield from read_from(
        settings,
        topic,
        {partition: max(start, end - offsets) for partition, (start, end) in bounds.items() if end > start},
    )


def read_at(settings: Settings, topic: str, partition: int, offset: int) -> ReadRecord | None:
    """Return the record at one offset, None where there is none. Raises as `read_topic` does."""
    with closing(_open_consumer(settings)) as consumer:
        if partition not in partitions_of(settings, consumer, topic):
            return None
        start, end = log_bounds(settings, consumer, topic, partition)
        if not start <= offset < end:
            return None
        consumer.assign([TopicPartition(topic, partition, offset)])
        found = next(_read_up_to(consumer, topic, {partition: end}), None)
        return found if found is not None and found.offset == offset else None


def _open_consumer(settings: Settings) -> Consumer:
    return Consumer(consumer_config(settings, f"{settings.app_id}-reader"))


def _read_up_to(consumer: Consumer, topic: str, ends: dict[int, int]) -> Iterator[ReadRecord]:
    """Yield the records below `ends` of what the consumer is assigned.

    A partition is done at its end, or where the broker says so: the last offsets may be markers, or compacted away.
    """
    waiting = {partition for partition, end in ends.items() if end > 0}
    last_move = time.monotonic()
    while waiting:
        for message in consumer.consume(_MOST_MESSAGES, _POLL_SECONDS):
            partition, position = next_position(message)
            if partition == NO_PARTITION:
                continue
            last_move = time.monotonic()
            at_end = message.error() is not None
            if not at_end and position <= ends[partition]:
                yield as_record(message)
            if at_end or position >= ends[partition]:
                waiting.discard(partition)
        if time.monotonic() - last_move > STALL_SECONDS:
            raise ReadFailed(
                f"{topic}: nothing came for {STALL_SECONDS:.0f} s, before the end of partitions {sorted(waiting)}"
            )
