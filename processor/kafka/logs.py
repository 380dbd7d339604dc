"""Where a partition's output is made durable: the port `pipeline.ports.Log` for brokers with transactions and without.

                 TransactionalLog (exactly_once)                     PlainLog (at_least_once)
    take over    fences earlier owners, settles what they left       nothing to do
    commit       one transaction: exports, dead letters, rows        exports and dead letters acknowledged, then rows

Everything goes to the partition of its source, in order. Rows are written last, the watermark last of all. A producer that
was fenced, or whose commit failed, raises: the caller stops; it never carries on (design 2).
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer

from processor.fault_points import fault_point
from processor.kafka.connection import aiokafka_options
from processor.pipeline.ports import NO_HEADERS, Headers, Output
from processor.settings import Settings

BATCH_BYTES: Final = 1024 * 1024
"""Bytes of one record batch before compression. The broker's bound (max.message.bytes) holds for the compressed batch."""
CLOSE_SECONDS: Final = 5.0
COMPRESSION: Final = "snappy"
"""0.9 µs a row of 2.3 KB, against 1.7 (zstd 1) and 23 (lz4 as aiokafka calls it, level 9)."""


Record = tuple[bytes | None, bytes | None, Headers, int | None]
"""The fields of a KafkaRecord: making one for each row would cost 1 µs an event."""


class Destinations(NamedTuple):
    """The topics of an output."""

    exports: str
    dead_letters: str
    changelog: str
    profile_events: str
    job_progress: str


class Producing(Protocol):
    """The part of AIOKafkaProducer that is used here."""

    def create_batch(self) -> Any:
        """An empty record batch."""
        ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Queue it; waits while an earlier one of the partition is queued."""
        ...


def producer(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
    """A producer that is idempotent, acknowledged by every replica, and transactional where it has an id. Not started."""
    transaction: dict[str, Any] = {}
    if transactional_id is not None:
        transaction = {"transactional_id": transactional_id, "transaction_timeout_ms": int(settings.transaction_timeout_seconds * 1000)}
    return AIOKafkaProducer(
        **aiokafka_options(settings),
        enable_idempotence=True,
        acks="all",
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        max_request_size=settings.max_message_bytes,
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
        sent = await _send_beside_rows(self._producer, self._topics, self._partition, output)
        fault_point("exports_sent")
        rows = await _send(self._producer, self._topics.changelog, self._partition, _rows(output))
        fault_point("rows_sent")
        for future in sent:
            await future
        offsets = [await future for future in rows]
        fault_point("rows_acknowledged")
        await self._producer.commit_transaction()
        return _next_offset(offsets)

    async def close(self) -> None:
        """Stop the producer. What it left open is settled by the next owner, or by the broker after the transaction's timeout."""
        await _stop(self._producer)


class PlainLog:
    """A partition's part of one idempotent producer that the worker's partitions share; the caller starts and stops it."""

    def __init__(self, shared: Producing, topics: Destinations, partition: int) -> None:
        self._producer, self._topics, self._partition = shared, topics, partition

    async def take_over(self) -> None:
        """Nothing: without transactions nobody can be fenced."""

    async def commit(self, output: Output) -> int:
        """Exports and dead letters first, rows when those are acknowledged; raises KafkaError."""
        sent = await _send_beside_rows(self._producer, self._topics, self._partition, output)
        for future in sent:
            await future
        fault_point("exports_sent")
        rows = await _send(self._producer, self._topics.changelog, self._partition, _rows(output))
        fault_point("rows_sent")
        return _next_offset([await future for future in rows])

    async def close(self) -> None:
        """Nothing: the producer is shared."""


class _Sent(NamedTuple):
    """A record batch on its way; awaiting it gives the offset after its last record."""

    future: "asyncio.Future[Any]"
    records: int

    def __await__(self) -> Any:
        metadata = yield from self.future.__await__()
        return metadata.offset + self.records


async def _send(producer: Producing, topic: str, partition: int, records: Iterable[Record]) -> list[_Sent]:
    """Queue records, in order, in as few batches as their size allows.

    A timestamp of the future becomes now: the broker would refuse the batch (`message.timestamp.after.max.ms`).
    """
    now = int(time.time() * 1000)
    batches: list[Any] = []
    batch: Any = None
    for key, value, headers, given in records:
        timestamp = given if given is not None and given < now else now
        if batch is None or batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            batch = producer.create_batch()
            batches.append(batch)
            batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
    return [_Sent(await producer.send_batch(full, topic, partition=partition), full.record_count()) for full in batches]


async def _send_beside_rows(producer: Producing, topics: Destinations, partition: int, output: Output) -> list[_Sent]:
    """Everything but the rows."""
    sent = await _send(producer, topics.exports, partition, output.exports)
    sent += await _send(producer, topics.dead_letters, partition, output.dead_letters)
    sent += await _send(producer, topics.profile_events, partition, output.events)
    return sent + await _send(producer, topics.job_progress, partition, output.job_progress)


def _rows(output: Output) -> Iterable[Record]:
    return ((key, value, NO_HEADERS, None) for key, value in output.rows.items())


def _next_offset(offsets: list[int]) -> int:
    return max(offsets)


async def _stop(stopping: AIOKafkaProducer) -> None:
    with suppress(Exception):  # it is being thrown away; what it says changes nothing
        async with asyncio.timeout(CLOSE_SECONDS):
            await stopping.stop()
