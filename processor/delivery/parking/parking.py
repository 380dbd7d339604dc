"""Flows that wait for their destination without making others wait: parked on `exports` itself, which keeps everything
anyway.

    a flow's destination is stuck (paused, or nothing was answered), for `park_after_seconds` or with too much in
    memory, or takes less than comes, so that others would wait for it (`slow.py`)
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

from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes
from processor.delivery.lanes.outbox import Clock
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.catch_up import CatchUp
from processor.delivery.parking.inherited import TakenOver, taken_over
from processor.delivery.parking.intervals import at_rest, flying_of, inherited_stay, new_stay, waiting_of
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.row_writer import RowWriter
from processor.delivery.parking.unavailable import Stuck, most_to_probe, must_leave_memory, stuck_flows
from processor.delivery.ports import ParkedPlaces
from processor.delivery.slow_destinations import SlowFlows
from schemas.parked_flow import ParkedFlowRow

LOOK_SECONDS: Final = 0.25
SLOW: Final = "slow"  # in the log, where a PauseReason may stand

log = structlog.get_logger(__name__)


class Times(NamedTuple):
    """`wall_clock` in seconds since 1970; `may_send`: whether what is owned is still owned for certain (`fence.py`)."""

    clock: Clock
    wall_clock: Clock
    may_send: Callable[[], bool]


class Parking:
    """Who is parked in `partitions`, the partitions of `exports` that are open.

    `changed` is called when progress may have moved.
    """

    def __init__(
        self,
        backlog: Backlog,
        partitions: Mapping[int, PartitionProgress],
        places: ParkedPlaces,
        limits: DeliveryLimits,
        times: Times,
        changed: Callable[[], None],
    ) -> None:
        self._backlog, self._partitions, self._places, self._limits, self._times, self._changed = (
            backlog,
            partitions,
            places,
            limits,
            times,
            changed,
        )
        self._parked: dict[tuple[int, str], ParkedFlow] = {}
        self._catch_up = CatchUp(backlog, places.log, limits, self._parked.values)
        self._rows = RowWriter(places.rows, times.clock)
        self._slow = SlowFlows(backlog, limits)
        self._tasks: asyncio.TaskGroup | None = None
        self._begun: set[str] = set()  # stays that are followed, by the tasks
        self._hurried: set[PartitionProgress] = set()

    async def run(self) -> None:
        """For ever; raises what the ports raise."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for parked in list(self._parked.values()):
                    self._begin(parked, self._partitions[parked.partition])
                while True:
                    await self._look()
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._tasks = None
            await self._places.log.close()

    async def take_over(self, live: PartitionProgress, rows: Mapping[str, ParkedFlowRow]) -> None:
        """Go on with what earlier owners of a partition say in `rows`, by their keys; returns when that is written as
        our own.

        They were read while the group held the partition for us, and nothing of it was delivered yet.
        """
        ours = [self._took_over(live, each) for each in taken_over(rows.values(), live.position)]
        await self._rows.write(ours)
        if live.is_leaving:
            return  # released meanwhile: the next owner goes on, from the rows of before or from these
        for parked in ours:
            parked.become_durable()
            self._register(parked, live)
        await self._rows.remove(live.partition, rows)
        for parked in ours:
            self._begin(parked, live)

    def forget(self, live: PartitionProgress) -> None:
        """A takeover came to nothing: the next one reads what earlier owners say."""
        for place, parked in list(self._parked.items()):
            if live.parked.get(parked.flow_id) is parked:
                parked.revoke()
                del self._parked[place]

    def hurry(self, leaving: Iterable[PartitionProgress]) -> None:
        """Park at once, until `leave`, what in these waits for a destination that is stuck: it would keep gaps open."""
        self._hurried.update(leaving)
        if self._tasks is not None:
            self._park_stuck()

    def of_partitions(self, partitions: Collection[PartitionProgress]) -> list[ParkedFlow]:
        """Who is parked there."""
        numbers = {progress.partition for progress in partitions}
        return [parked for (partition, _), parked in self._parked.items() if partition in numbers]

    def of_flow(self, flow_id: str) -> list[ParkedFlow]:
        """Where a flow is parked."""
        return [parked for (_, parked_id), parked in self._parked.items() if parked_id == flow_id]

    def is_behind(self) -> bool:
        """Whether a flow has records that are not in memory."""
        return any(parked.until is None for parked in self._parked.values())

    async def leave(self, leaving: Collection[ParkedFlow]) -> None:
        """Say the last word of these, which were revoked and have nothing in flight: their next owner goes on from
        there.
        """
        self._hurried.clear()
        for place in [place for place, parked in self._parked.items() if parked in leaving]:
            del self._parked[place]
        await self._rows.write(leaving)

    # who is parked --------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        if not self._times.may_send():
            return  # others may own what we have, and write its rows
        self._park_stuck()
        self._park_slow()
        await self._rows.write_stale(self._parked.values())
        self._end_what_is_over()

    def _park_stuck(self) -> None:
        for stuck in stuck_flows(self._backlog, self._times.clock()):
            must_leave = must_leave_memory(stuck, self._backlog, self._limits)
            for live in (*self._partitions.values(), *self._hurried):
                if (must_leave or (stuck.is_certain and live in self._hurried)) and self._must_leave_again(stuck, live):
                    self._park(stuck.flow, live, self._pause(stuck))
                self._note_pause(stuck, live)

    def _park_slow(self) -> None:
        parked = {flow_id for (_, flow_id), each in self._parked.items() if each.until is None}
        for flow in self._slow.find(parked, self._times.clock()):
            for live in self._partitions.values():
                before = self._parked.get((live.partition, flow.id))
                if before is None or before.until is not None:
                    self._park(flow, live, None)

    def _note_pause(self, stuck: Stuck, live: PartitionProgress) -> None:
        parked = self._parked.get((live.partition, stuck.flow.id))
        if (
            parked is not None
            and parked.until is None
            and (stuck.is_certain or stuck.seconds >= self._limits.park_after_seconds)
        ):
            parked.pause(*self._pause(stuck))

    def _pause(self, stuck: Stuck) -> tuple[PauseReason, float]:
        return stuck.reason or PauseReason.UNREACHABLE, self._times.wall_clock() - stuck.seconds

    def _must_leave_again(self, stuck: Stuck, live: PartitionProgress) -> bool:
        """Whether a flow that is parked already has come to hold memory that others need to catch up: what was read, or
        came back from calls.
        """
        parked = self._parked.get((live.partition, stuck.flow.id))
        if parked is None or parked.until is not None:
            return True
        most = most_to_probe(stuck.flow.route.state(), self._limits)
        return (
            stuck.seconds >= self._limits.park_after_seconds
            and parked.outstanding > most
            and at_rest(stuck.flow, parked) > most
        )

    def _park(self, flow: FlowLanes, live: PartitionProgress, pause: tuple[PauseReason, float] | None) -> None:
        """Take what waits out of memory; if something of it is on its way to the dead letters, at the next look.

        `pause` None: it is only slow.
        """
        if live.is_revoked:
            return
        before = self._parked.get((live.partition, flow.id))
        mine = {live} if before is None else {live, before}
        waiting = waiting_of(flow, mine)
        if not waiting or self._backlog.is_condemning(flow, mine):
            return
        parked = new_stay(before, flow, live, waiting, self._places.new_stay())
        parked.take_flying(flying_of(flow, mine))
        if pause is None:
            parked.expect_delivery()
        else:
            parked.pause(*pause)
        self._backlog.hand_over(flow, mine, parked)
        if before is not None:
            before.revoke()
        self._register(parked, live)
        assert self._tasks is not None
        self._begun.add(parked.stay)
        offsets = [each.export.record.offset for each in waiting if each.progress is live]
        self._tasks.create_task(self._enter(parked, live, offsets, before))
        reason = SLOW if parked.reason is None else parked.reason.value
        log.info(
            "flow_parked",
            flow=flow.id,
            partition=live.partition,
            reason=reason,
            records=parked.waiting,
            first=parked.next_offset,
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

    def _took_over(self, live: PartitionProgress, found: TakenOver) -> ParkedFlow:
        parked = inherited_stay(found, live, self._places.new_stay())
        self._backlog.flow(found.flow_id)
        fields = {"flow": found.flow_id, "partition": live.partition, "reason": found.reason}
        log.info("parked_flow_taken_over", **fields, records=found.waiting, first=found.known.first)
        return parked

    def _register(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        self._parked[parked.partition, parked.flow_id] = live.parked[parked.flow_id] = parked

    def _begin(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        if self._tasks is not None and parked.stay not in self._begun:
            self._begun.add(parked.stay)
            self._tasks.create_task(self._follow(parked, live))

    async def _follow(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._catch_up.count(parked))
            await self._catch_up.run(parked, live)
        self._slow.rest(parked.flow_id, self._times.clock())
        self._begun.discard(parked.stay)
        self._changed()

    def _end_what_is_over(self) -> None:
        for place, parked in list(self._parked.items()):
            live = self._partitions.get(parked.partition)
            if live is not None and parked.is_over(live.next_offset):
                del self._parked[place], live.parked[parked.flow_id]
                self._backlog.flow(parked.flow_id).counts.gone += parked.gone
                assert self._tasks is not None
                self._tasks.create_task(self._rows.remove(parked.partition, [parked.key]))
