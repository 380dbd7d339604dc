"""Flows wait for their destination without making others wait: parked on `exports`, which keeps everything anyway.

    a flow's destination is unavailable (paused, or nothing was answered), for `park_after_seconds` or with too much in
    memory, or takes less than comes, so that others would wait for it (`slow_destinations.py`)
      ─► its waiting records leave memory; its row is written ─► only then the partition's progress passes them ─► a
      catch-up reads them again: a few to probe with, all of them when a probe got through or where it is only slow ─►
      where the catch-up has been everywhere, the partition takes the flow's records again ─► at the end the row is
      removed

What a row says must be true whoever reads it whenever (schemas/parked_flow.py). So: a row that parks is durable before
anything passes; a row that ends it is written after the partition took over; a row is removed when the partition's
progress has passed `until`; a new owner writes its own before it removes those it found, and found them while the group
held it for the owner.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.catch_up import CatchUp
from processor.delivery.parking.inherited import InheritedFlow, join_rows
from processor.delivery.parking.intervals import (
    begin_interval,
    in_flight_of,
    resume_interval,
    waiting_of,
)
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.registry import Registry
from processor.delivery.parking.row_writer import RowWriter
from processor.delivery.parking.slow_destinations import SlowFlows
from processor.delivery.parking.unavailable import (
    UnavailableFlow,
    find_unavailable,
    must_leave_memory,
    needs_new_interval,
)
from processor.delivery.ports import ParkingPorts
from processor.foundation.clocks import Clock, WallClock
from schemas.parked_flow import ParkedFlowRow

LOOK_SECONDS: Final = 0.25
SLOW: Final = "slow"  # in the log, where a PauseReason may stand

log = structlog.get_logger(__name__)


class Clocks(NamedTuple):
    """`wall_clock` in seconds since 1970; `may_send`: whether what is owned is still owned for certain (`fence.py`)."""

    clock: Clock
    wall_clock: WallClock
    may_send: Callable[[], bool]


class Parking:
    """Parks flows in `partitions`, the partitions of `exports` that are open, and brings them back.

    `changed` is called when progress may have moved.
    """

    def __init__(
        self,
        backlog: Backlog,
        partitions: Mapping[int, PartitionProgress],
        ports: ParkingPorts,
        limits: DeliveryLimits,
        clocks: Clocks,
        changed: Callable[[], None],
    ) -> None:
        self.flows = Registry()
        self._backlog, self._partitions, self._ports = backlog, partitions, ports
        self._limits, self._clocks, self._changed = limits, clocks, changed
        self._catch_up = CatchUp(backlog, ports.log, limits, lambda: self.flows)
        self._rows = RowWriter(ports.rows, clocks.clock)
        self._slow = SlowFlows(backlog)
        self._tasks: asyncio.TaskGroup | None = None
        self._begun: set[str] = set()  # intervals that are followed, by the tasks
        self._parking_now: set[PartitionProgress] = set()

    async def run(self) -> None:
        """Park flows and bring them back for ever; raise what the ports raise."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for parked in self.flows:
                    self._begin(parked, self._partitions[parked.partition])
                while True:
                    await self._look()
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._tasks = None
            await self._ports.log.close()

    async def take_over(self, live: PartitionProgress, rows: Mapping[str, ParkedFlowRow]) -> None:
        """Go on with what earlier owners of a partition say in `rows`, by their keys; return when it is written anew.

        They were read while the group held the partition for us, and nothing of it was delivered yet.
        """
        ours = [self._inherit(live, each) for each in join_rows(rows.values(), live.position)]
        await self._rows.write(ours)
        if live.is_closing:
            return  # released meanwhile: the next owner goes on, from the rows of before or from these
        for parked in ours:
            parked.become_durable()
            self.flows.add(parked, live)
        await self._rows.remove(live.partition, rows)
        for parked in ours:
            self._begin(parked, live)

    def forget(self, live: PartitionProgress) -> None:
        """Forget a takeover that came to nothing: the next one reads what earlier owners say."""
        for parked in self.flows:
            if live.skipped.get(parked.flow_id) is parked:
                parked.revoke()
                self.flows.remove(parked)

    def park_now(self, closing: Iterable[PartitionProgress]) -> None:
        """Park at once, until `close`, what in these waits for an unavailable destination: it would keep gaps open."""
        self._parking_now.update(closing)
        if self._tasks is not None:
            self._park_unavailable()

    async def close(self, closing: Collection[ParkedFlow]) -> None:
        """Write the last rows of these, which were revoked and have nothing in flight; the next owner goes on there."""
        self._parking_now.clear()
        for parked in closing:
            self.flows.remove(parked)
        await self._rows.write(closing)

    # who is parked --------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        if not self._clocks.may_send():
            return  # others may own what we have, and write its rows
        self._park_unavailable()
        self._park_slow()
        await self._rows.write_stale(self.flows)
        self._end_what_is_over()

    def _park_unavailable(self) -> None:
        for found in find_unavailable(self._backlog, self._clocks.clock()):
            must_leave = must_leave_memory(found, self._backlog, self._limits)
            for live in (*self._partitions.values(), *self._parking_now):
                parked = self.flows.get(live.partition, found.flow.id)
                if (must_leave or (found.is_certain and live in self._parking_now)) and needs_new_interval(
                    found, parked, self._limits
                ):
                    self._park(found.flow, live, self._pause(found))
                self._note_pause(found, live)

    def _park_slow(self) -> None:
        behind = {parked.flow_id for parked in self.flows if parked.until is None}
        for flow in self._slow.find(behind, self._clocks.clock()):
            for live in self._partitions.values():
                before = self.flows.get(live.partition, flow.id)
                if before is None or before.until is not None:
                    self._park(flow, live, None)

    def _note_pause(self, found: UnavailableFlow, live: PartitionProgress) -> None:
        parked = self.flows.get(live.partition, found.flow.id)
        is_pause = found.is_certain or found.seconds >= self._limits.park_after_seconds
        if parked is not None and parked.until is None and is_pause:
            parked.pause(*self._pause(found))

    def _pause(self, found: UnavailableFlow) -> tuple[PauseReason, float]:
        return found.reason or PauseReason.UNREACHABLE, self._clocks.wall_clock() - found.seconds

    def _park(self, flow: FlowLanes, live: PartitionProgress, pause: tuple[PauseReason, float] | None) -> None:
        """Take what waits out of memory; if something of it is on its way to the dead letters, at the next look.

        `pause` None: the destination is only slow.
        """
        if live.is_revoked:
            return
        before = self.flows.get(live.partition, flow.id)
        sources = {live} if before is None else {live, before}
        waiting = waiting_of(flow, sources)
        if not waiting or self._backlog.is_dead_lettering(flow, sources):
            return
        parked = begin_interval(before, flow, live, waiting, self._ports.new_interval(), self._backlog.parked)
        parked.reader.take_in_flight(in_flight_of(flow, sources))
        if pause is None:
            parked.expect_delivery()
        else:
            parked.pause(*pause)
        self._backlog.transfer(flow, sources, parked)
        if before is not None:
            before.revoke()
        self.flows.add(parked, live)
        offsets = [each.export.record.offset for each in waiting if each.progress is live]
        self._start_entering(parked, live, offsets, before)

    def _start_entering(
        self, parked: ParkedFlow, live: PartitionProgress, offsets: Sequence[int], before: ParkedFlow | None
    ) -> None:
        assert self._tasks is not None
        self._begun.add(parked.interval)
        self._tasks.create_task(self._enter(parked, live, offsets, before))
        log.info(
            "flow_parked",
            flow=parked.flow_id,
            partition=live.partition,
            reason=SLOW if parked.reason is None else parked.reason.value,
            records=parked.waiting,
            first=parked.reader.next_offset,
        )

    async def _enter(
        self, parked: ParkedFlow, live: PartitionProgress, offsets: Sequence[int], before: ParkedFlow | None
    ) -> None:
        await self._rows.write([parked])
        for offset in (*offsets, *parked.become_durable()):
            live.finish(offset)  # nobody's: finished it is not
        self._changed()
        if before is not None:
            await self._rows.remove(before.partition, [before.key])
        await self._follow(parked, live)

    def _inherit(self, live: PartitionProgress, found: InheritedFlow) -> ParkedFlow:
        parked = resume_interval(found, live, self._ports.new_interval(), self._backlog.parked)
        self._backlog.flow(found.flow_id)
        fields = {"flow": found.flow_id, "partition": live.partition, "reason": found.reason}
        log.info("parked_flow_taken_over", **fields, records=found.waiting, first=found.known.first)
        return parked

    def _begin(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        if self._tasks is not None and parked.interval not in self._begun:
            self._begun.add(parked.interval)
            self._tasks.create_task(self._follow(parked, live))

    async def _follow(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._catch_up.count(parked))
            await self._catch_up.run(parked, live)
        self._slow.leave_alone(parked.flow_id, self._clocks.clock())
        self._begun.discard(parked.interval)
        self._changed()

    def _end_what_is_over(self) -> None:
        for parked in self.flows:
            live = self._partitions.get(parked.partition)
            if live is not None and parked.is_over(live.next_offset):
                self.flows.remove(parked)
                del live.skipped[parked.flow_id]
                self._backlog.flow(parked.flow_id).counts.gone += parked.gone
                assert self._tasks is not None
                self._tasks.create_task(self._rows.remove(parked.partition, [parked.key]))
