"""Record batches on their way to one partition: as few as their size allows, in order, by aiokafka.

    records ─► queue_batches ─► QueuedBatch, QueuedBatch … ─► awaited: the offset after the batch's last record

A broker takes or refuses a batch as a whole, so a timestamp that it would refuse is mended before it is written.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError

from processor.kafka.errors import RecordTooLarge, TimestampRefused
from processor.kafka.limits import UNKNOWN, TopicLimits
from schemas.kafka import NO_HEADERS, ProducerHeaders

_ON_THE_WAY_MS: Final = 60_000

RecordFields = tuple[bytes | None, bytes | None, ProducerHeaders, int | None]
"""Key, value, headers, timestamp: making a record of its own type for each row would cost 1 µs an event."""


class Refusal(NamedTuple):
    """A refused batch in words: where its records come from, and where an operator could go on without them."""

    what: str
    skip_to: tuple[int, int] | None = None


Explain = Callable[[int, RecordFields, RecordFields], Refusal]
"""(partition, first record, last record) of a batch that the broker refused."""


def explain_partition(partition: int, first: RecordFields, last: RecordFields) -> Refusal:  # noqa: ARG001  # as Explain
    """Name the partition, which is all that is known of records that are bytes."""
    return Refusal(f"a record of partition {partition}")


class BatchTarget(NamedTuple):
    """The partition that batches go to, what its topic takes, and what says where a refused batch comes from."""

    topic: str
    partition: int
    explain: Explain = explain_partition
    limits: TopicLimits = UNKNOWN


class BatchProducer(Protocol):
    """The part of AIOKafkaProducer that writes whole batches."""

    def create_batch(self) -> Any:
        """Return an empty record batch."""
        ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Queue a record batch; waits while an earlier one of the partition is queued."""
        ...


class QueuedBatch(NamedTuple):
    """A record batch on its way; awaiting it gives the offset after its last record.

    Raises RecordTooLarge and TimestampRefused where the topic does not take it, else KafkaError.
    """

    future: "asyncio.Future[Any]"
    records: int
    target: BatchTarget
    first: RecordFields
    last: RecordFields

    def __await__(self) -> Any:
        try:
            metadata = yield from self.future.__await__()
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            refusal = self._explain()
            raise RecordTooLarge(self.target.topic, refusal.what, refusal.skip_to) from error
        except InvalidTimestampError as error:
            raise TimestampRefused(self.target.topic, self._explain().what) from error
        return metadata.offset + self.records

    def _explain(self) -> Refusal:
        return self.target.explain(self.target.partition, self.first, self.last)


async def queue_batches(
    producer: BatchProducer, target: BatchTarget, records: Iterable[RecordFields], new_batch: Callable[[], Any]
) -> list[QueuedBatch]:
    """Queue records, in order, in as few batches as their size allows.

    A timestamp that the broker would refuse the batch for becomes the nearest one that it takes: one of the future is
    now (`message.timestamp.after.max.ms`), one that is too old as old as may be (`message.timestamp.before.max.ms`).
    """
    return [
        QueuedBatch(
            await producer.send_batch(full, target.topic, partition=target.partition),
            full.record_count(),
            target,
            first,
            last,
        )
        for full, first, last in _pack(target.limits, records, new_batch)
    ]


def _pack(
    limits: TopicLimits, records: Iterable[RecordFields], new_batch: Callable[[], Any]
) -> Iterable[tuple[Any, RecordFields, RecordFields]]:
    """Return full batches, each with its first and its last record."""
    now = int(time.time() * 1000)
    oldest = _oldest_timestamp(limits, now)
    batches: list[Any] = []
    firsts: list[RecordFields] = []
    lasts: list[RecordFields] = []
    batch: Any = None
    before: RecordFields = (None, None, NO_HEADERS, None)
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
    return zip(batches, firsts, lasts, strict=True)


def _oldest_timestamp(limits: TopicLimits, now: int) -> int:
    """Return the first timestamp that a topic takes, with time for the way and for clocks that differ; 0: any."""
    return 0 if limits.oldest_age_ms is None else now - max(0, limits.oldest_age_ms - _ON_THE_WAY_MS)
