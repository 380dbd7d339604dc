"""`exports` read a second time, for flows that wait beside the group: plain consumers, assigned, never committing.

A consumer that was reading a flow of a partition goes on where it was; one that is free otherwise is moved there. There
are few of them, so a hundred flows that catch up at once take turns.
"""

import asyncio
from collections import deque
from typing import Any, Final, NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processor.delivery.ports import Page
from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings
from processor.foundation.tasks import is_being_cancelled
from processor.kafka.connection import aiokafka_options
from processor.worker.start_positions import RecordsAreGone, Skipped
from schemas.kafka import ConsumerRecord, count_record_bytes
from schemas.wire.exports import is_export_of

CONSUMERS: Final = 4
SCANNED_RECORDS: Final = 5_000
"""Of other flows', at most, in one read."""
_CHUNK_RECORDS: Final = 500
_FETCH_BYTES: Final = 1024 * 1024
_WAIT_MS: Final = 200
_ANSWER_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class Wanted(NamedTuple):
    """The question of one read: from which offset, of which flow, and how much at most."""

    tp: TopicPartition
    offset: int
    flow_id: bytes
    records: int
    size_bytes: int


class History(Protocol):
    """The writer of what a worker passes over."""

    async def record_skip(self, tp: tuple[str, int], skipped: Skipped) -> None:
        """Write what a partition passes over; durable when it returns."""


class ParkedExports:
    """`delivery.ports.ExportsLog`. A broker that is away is waited for: the page is empty then.

    `read` raises RecordsAreGone where the log has lost what the flow waits for, unless the operator accepts that gap:
    then it is written to `history` before the page is given, and `read` raises what that raises.
    """

    def __init__(self, settings: Settings, history: History) -> None:
        self._settings, self._history = settings, history
        self._free: list[Reader] = []
        self._turns = asyncio.Semaphore(CONSUMERS)

    async def read(self, partition: int, offset: int, flow_id: str, records: int, size_bytes: int) -> Page:
        """Read records of a flow from an offset on, as `ExportsLog.read` demands."""
        tp = TopicPartition(self._settings.topics.exports, partition)
        wanted = Wanted(tp, offset, flow_id.encode(), records, size_bytes)
        async with self._turns:
            reader = self._take(wanted)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    page = await reader.read(wanted)
            except (KafkaError, TimeoutError, OSError, asyncio.CancelledError) as error:
                await reader.close()
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                _log.warning("parked_records_not_reachable", partition=partition, error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)
                return Page((), offset)
            self._free.append(reader)
        if page.gone:
            await self._pass_over(wanted, page.gone)
        return page

    async def _pass_over(self, wanted: Wanted, gone: int) -> None:
        gap = Gap(wanted.tp.topic, wanted.tp.partition, wanted.offset, wanted.offset + gone)
        if not self._settings.accepted.cover(gap):
            raise RecordsAreGone(gap, f"were not delivered to the parked flow {wanted.flow_id.decode()}")
        await self._history.record_skip((gap.topic, gap.partition), Skipped(gap.first, gap.next, "ACCEPT_GAPS"))

    async def close(self) -> None:
        """Close every reader, as `ExportsLog.close` demands."""
        free, self._free = self._free, []
        await asyncio.gather(*(reader.close() for reader in free))

    def _take(self, wanted: Wanted) -> "Reader":
        """Take the reader that is there already; else a new one while there may be more; else the one idle longest."""
        for reader in self._free:
            if reader.is_at(wanted):
                self._free.remove(reader)
                return reader
        return self._free.pop(0) if len(self._free) >= CONSUMERS else Reader(self._settings)


class Reader:
    """One consumer, and what it fetched beyond the last page."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._tp: TopicPartition | None = None
        self._offset = 0  # everything below was looked at
        self._position = 0  # everything below was fetched
        self._fetched: deque[Any] = deque()

    def is_at(self, wanted: Wanted) -> bool:
        """Return whether the reader can go on without being moved."""
        return self._tp == wanted.tp and self._offset == wanted.offset

    async def read(self, wanted: Wanted) -> Page:
        """The next page; raises KafkaError."""
        gone = 0 if self.is_at(wanted) else await self._move(wanted.tp, wanted.offset)
        found: list[ConsumerRecord] = []
        left, scanned = wanted.size_bytes, 0
        while (
            len(found) < wanted.records
            and left > 0
            and scanned < SCANNED_RECORDS
            and (self._fetched or await self._fetch())
        ):
            record = self._fetched.popleft()
            scanned += 1
            self._offset = record.offset + 1
            if is_export_of(record, wanted.flow_id):
                found.append(record)
                left -= count_record_bytes((record,))
        if not self._fetched:
            self._offset = self._position
        return Page(found, self._offset, gone)

    async def close(self) -> None:
        """Let its connections go."""
        consumer, self._consumer, self._tp = self._consumer, None, None
        if consumer is not None:
            await consumer.stop()

    async def _move(self, tp: TopicPartition, offset: int) -> int:
        """Begin anew at an offset, or where the log begins; how many offsets are gone in between."""
        consumer = await self._started()
        self._tp, self._fetched = None, deque()
        consumer.assign([tp])
        begin: int = (await consumer.beginning_offsets([tp]))[tp]
        self._offset = self._position = max(begin, offset)
        consumer.seek(tp, self._offset)
        self._tp = tp
        return max(0, begin - offset)

    async def _fetch(self) -> bool:
        """Return whether something came.

        Raises OffsetOutOfRangeError where the log was cut meanwhile: the next read begins anew.
        """
        consumer = await self._started()
        for records in (await consumer.getmany(self._tp, timeout_ms=_WAIT_MS, max_records=_CHUNK_RECORDS)).values():
            self._fetched.extend(records)
        self._position = await consumer.position(self._tp)
        return bool(self._fetched)

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **aiokafka_options(self._settings),
                isolation_level="read_committed",
                auto_offset_reset="none",
                max_partition_fetch_bytes=_FETCH_BYTES,
                fetch_max_wait_ms=_WAIT_MS,
            )
            await self._consumer.start()
        return self._consumer
