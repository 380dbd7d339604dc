"""A parked flow's records are brought from `exports` back into its lanes, until it is where its partition is.

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
    """Reads a window at a time for all parked flows; `all_parked` tells which there are."""

    def __init__(
        self, backlog: Backlog, log: ExportsLog, limits: DeliveryLimits, all_parked: Callable[[], Iterable[ParkedFlow]]
    ) -> None:
        self._backlog, self._log, self._limits, self._all_parked = backlog, log, limits, all_parked
        self._budget = backlog.parked

    async def run(self, parked: ParkedFlow, partition: PartitionProgress) -> None:
        """Bring records until the flow has joined `partition` again, or is revoked."""
        while not parked.is_closing:
            parked.changed.clear()
            if self._may_join(parked, partition):
                parked.join()
                _log.info("flow_caught_up", flow=parked.flow_id, partition=parked.partition, position=parked.until)
                return
            if not self._wants_more(parked):
                await self._wait_for_change(parked)
            elif not await self._bring(parked):
                await _wait_at_most(END_SECONDS, parked.changed)

    async def count(self, parked: ParkedFlow) -> None:
        """Count what was skipped between the last row of an earlier owner and where we began."""
        offset, up_to = parked.uncounted or (0, 0)
        while offset < up_to and not parked.is_closing and parked.until is None:
            page = await self._log.read(
                parked.partition, offset, parked.flow_id, self._limits.max_records_per_call, self._limits.max_call_bytes
            )
            parked.count(record.offset for record in page.records if record.offset < up_to)
            if page.next_offset <= offset:
                await _wait_at_most(END_SECONDS, parked.changed)
            offset = page.next_offset
            parked.uncounted = (offset, up_to)

    def _may_join(self, parked: ParkedFlow, partition: PartitionProgress) -> bool:
        """Return whether the reader was everywhere where the partition was, and, with a pause, all it read is done."""
        reader = parked.reader
        if reader.position < partition.position or not reader.is_past_what_is_known or self._is_unavailable(parked):
            return False
        return not parked.is_probing or not parked.outstanding

    async def _wait_for_change(self, parked: ParkedFlow) -> None:
        if self._state(parked).rejects_everything:
            await _wait_at_most(END_SECONDS, parked.changed)
        else:
            await parked.changed.wait()

    def _wants_more(self, parked: ParkedFlow) -> bool:
        if not parked.outstanding:
            return True
        state = self._state(parked)
        if state.rejects_everything:
            return parked.outstanding < most_to_probe(state, self._limits) and self._needs_other_lanes(parked)
        return not self._is_probing(parked) and self._has_room(parked)

    def _needs_other_lanes(self, parked: ParkedFlow) -> bool:
        """Return whether the head of every lane was sent, and other parked flows would keep half of their room."""
        lanes = self._backlog.flow(parked.flow_id).lanes.values()
        return (
            not self._budget.is_half_full() and self._is_below_half_share(parked) and all(lane.tries for lane in lanes)
        )

    def _has_room(self, parked: ParkedFlow) -> bool:
        return (
            parked.outstanding < self._window() // 2 and self._is_below_half_share(parked) and self._budget.has_room()
        )

    def _is_below_half_share(self, parked: ParkedFlow) -> bool:
        return 2 * self._budget.of_flow(parked.flow_id).size_bytes < self._share_bytes()

    async def _bring(self, parked: ParkedFlow) -> bool:
        """Read on; return whether that moved the reader."""
        records, size_bytes = self._room(parked)
        before = parked.reader.position
        page = await self._log.read(parked.partition, before, parked.flow_id, records, size_bytes)
        if parked.is_closing:
            return False
        self._pass_gone(parked, page)
        for record in page.records:
            self._take_in(parked, record)
        parked.reader.reach(page.next_offset)
        return parked.reader.position > before

    def _take_in(self, parked: ParkedFlow, record: ConsumerRecord) -> None:
        if not parked.reader.wants(record.offset):
            return
        try:
            export = decode_export(record)
        except BadRecord:
            return  # belongs to no flow: the partition's own progress makes it a dead letter
        parked.accept(record.offset, record.timestamp)
        self._backlog.add(export, parked)

    def _pass_gone(self, parked: ParkedFlow, page: Page) -> None:
        if page.gone:
            first = parked.reader.position
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
        """Return how many records and bytes may be read now: a probe's worth, or one record where there is no room."""
        limits, budget, mine = self._limits, self._budget, self._budget.of_flow(parked.flow_id)
        size_bytes = min(budget.max_bytes - budget.size_bytes, self._share_bytes() - mine.size_bytes)
        if size_bytes <= 0:
            return 1, 1
        if self._is_probing(parked):
            return limits.probe_records, min(size_bytes, limits.max_record_bytes)
        most = min(budget.max_records - budget.records, self._window() - parked.outstanding)
        return max(most, limits.probe_records), size_bytes

    def _window(self) -> int:
        """Return how many records of one parked flow in one partition may be in memory."""
        catching_up = sum(not parked.is_probing for parked in self._all_parked())
        return max(self._budget.max_records // (catching_up + 1), self._limits.probe_records)

    def _share_bytes(self) -> int:
        """Return how many bytes of one parked flow may be in memory."""
        catching_up = {parked.flow_id for parked in self._all_parked() if not parked.is_probing}
        return self._budget.max_bytes // (len(catching_up) + 1)

    def _is_probing(self, parked: ParkedFlow) -> bool:
        return parked.is_probing or self._is_unavailable(parked)

    def _is_unavailable(self, parked: ParkedFlow) -> bool:
        return self._state(parked).unavailable_since is not None

    def _state(self, parked: ParkedFlow) -> RouteState:
        return self._backlog.flow(parked.flow_id).route.state()


async def _wait_at_most(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
