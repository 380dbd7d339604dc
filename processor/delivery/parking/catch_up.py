"""Brings a parked flow's records from `exports` back into its lanes, a window of them at a time, until it is where its
partition is.

A destination that is unavailable, or not proved to be available, is brought as many as a probe takes; nothing more is
read before something of them is finished. One that rejects whatever it is sent is brought more as soon as each lane's
head was sent: it may be these records that are at fault, and the next one would be taken.

What is brought is bounded for all parked flows together, apart from what the group's consumer brings, so neither waits
for the other's room; and of that each has a share, less than there is, so that one that is slow leaves room to those
that are not. A flow that has nothing in memory may always have one record.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import RouteState
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.unavailable import most_to_probe
from processor.delivery.ports import ExportsLog, Page
from schemas.kafka import BadRecord, ConsumerRecord
from schemas.wire.exports import decode_export

END_SECONDS: Final = 1.0  # between two looks at a log that had nothing
_log = structlog.get_logger(__name__)


class CatchUp:
    """Reads for all parked flows; `all_parked` tells of which there are."""

    def __init__(
        self, backlog: Backlog, log: ExportsLog, limits: DeliveryLimits, all_parked: Callable[[], Iterable[ParkedFlow]]
    ) -> None:
        self._backlog, self._log, self._limits, self._all_parked = backlog, log, limits, all_parked

    async def run(self, parked: ParkedFlow, partition: PartitionProgress) -> None:
        """Until the flow has joined `partition` again, or is leaving."""
        while not parked.is_leaving:
            parked.changed.clear()
            if self._may_join(parked, partition):
                parked.join()
                _log.info("flow_caught_up", flow=parked.flow_id, partition=parked.partition, position=parked.until)
                return
            if not self._wants_more(parked):
                await self._something_happened(parked)
            elif not await self._bring(parked):
                await _within(END_SECONDS, parked.changed)

    async def count(self, parked: ParkedFlow) -> None:
        """Count what went by between the last row of an earlier owner and where we began."""
        offset, up_to = parked.uncounted or (0, 0)
        while offset < up_to and not parked.is_leaving and parked.until is None:
            page = await self._log.read(
                parked.partition, offset, parked.flow_id, self._limits.max_records_per_call, self._limits.max_call_bytes
            )
            parked.count(record.offset for record in page.records if record.offset < up_to)
            if page.next_offset <= offset:
                await _within(END_SECONDS, parked.changed)
            offset = page.next_offset
            parked.uncounted = (offset, up_to)

    def _may_join(self, parked: ParkedFlow, partition: PartitionProgress) -> bool:
        """Whether the reader has been everywhere where the partition was; and, with a pause, nothing waits for its
        end.
        """
        if parked.position < partition.position or not parked.is_past_what_is_known or self._is_stuck(parked):
            return False
        return not parked.is_probing or not parked.outstanding

    async def _something_happened(self, parked: ParkedFlow) -> None:
        if self._state(parked).takes_nothing:
            await _within(END_SECONDS, parked.changed)
        else:
            await parked.changed.wait()

    def _wants_more(self, parked: ParkedFlow) -> bool:
        if not parked.outstanding:
            return True
        if self._state(parked).takes_nothing:
            return parked.outstanding < most_to_probe(self._state(parked), self._limits) and self._needs_other_lanes(
                parked
            )
        return not self._is_probing(parked) and self._has_room(parked)

    def _needs_other_lanes(self, parked: ParkedFlow) -> bool:
        """Whether the head of every lane in memory was sent, and others that are parked would still have half of their
        room.
        """
        limits, held, mine = self._limits, self._backlog.parked, self._backlog.flow(parked.flow_id)
        if 4 * held.records >= limits.max_buffered_records or 4 * held.size_bytes >= limits.max_buffered_bytes:
            return False
        return 2 * mine.parked.size_bytes < self._share_bytes() and all(lane.tries for lane in mine.lanes.values())

    def _has_room(self, parked: ParkedFlow) -> bool:
        limits, held, mine = self._limits, self._backlog.parked, self._backlog.flow(parked.flow_id).parked
        is_below_its_share = parked.outstanding < self._window() // 2 and 2 * mine.size_bytes < self._share_bytes()
        return (
            is_below_its_share
            and 2 * held.records < limits.max_buffered_records
            and 2 * held.size_bytes < limits.max_buffered_bytes
        )

    async def _bring(self, parked: ParkedFlow) -> bool:
        """Read on; whether that moved the reader."""
        records, size_bytes = self._room(parked)
        before = parked.position
        page = await self._log.read(parked.partition, before, parked.flow_id, records, size_bytes)
        if parked.is_leaving:
            return False
        self._note_gone(parked, page)
        for record in page.records:
            self._take_in(parked, record)
        parked.reach(page.next_offset)
        return parked.position > before

    def _take_in(self, parked: ParkedFlow, record: ConsumerRecord) -> None:
        if not parked.wants(record.offset):
            return
        try:
            export = decode_export(record)
        except BadRecord:
            return  # belongs to no flow: the partition's own progress makes it a dead letter
        parked.note_timestamp(record.offset, record.timestamp)
        self._backlog.take_in(export, parked)

    def _note_gone(self, parked: ParkedFlow, page: Page) -> None:
        if page.gone:
            first = parked.position
            _log.error(
                "parked_records_gone",
                flow=parked.flow_id,
                partition=parked.partition,
                offsets=page.gone,
                first=first,
                next=first + page.gone,
            )
            parked.lose(page.gone)

    def _room(self, parked: ParkedFlow) -> tuple[int, int]:
        """How many records, and bytes, may be read now: a probe's worth, or one record, also where there is no room."""
        limits, held, mine = self._limits, self._backlog.parked, self._backlog.flow(parked.flow_id).parked
        most = limits.max_buffered_records // 2 - held.records
        size_bytes = min(limits.max_buffered_bytes // 2 - held.size_bytes, self._share_bytes() - mine.size_bytes)
        if size_bytes <= 0:
            return 1, 1
        if self._is_probing(parked):
            return limits.probe_records, min(size_bytes, limits.max_record_bytes)
        return max(min(most, self._window() - parked.outstanding), limits.probe_records), size_bytes

    def _window(self) -> int:
        """Records of one parked flow in one partition that may be in memory."""
        catching_up = sum(not parked.is_probing for parked in self._all_parked())
        return max(self._limits.max_buffered_records // 2 // (catching_up + 1), self._limits.probe_records)

    def _share_bytes(self) -> int:
        """Bytes of one parked flow that may be in memory."""
        catching_up = {parked.flow_id for parked in self._all_parked() if not parked.is_probing}
        return self._limits.max_buffered_bytes // 2 // (len(catching_up) + 1)

    def _is_probing(self, parked: ParkedFlow) -> bool:
        return parked.is_probing or self._is_stuck(parked)

    def _is_stuck(self, parked: ParkedFlow) -> bool:
        return self._state(parked).stuck_since is not None

    def _state(self, parked: ParkedFlow) -> RouteState:
        return self._backlog.flow(parked.flow_id).route.state()


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
