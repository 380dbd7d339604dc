"""The port `pipeline.ports.PartitionLog`: a partition's output made durable, on brokers with transactions and without.

                 TransactionalLog (exactly_once)                     PlainLog (at_least_once)
    take over    fences earlier owners, settles what they left       nothing to do
    commit       one transaction: exports, dead letters, rows        exports and dead letters acknowledged, then rows

Everything goes to the partition of its source, in order. Rows are written last, the source position last of all. A
producer that was fenced, or whose commit failed, raises: the caller stops; it never carries on (docs/architecture.md,
"The durability order").

It leans on this inside of aiokafka 0.14, held by `tests/worker/test_partition_log.py`: a partition that the transaction
manager is told of (`maybe_add_partition_to_txn`) is part of the transaction, also where nothing is sent to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sized
from functools import partial
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from processor.foundation.fault_points import fault_point
from processor.foundation.settings import Settings
from processor.kafka.batches import BatchProducer, BatchTarget, QueuedBatch, RecordFields, queue_batches
from processor.kafka.dead_letter_batches import dead_letter_batch
from processor.kafka.limits import NO_LIMITS, UNKNOWN, TopicLimits
from processor.kafka.producers import new_producer, stop_producer
from processor.pipeline.ports import Output
from processor.worker.adapters.origins import explain_refusal
from schemas.kafka import NO_HEADERS


class OutputTopics(NamedTuple):
    """The topics of an output, and what they take."""

    exports: str
    dead_letters: str
    changelog: str
    profile_events: str
    job_progress: str
    limits: Mapping[str, TopicLimits] = NO_LIMITS

    @property
    def all(self) -> frozenset[str]:
        """The topics that a commit may write to."""
        return frozenset((self.exports, self.dead_letters, self.changelog, self.profile_events, self.job_progress))

    def written_by(self, output: Output) -> frozenset[str]:
        """Return the topics that the commit of an output writes to."""
        parts: tuple[tuple[str, Sized], ...] = (
            (self.exports, output.exports),
            (self.dead_letters, output.dead_letters),
            (self.changelog, output.rows),
            (self.profile_events, output.events),
            (self.job_progress, output.job_progress),
        )
        return frozenset(topic for topic, part in parts if part)


class TransactionalLog:
    """One transactional producer for one partition; its id is the same in whichever worker owns the partition."""

    def __init__(self, settings: Settings, topics: OutputTopics, source: str, partition: int) -> None:
        self._topics, self._partition = topics, partition
        self._last_written: frozenset[str] = frozenset()  # of the last commit
        self._producer = new_producer(settings, f"{settings.app_id}-{source}-{partition}")

    async def take_over(self) -> None:
        """Initialise the transactional id; raises KafkaError."""
        await self._producer.start()

    async def commit(self, output: Output) -> int:
        """One transaction; raises KafkaError, ProducerFenced where another worker has taken the partition over.

        What the last commit wrote to is part of it, also where nothing more is written there. A broker that is being
        stopped may leave that commit without its markers: then both are committed, or both aborted, everywhere.
        """
        await self._producer.begin_transaction()
        written = self._topics.written_by(output)
        self._include(self._last_written - written)
        self._last_written = written
        fault_point("transaction_begun")
        sender = _Sender(
            self._producer, self._topics, self._partition, partial(dead_letter_batch, is_transactional=True)
        )
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

    async def complete_commit(self) -> None:
        """Commit a transaction without records in every partition that a commit may reach; raises KafkaError.

        Its markers end what stands open there: nobody else would.
        """
        await self._producer.begin_transaction()
        self._include(self._topics.all)
        await self._producer.commit_transaction()

    def _include(self, topics: Iterable[str]) -> None:
        """Make this partition of topics part of the transaction."""
        for topic in topics:
            self._producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, self._partition))

    async def close(self) -> None:
        """Stop the producer of this partition.

        What it left open is settled by the next owner, or by the broker after the transaction's timeout.
        """
        await stop_producer(self._producer)


class PlainLog:
    """The part of one partition in an idempotent producer that all share; the caller starts and stops it."""

    def __init__(self, shared: BatchProducer, topics: OutputTopics, partition: int) -> None:
        self._producer, self._topics, self._partition = shared, topics, partition

    async def take_over(self) -> None:
        """Nothing: without transactions nobody can be fenced."""

    async def complete_commit(self) -> None:
        """Nothing: without transactions what is acknowledged can be read."""

    async def commit(self, output: Output) -> int:
        """Exports and dead letters first, rows when those are acknowledged; raises KafkaError."""
        sender = _Sender(
            self._producer, self._topics, self._partition, partial(dead_letter_batch, is_transactional=False)
        )
        sent = await sender.send_beside_rows(output)
        for future in sent:
            await future
        fault_point("exports_sent")
        rows = await sender.send(self._topics.changelog, _rows(output))
        fault_point("rows_sent")
        return _next_offset([await future for future in rows])

    async def close(self) -> None:
        """Nothing: the producer is shared."""


class _Sender:
    """A sender of one commit's records, everything to one partition."""

    def __init__(
        self, producer: BatchProducer, topics: OutputTopics, partition: int, new_dead_letter_batch: Callable[[], Any]
    ) -> None:
        self._producer, self._topics, self._partition, self._new_dead_letter_batch = (
            producer,
            topics,
            partition,
            new_dead_letter_batch,
        )

    async def send(
        self, topic: str, records: Iterable[RecordFields], new_batch: Callable[[], Any] | None = None
    ) -> list[QueuedBatch]:
        """Queue records for a topic."""
        limits = self._topics.limits.get(topic, UNKNOWN)
        target = BatchTarget(topic, self._partition, partial(explain_refusal, self._topics.profile_events), limits)
        return await queue_batches(self._producer, target, records, new_batch or self._producer.create_batch)

    async def send_beside_rows(self, output: Output) -> list[QueuedBatch]:
        """Queue everything but the rows."""
        topics = self._topics
        sent = await self.send(topics.exports, output.exports)
        sent += await self.send(topics.dead_letters, output.dead_letters, self._new_dead_letter_batch)
        sent += await self.send(topics.profile_events, output.events)
        return sent + await self.send(topics.job_progress, output.job_progress)


def _rows(output: Output) -> Iterable[RecordFields]:
    return ((key, value, NO_HEADERS, None) for key, value in output.rows.items())


def _next_offset(offsets: list[int]) -> int:
    return max(offsets)
