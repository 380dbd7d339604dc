"""Where a partition's output is made durable: the port `pipeline.ports.Log` for brokers with transactions and without.

                 TransactionalLog (exactly_once)                     PlainLog (at_least_once)
    take over    fences earlier owners, settles what they left       nothing to do
    commit       one transaction: exports, dead letters, rows        exports and dead letters acknowledged, then rows

Everything goes to the partition of its source, in order. Rows are written last, the watermark last of all. A producer
that was fenced, or whose commit failed, raises: the caller stops; it never carries on (design 2).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError

from processor.foundation.fault_points import fault_point
from processor.foundation.settings import Settings
from processor.kafka.connection import aiokafka_options
from processor.kafka.dead_letter_batches import letter_batch
from processor.kafka.errors import RecordTooLarge, TimestampRefused
from processor.kafka.limits import BATCH_BYTES, NO_LIMITS, UNKNOWN, TopicLimits
from processor.pipeline.ports import Output
from processor.worker.adapters.origins import Origin, origin_of
from schemas.kafka import NO_HEADERS, ProducerHeaders

MAX_REQUEST_BYTES: Final = 100 * 1024 * 1024
"""What a broker takes of a request by default (socket.request.max.bytes).

What a topic takes of a batch, the broker says: only it knows.
"""
CLOSE_SECONDS: Final = 5.0
_ON_THE_WAY_MS: Final = 60_000
COMPRESSION: Final = "snappy"
"""0.9 µs a row of 2.3 KB, against 1.7 (zstd 1) and 23 (lz4 as aiokafka calls it, level 9)."""


Record = tuple[bytes | None, bytes | None, ProducerHeaders, int | None]
"""The fields of a ProducerRecord: making one for each row would cost 1 µs an event."""


class Destinations(NamedTuple):
    """The topics of an output, and what they take."""

    exports: str
    dead_letters: str
    changelog: str
    profile_events: str
    job_progress: str
    limits: Mapping[str, TopicLimits] = NO_LIMITS


class Producing(Protocol):
    """The part of AIOKafkaProducer that is used here."""

    def create_batch(self) -> Any:
        """An empty record batch."""
        ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Queue it; waits while an earlier one of the partition is queued."""
        ...


