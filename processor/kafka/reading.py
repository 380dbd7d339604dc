"""Topics read from their beginning to the end they have when asked, and how far a consumer group is behind.

Never commits.

The end is the last stable offset: what an open transaction holds back is not there yet.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from processor.foundation.settings import Settings
from processor.kafka.connection import consumer_config
from processor.kafka.errors import BrokerUnreachable, ReadDenied, ReadFailed
from schemas.kafka import ReadRecord

Answer = TypeVar("Answer")

ANSWER_SECONDS: Final = 10.0
STALL_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_BATCH: Final = 1000
_NO_PARTITION: Final = -1
_ABOUT_THE_CONNECTION: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)
_PASSES: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What a broker says while a topic, or a group's coordinator, is being set up."""
_BETWEEN_TRIES_SECONDS: Final = 0.1


class PartitionLag(NamedTuple):
    """How far the group is: `committed` is the next offset it reads, None before its first commit; `start` and `end`
    are the log's.
    """

    partition: int
    committed: int | None
    start: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets between what is committed (the log's start before the first commit) and the end."""
        return max(0, self.end - max(self.start, self.committed or 0))


def read_compacted(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """The last value of each key of a compacted topic; keys whose last value is a tombstone are left out."""
    values: dict[bytes, bytes] = {}
    for record in read_topic(settings, topic):
        if record.key is None:
            continue
        values.pop(record.key, None)
        if record.value is not None:
            values[record.key] = record.value
    return values


def read_topic(settings: Settings, topic: str, only: Collection[int] = ()) -> Iterator[ReadRecord]:
    """Every record, in order within each partition, up to the ends at the time of the call; `only` of these partitions,
    where some are named.

    Raises BrokerUnreachable; ReadFailed when the topic is missing, nothing moves for 20 s, or records are removed
    before they were read.
    """
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader"))
    try:
        wanted = [partition for partition in _partitions(settings, consumer, topic) if not only or partition in only]
        ends = {partition: bounds_of(settings, consumer, topic, partition)[1] for partition in wanted}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        yield from _up_to(consumer, topic, ends)
    finally:
        consumer.close()


def read_from(settings: Settings, topic: str, begins: Mapping[int, int]) -> Iterator[ReadRecord]:
    """Every record of these partitions from an offset on, in order within each, up to the ends at the time of the call.

    Offset 0 is wherever the log begins. Raises as `read_topic` does; ReadFailed too where the log begins above another
    offset.
    """
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader"))
    try:
        bounds = {partition: bounds_of(settings, consumer, topic, partition) for partition in begins}
        further = {partition: end for partition, (_, end) in bounds.items() if end > begins[partition]}
        places = {partition: begins[partition] or bounds[partition][0] for partition in further}
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in places.items()])
        yield from _up_to(consumer, topic, further)
    finally:
        consumer.close()


def read_newest(settings: Settings, topic: str, offsets: int) -> Iterator[ReadRecord]:
    """Read the records at the last `offsets` offsets of each partition, in order within each.

    Raises as `read_topic` does.
    """
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader"))
    try:
        bounds = {
            partition: bounds_of(settings, consumer, topic, partition)
            for partition in _partitions(settings, consumer, topic)
        }
    finally:
        consumer.close()
    yield from read_from(
        settings,
        topic,
        {partition: max(start, end - offsets) for partition, (start, end) in bounds.items() if end > start},
    )


class TopicFollower:
    """A topic, read on: each time what is new up to its ends of that moment.

    For one thread at a time; begins when it is first asked.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._consumers: tuple[Consumer, Consumer] | None = None
        self._positions: dict[int, int] = {}

    def read_on(self) -> list[ReadRecord]:
        """In order within each partition.

        Raises as `read_topic` does; whoever asks again begins anew, at the beginning.
        """
        try:
            return self._read_on()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the broker."""
        consumers, self._consumers, self._positions = self._consumers, None, {}
        for consumer in consumers or ():
            consumer.close()

    @property
    def is_new(self) -> bool:
        """Whether the next records are the first."""
        return self._consumers is None

    def _read_on(self) -> list[ReadRecord]:
        consumer, asker = self._consumers or self._begin()
        ends = {partition: bounds_of(self._settings, asker, self._topic, partition)[1] for partition in self._positions}
        records: list[ReadRecord] = []
        last_move = time.monotonic()
        while behind := [partition for partition, end in ends.items() if self._positions[partition] < end]:
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                partition, next_offset = _step(message)
                if partition == _NO_PARTITION:
                    continue
                last_move = time.monotonic()
                self._positions[partition] = max(self._positions[partition], next_offset)
                if message.error() is None:
                    records.append(_record(message))
            if time.monotonic() - last_move > STALL_SECONDS:
                raise ReadFailed(
                    f"{self._topic}: nothing came for {STALL_SECONDS:.0f} s, before the end of partitions {behind}"
                )
        return records

    def _begin(self) -> tuple[Consumer, Consumer]:
        """Two, since one that fetches answers other questions only after its fetch: 50 ms."""
        group = f"{self._settings.app_id}-reader"
        consumer, asker = (Consumer(consumer_config(self._settings, group)) for _ in range(2))
        self._consumers = consumer, asker
        self._positions = dict.fromkeys(_partitions(self._settings, asker, self._topic), 0)
        consumer.assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in self._positions])
        return self._consumers


