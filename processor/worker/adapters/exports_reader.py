"""`exports` read a second time, for flows that wait beside the group: plain consumers, assigned, never committing.

A consumer that was reading a flow of a partition goes on where it was; one that is free otherwise is moved there. There
are few of them, so a hundred flows that catch up at once take turns.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple, Protocol

import structlog

from processor.delivery.ports import Page
from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings
from processor.kafka.assigned_reader import AssignedReader, ReadInterrupted
from processor.worker.start_positions import RecordsAreGone, Skipped
from schemas.kafka import ConsumerRecord, TopicPartition, count_record_bytes
from schemas.wire.exports import is_export_of

CONSUMERS: Final = 4
SCANNED_RECORDS: Final = 5_000
"""Of other flows', at most, in one read."""
_CHUNK_RECORDS: Final = 500
_FETCH_BYTES: Final = 1024 * 1024
_WAIT_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class Wanted(NamedTuple):
    """What one read asks for."""

    place: TopicPartition
    offset: int
    flow_id: bytes
    records: int
    size_bytes: int


class History(Protocol):
    """Where it is written down what a worker passes over."""

    async def record_skip(self, place: tuple[str, int], skipped: Skipped) -> None:
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
        """See the port."""
        place = TopicPartition(self._settings.topics.exports, partition)
        wanted = Wanted(place, offset, flow_id.encode(), records, size_bytes)
        async with self._turns:
            reader = self._take(wanted)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    page = await reader.read(wanted)
            except BaseException as error:
                await reader.close()
                if not isinstance(error, ReadInterrupted | TimeoutError):
                    raise
                reason = error.reason if isinstance(error, ReadInterrupted) else repr(error)
                _log.warning("parked_records_not_reachable", partition=partition, error=reason)
                await asyncio.sleep(_RETRY_SECONDS)
                return Page((), offset)
            self._free.append(reader)
        if page.gone:
            await self._pass_over(wanted, page.gone)
        return page

    async def _pass_over(self, wanted: Wanted, gone: int) -> None:
        gap = Gap(wanted.place.topic, wanted.place.partition, wanted.offset, wanted.offset + gone)
        if not self._settings.accepted.cover(gap):
            raise RecordsAreGone(gap, f"were not delivered to the parked flow {wanted.flow_id.decode()}")
        await self._history.record_skip((gap.topic, gap.partition), Skipped(gap.first, gap.next, "ACCEPT_GAPS"))

    async def close(self) -> None:
        """See the port."""
        free, self._free = self._free, []
        await asyncio.gather(*(reader.close() for reader in free))

    def _take(self, wanted: Wanted) -> "Reader":
        """The one that is there already; else a new one, while there may be more; else the one that was used least
        lately.
        """
        for reader in self._free:
            if reader.is_at(wanted):
                self._free.remove(reader)
                return reader
        return self._free.pop(0) if len(self._free) >= CONSUMERS else Reader(self._settings)


class Reader:
    """One consumer, and what it fetched beyond the last page."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader: AssignedReader | None = None
        self._place: TopicPartition | None = None
        self._offset = 0  # everything below was looked at
        self._position = 0  # everything below was fetched
        self._fetched: deque[ConsumerRecord] = deque()

    def is_at(self, wanted: Wanted) -> bool:
        """Whether it can go on without being moved."""
        return self._place == wanted.place and self._offset == wanted.offset

    async def read(self, wanted: Wanted) -> Page:
        """Return the next page; raises ReadInterrupted."""
        gone = 0 if self.is_at(wanted) else await self._move(wanted.place, wanted.offset)
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
        """Close the connections to the broker."""
        reader, self._reader, self._place = self._reader, None, None
        if reader is not None:
            await reader.close()

    async def _move(self, place: TopicPartition, offset: int) -> int:
        """Begin anew at an offset, or at the log start; return how many offsets are gone in between."""
        reader = await self._opened()
        self._place, self._fetched = None, deque()
        start = (await reader.assign({place: offset}))[place]
        self._offset = self._position = max(start, offset)
        self._place = place
        return max(0, start - offset)

    async def _fetch(self) -> bool:
        """Return whether something came; raises ReadInterrupted where the log was cut: the next read begins anew."""
        reader = await self._opened()
        assert self._place is not None
        self._fetched.extend(await reader.read(_CHUNK_RECORDS))
        self._position = (await reader.positions([self._place]))[self._place]
        return bool(self._fetched)

    async def _opened(self) -> AssignedReader:
        if self._reader is None:
            self._reader = AssignedReader(self._settings, wait_seconds=_WAIT_SECONDS, fetch_bytes=_FETCH_BYTES)
            await self._reader.open()
        return self._reader