def producer(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
    """A producer that is idempotent, acknowledged by every replica, and transactional where it has an id.

    Not started.
    """
    transaction: dict[str, Any] = {}
    if transactional_id is not None:
        transaction = {
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(settings.transaction_timeout_seconds * 1000),
        }
    return AIOKafkaProducer(
        **aiokafka_options(settings),
        enable_idempotence=True,
        acks="all",
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=int(settings.transaction_timeout_seconds * 1000),
        **transaction,
    )


class TransactionalLog:
    """One transactional producer for one partition; its id is the same in whichever worker owns the partition."""

    def __init__(self, settings: Settings, topics: Destinations, source: str, partition: int) -> None:
        self._topics, self._partition = topics, partition
        self._producer = producer(settings, f"{settings.app_id}-{source}-{partition}")

    async def take_over(self) -> None:
        """Initialise the transactional id; raises KafkaError."""
        await self._producer.start()

    async def commit(self, output: Output) -> int:
        """One transaction; raises KafkaError, ProducerFenced where another worker has taken the partition over."""
        await self._producer.begin_transaction()
        fault_point("transaction_begun")
        sender = _Sender(self._producer, self._topics, self._partition, partial(letter_batch, is_transactional=True))
        sent = await sender.send_beside_rows(output)
        fault_point("exports_sent")
        rows = await sender.send(self._topics.changelog, _rows(output))
        fault_point("rows_sent")
        for future in sent:
            await future
        offsets = [await future for future in rows]
        fault_point("rows_acknowledged")
        await self._producer.commit_transaction()
        return _next_offset(offsets)

    async def close(self) -> None:
        """Stop the producer.

        What it left open is settled by the next owner, or by the broker after the transaction's timeout.
        """
        await _stop(self._producer)


class PlainLog:
    """A partition's part of one idempotent producer that the worker's partitions share; the caller starts and stops
    it.
    """

    def __init__(self, shared: Producing, topics: Destinations, partition: int) -> None:
        self._producer, self._topics, self._partition = shared, topics, partition

    async def take_over(self) -> None:
        """Nothing: without transactions nobody can be fenced."""

    async def commit(self, output: Output) -> int:
        """Exports and dead letters first, rows when those are acknowledged; raises KafkaError."""
        sender = _Sender(self._producer, self._topics, self._partition, partial(letter_batch, is_transactional=False))
        sent = await sender.send_beside_rows(output)
        for future in sent:
            await future
        fault_point("exports_sent")
        rows = await sender.send(self._topics.changelog, _rows(output))
        fault_point("rows_sent")
        return _next_offset([await future for future in rows])

    async def close(self) -> None:
        """Nothing: the producer is shared."""


class Sent(NamedTuple):
    """A record batch on its way; awaiting it gives the offset after its last record.

    `first` and `last` are records of it.
    """

    future: "asyncio.Future[Any]"
    records: int
    place: "Place"
    first: Record
    last: Record

    def __await__(self) -> Any:
        try:
            metadata = yield from self.future.__await__()
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            last = self._origin(self.last)
            skip_to = (
                (last.partition, last.offset + 1) if last is not None and last.topic == self.place.events else None
            )
            raise RecordTooLarge(self.place.topic, self._what(), skip_to) from error
        except InvalidTimestampError as error:
            raise TimestampRefused(self.place.topic, self._what()) from error
        return metadata.offset + self.records

    def _what(self) -> str:
        """In words, what the batch holds."""
        first, last = self._origin(self.first), self._origin(self.last)
        if first is None or last is None:
            return f"a record of partition {self.place.partition}"
        return f"what came of {first}" if first == last else f"what came of {first} to {last.offset}"

    def _origin(self, record: Record) -> Origin | None:
        key, value, headers, _ = record
        return origin_of(key, value, headers, self.place.events, self.place.partition)


class Place(NamedTuple):
    """Where records go; `events` is the topic of the events that they come from."""

    topic: str
    partition: int
    events: str
    limits: TopicLimits = UNKNOWN


async def send(
    producer: Producing, place: Place, records: Iterable[Record], new_batch: Callable[[], Any]
) -> list[Sent]:
    """Queue records, in order, in as few batches as their size allows.

    A timestamp that the broker would refuse the batch for becomes the nearest one that it takes: one of the future is
    now (`message.timestamp.after.max.ms`), one that is too old as old as may be (`message.timestamp.before.max.ms`).
    """
    now = int(time.time() * 1000)
    oldest = _oldest(place.limits, now)
    batches: list[Any] = []
    firsts: list[Record] = []
    lasts: list[Record] = []
    batch: Any = None
    before: Record = (None, None, NO_HEADERS, None)
    for record in records:
        key, value, headers, given = record
        timestamp = now if given is None or given > now else max(given, oldest)
        if batch is None or batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            if batch is not None:
                lasts.append(before)
            batch = new_batch()
            batches.append(batch)
            firsts.append(record)
            batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
        before = record
    if batch is not None:
        lasts.append(before)
    return [
        Sent(
            await producer.send_batch(full, place.topic, partition=place.partition),
            full.record_count(),
            place,
            first,
            last,
        )
        for full, first, last in zip(batches, firsts, lasts, strict=True)
    ]


def _oldest(limits: TopicLimits, now: int) -> int:
    """The first timestamp that a topic takes, with time for the way there and for clocks that differ; 0: any."""
    return 0 if limits.oldest_age_ms is None else now - max(0, limits.oldest_age_ms - _ON_THE_WAY_MS)


class _Sender:
    """What one commit sends, everything to one partition."""

    def __init__(
        self, producer: Producing, topics: Destinations, partition: int, new_letter_batch: Callable[[], Any]
    ) -> None:
        self._producer, self._topics, self._partition, self._new_letter_batch = (
            producer,
            topics,
            partition,
            new_letter_batch,
        )

    async def send(
        self, topic: str, records: Iterable[Record], new_batch: Callable[[], Any] | None = None
    ) -> list[Sent]:
        """Queue records for a topic."""
        place = Place(topic, self._partition, self._topics.profile_events, self._topics.limits.get(topic, UNKNOWN))
        return await send(self._producer, place, records, new_batch or self._producer.create_batch)

    async def send_beside_rows(self, output: Output) -> list[Sent]:
        """Queue everything but the rows."""
        topics = self._topics
        sent = await self.send(topics.exports, output.exports)
        sent += await self.send(topics.dead_letters, output.dead_letters, self._new_letter_batch)
        sent += await self.send(topics.profile_events, output.events)
        return sent + await self.send(topics.job_progress, output.job_progress)


def _rows(output: Output) -> Iterable[Record]:
    return ((key, value, NO_HEADERS, None) for key, value in output.rows.items())


def _next_offset(offsets: list[int]) -> int:
    return max(offsets)


async def _stop(stopping: AIOKafkaProducer) -> None:
    with suppress(Exception):  # it is being thrown away; what it says changes nothing
        async with asyncio.timeout(CLOSE_SECONDS):
            await stopping.stop()