def read_at(settings: Settings, topic: str, partition: int, offset: int) -> ReadRecord | None:
    """The record at one place; None where there is none. Raises as `read_topic` does."""
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader"))
    try:
        if partition not in _partitions(settings, consumer, topic):
            return None
        start, end = bounds_of(settings, consumer, topic, partition)
        if not start <= offset < end:
            return None
        consumer.assign([TopicPartition(topic, partition, offset)])
        found = next(_up_to(consumer, topic, {partition: end}), None)
        return found if found is not None and found.offset == offset else None
    finally:
        consumer.close()


def group_lag(settings: Settings, topics: Sequence[str]) -> dict[str, list[PartitionLag]]:
    """How far the group `app_id` is, by topic; a topic that is not there raises ReadFailed."""
    consumer = Consumer(consumer_config(settings, settings.app_id))
    try:
        return {topic: _topic_lag(settings, consumer, topic) for topic in topics}
    finally:
        consumer.close()


def _up_to(consumer: Consumer, topic: str, ends: dict[int, int]) -> Iterator[ReadRecord]:
    """A partition is done at its end, or where the broker says so: the last offsets may be markers, or compacted
    away.
    """
    waiting = {partition for partition, end in ends.items() if end > 0}
    last_move = time.monotonic()
    while waiting:
        for message in consumer.consume(_BATCH, _POLL_SECONDS):
            partition, next_offset = _step(message)
            if partition == _NO_PARTITION:
                continue
            last_move = time.monotonic()
            at_end = message.error() is not None
            if not at_end and next_offset <= ends[partition]:
                yield _record(message)
            if at_end or next_offset >= ends[partition]:
                waiting.discard(partition)
        if time.monotonic() - last_move > STALL_SECONDS:
            raise ReadFailed(
                f"{topic}: nothing came for {STALL_SECONDS:.0f} s, before the end of partitions {sorted(waiting)}"
            )


def _step(message: Message) -> tuple[int, int]:
    """(partition, the offset after it); (_NO_PARTITION, 0) for what is only about the connection, which librdkafka
    mends itself.
    """
    error, partition, offset = message.error(), message.partition(), message.offset()
    if error is not None and error.code() in _ABOUT_THE_CONNECTION:
        return _NO_PARTITION, 0
    if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise ReadFailed(
            f"{message.topic()}[{partition}]: records were removed before they were read (retention, or deleted"
            " records); try again"
        )
    if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise ReadDenied(
            f"{message.topic()}[{partition}]: {error.str()}: allow this principal the operation Read on it"
        )
    if partition is None or offset is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
        raise ReadFailed(
            f"{message.topic()}[{partition}]: {error.str() if error is not None else 'a record without a place'}"
        )
    return partition, offset + (error is None)


def _record(message: Message) -> ReadRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, timestamp = message.timestamp()
    headers = tuple((name, _bytes(value)) for name, value in _pairs(message))
    return ReadRecord(topic, partition, offset, timestamp if kind else None, message.key(), message.value(), headers)


def _pairs(message: Message) -> list[tuple[str, str | bytes | None]]:
    headers = message.headers()
    return list(headers.items()) if isinstance(headers, dict) else list(headers or ())


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _topic_lag(settings: Settings, consumer: Consumer, topic: str) -> list[PartitionLag]:
    places = [TopicPartition(topic, partition) for partition in _partitions(settings, consumer, topic)]
    committed = _asked(settings, lambda: consumer.committed(places, timeout=ANSWER_SECONDS))
    bounds = {place.partition: bounds_of(settings, consumer, topic, place.partition) for place in committed}
    return [
        PartitionLag(
            place.partition, None if place.offset == OFFSET_INVALID else place.offset, *bounds[place.partition]
        )
        for place in committed
    ]


def _partitions(settings: Settings, consumer: Consumer, topic: str) -> list[int]:
    topics = _asked(settings, lambda: consumer.list_topics(timeout=ANSWER_SECONDS)).topics
    if topic not in topics:
        raise ReadFailed(f"there is no topic {topic}; run `profile-exporter init`")
    return sorted(topics[topic].partitions)


def _asked(settings: Settings, ask: Callable[[], Answer]) -> Answer:
    """The answer; asked again, for 10 s, while the broker is setting things up."""
    asking = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_delay(ANSWER_SECONDS),
        wait=wait_fixed(_BETWEEN_TRIES_SECONDS),
        reraise=True,
    )
    try:
        return asking(ask)
    except KafkaException as error:
        raise BrokerUnreachable(settings, error.args[0].str()) from None


def _passes(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _PASSES


def bounds_of(settings: Settings, consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Where a partition begins and ends (the last stable offset); raises BrokerUnreachable."""
    bounds = _asked(
        settings, lambda: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
    )
    if bounds is None:
        raise BrokerUnreachable(settings, f"it does not say where {topic}[{partition}] ends")
    start, end = bounds
    return start, end
