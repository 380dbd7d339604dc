"""One destination: takes lanes from its outbox, makes calls, and does with each record what the answer says.

outbox ─► call ─► Stream.put ─► judge ─┬─ delivered ───────────────► the lane's next head
   ▲                                   ├─ rejected for good ───────► dead letter, the lane's next head
   └──────── the same head again ──────┴─ anything else
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from processor.delivery.backoff import Draw
from processor.delivery.kinesis.fence import FENCED, Fence
from processor.delivery.kinesis.responses import Fault, FaultKind, Verdict, judge
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.calls import Call, CallWindow
from processor.delivery.lanes.health import Health
from processor.delivery.lanes.lanes import FlowLanes, Lane, RouteState
from processor.delivery.lanes.order_check import OrderCheck
from processor.delivery.lanes.outbox import Clock, Outbox
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.lanes.shard_rates import ShardRates
from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import OpenStream, Stream
from schemas.dead_letter import DeadLetterReason
from schemas.destination import Destination

FENCED_SECONDS: Final = 0.1  # between two looks at a fence that is closed


@dataclass(frozen=True, slots=True)
class Outside:
    """What senders need beside their lanes.

    `follow_catalog` routes every flow by the destination now in force (contract G9).
    """

    fence: Fence
    open_stream: OpenStream
    limits: DeliveryLimits
    clock: Clock
    draw: Draw
    follow_catalog: Callable[[], None]


class Sender:
    """The route to one destination. Everything but `Stream.put` happens on the event loop, in one piece: no locks."""

    def __init__(self, destination: Destination, backlog: Backlog, outside: Outside) -> None:
        self.destination = destination
        self._backlog = backlog
        self._outside = outside
        self._limits = outside.limits
        self._rates = ShardRates(outside.limits.shard)
        self._outbox = Outbox(outside.limits, outside.clock, self._rates)
        self._window = CallWindow(outside.limits.calls_in_flight)
        self._health = Health(destination, outside.limits, outside.clock, outside.draw)
        self._order = OrderCheck(destination)
        self._calls: set[Call] = set()
        self._answered_at = 0.0
        self._stream: Stream | None = None
        self._retired = False
        self._wake = asyncio.Event()

    def add(self, lane: Lane) -> None:
        """The lane's head may leave."""
        lane.paid = False
        self._outbox.add(lane)
        self._wake.set()

    def remove(self, flow: FlowLanes) -> list[Lane]:
        """Give up the lanes of a flow; those in flight return by the flow's new route."""
        return self._outbox.remove(flow)

    def drop_emptied(self) -> None:
        """Forget lanes whose records were all taken away."""
        self._outbox.drop_emptied()

    def state(self) -> RouteState:
        """Whether it is paused, and what went wrong last."""
        state = self._health.state()._replace(silent_since=self._silent_since(), is_idle=self._is_idle())
        return state if self._outside.fence.is_open() else state._replace(trouble=FENCED)

    def _silent_since(self) -> float | None:
        began_at = min((call.began_at for call in self._calls), default=None)
        return None if began_at is None else max(began_at, self._answered_at)

    def _is_idle(self) -> bool:
        return (
            self._health.opens_at <= self._outside.clock() and self._free_slots() > 0 and not self._outbox.is_held_up()
        )

    def carries(self, partitions: Collection[PartitionProgress]) -> bool:
        """Whether a record of one of these partitions is in flight."""
        return any(call.carries(partitions) for call in self._calls)

    def retire(self) -> None:
        """Begin no more calls; `run` ends when those in flight have."""
        self._retired = True
        self._wake.set()

    async def run(self) -> None:
        """Send until retired."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while not self._retired or self._calls:
                    self._wake.clear()
                    self._begin_calls(tasks)
                    await self._woken(self._due_at())
        finally:
            self._close()

    def _begin_calls(self, tasks: asyncio.TaskGroup) -> None:
        self._outside.follow_catalog()
        while (
            self._free_slots() > 0 and self._outside.clock() >= self._health.opens_at and self._outside.fence.is_open()
        ):
            lanes = self._take()
            if not lanes:
                return
            for lane in lanes:
                lane.in_flight = True
                lane.flow.counts.retried += lane.tries > 0
                lane.tries += 1
            call = Call(
                lanes, self._window.round, is_probe=self._health.paused is not None, began_at=self._outside.clock()
            )
            self._calls.add(call)
            tasks.create_task(self._call(self._opened(), call))

    def _free_slots(self) -> int:
        if self._retired:
            return 0
        return (self._window.size if self._health.paused is None else 1) - len(self._calls)

    def _take(self) -> list[Lane]:
        if self._health.paused is None:
            return self._outbox.take(self._limits.max_records_per_call)
        lanes = self._outbox.take_one() if self._health.takes_nothing else self._outbox.take(self._limits.probe_records)
        if lanes and self._health.paused.mended_by_new_credentials:
            self._close()
        return lanes

    def _due_at(self) -> float | None:
        """When there may be something to begin; None: only after something happened."""
        due = self._outbox.due_at()
        if due is None or self._free_slots() <= 0:
            return None
        earliest = 0.0 if self._outside.fence.is_open() else self._outside.clock() + FENCED_SECONDS
        return max(due, self._health.opens_at, earliest)

    async def _woken(self, due_at: float | None) -> None:
        try:
            async with asyncio.timeout(None if due_at is None else max(0.0, due_at - self._outside.clock())):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _call(self, stream: Stream, call: Call) -> None:
        outcome: object
        try:
            outcome = await stream.put(call.exports())
        except Exception as error:  # whatever it is, the verdict says what to do with it
            outcome = error
        self._calls.discard(call)
        self._answered_at = self._outside.clock()
        verdict = judge(outcome, len(call.lanes))
        self._order.note(call.lanes, outcome, verdict)
        self._rates.note(call.lanes, outcome, verdict, self._outside.clock())
        self._settle(call, verdict)
        self._wake.set()

    def _settle(self, call: Call, verdict: Verdict) -> None:
        if verdict.whole is not None:
            self._settle_failed(call, verdict.whole)
            return
        lanes, faults = call.lanes, verdict.faults
        kinds = Counter(fault.kind for fault in faults.values())
        rejected = (
            [lanes[index] for index, fault in faults.items() if fault.kind is FaultKind.REJECTED]
            if kinds[FaultKind.REJECTED]
            else []
        )
        self._note_first_rejections(rejected)
        if len(faults) < len(lanes):
            self._health.delivered()
        if rejected:
            self._note_rejections(
                rejected, next(fault for fault in faults.values() if fault.kind is FaultKind.REJECTED)
            )
        if not kinds[FaultKind.REFUSED]:
            self._note_answer(call)
        self._health.entries_failed(faults.values())
        self._adapt(call, kinds[FaultKind.THROTTLED])
        self._backlog.delivered([lane for index, lane in enumerate(lanes) if index not in faults] if faults else lanes)
        for index, fault in faults.items():
            for lane in self._backlog.still_ours([lanes[index]]):
                self._settle_entry(lane, fault)

    def _note_answer(self, call: Call) -> None:
        """A pause ends by a probe, not by a call that was in flight before it."""
        if call.is_probe or self._health.paused is None:
            self._health.answered()

    def _note_first_rejections(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            if not lane.rejections:
                lane.rejected_after = self._health.deliveries

    def _note_rejections(self, lanes: Sequence[Lane], fault: Fault) -> None:
        """Of single records: while others were delivered, they are the records' own."""
        unexplained = [lane for lane in lanes if lane.rejected_after == self._health.deliveries]
        if unexplained:
            self._health.rejected(unexplained, fault)

    def _adapt(self, call: Call, throttled: int) -> None:
        """Fewer calls when half of a call is too much; less than that is a few shards' matter, and their lanes back
        off.
        """
        if throttled * 2 >= len(call.lanes):
            self._window.narrow(call.round)
        else:
            self._window.widen()

    def _settle_entry(self, lane: Lane, fault: Fault) -> None:
        lane.flow.counts.throttled += fault.kind is FaultKind.THROTTLED
        if fault.kind is FaultKind.REJECTED:
            self._reject(lane, fault)
        elif fault.kind is FaultKind.REFUSED:
            self._health.refused(fault)
            self._return([lane])
        elif fault.kind is FaultKind.THROTTLED and self._rates.knows(lane):
            self._return_to_its_shard(lane)
        else:
            self._return_later(lane)

    def _settle_failed(self, call: Call, fault: Fault) -> None:
        lanes = self._backlog.still_ours(call.lanes)
        if fault.kind is FaultKind.REJECTED:
            if len(call.lanes) == 1:
                self._note_first_rejections(call.lanes)
                self._note_rejections(call.lanes, fault)
            self._note_answer(call)
            self._narrow_down(lanes, fault, alone=len(call.lanes) == 1)
            return
        if fault.kind is FaultKind.REFUSED:
            self._health.refused(fault)
            self._outbox.dissolve_groups()
        elif call.is_probe or self._health.paused is None:
            self._health.failed(fault)
        if fault.kind is FaultKind.THROTTLED:
            self._window.narrow(call.round)
            for lane in lanes:
                lane.flow.counts.throttled += 1
        self._return(lanes)

    def _narrow_down(self, lanes: list[Lane], fault: Fault, alone: bool) -> None:
        """Nobody says which record is at fault: halve the call until it is alone."""
        if alone:
            for lane in lanes:
                self._reject(lane, fault)
            return
        if self._health.takes_nothing:
            self._return_behind(lanes)
            return
        mine = self._mine(lanes)
        half = (len(mine) + 1) // 2
        self._outbox.add_group(mine[:half])
        self._outbox.add_group(mine[half:])

    def _reject(self, lane: Lane, fault: Fault) -> None:
        if self._health.takes_nothing:
            lane.rejections = min(
                lane.rejections + 1, max(self._limits.max_rejections - 1, 1)
            )  # the last one is for when others are taken
            self._return_behind([lane])
            return
        lane.rejections += 1
        if lane.rejections < self._limits.max_rejections:
            self._return_later(lane)
        else:
            self._backlog.condemn_head(
                lane, DeadLetterReason.REJECTED, f"Kinesis rejected it {lane.rejections} times: {fault}"
            )

    def _return(self, lanes: Sequence[Lane]) -> None:
        if self._health.takes_nothing:
            self._return_behind(lanes)
        else:
            self._outbox.put_back(self._mine(lanes))

    def _return_later(self, lane: Lane) -> None:
        lane.failures += 1
        for mine in self._mine([lane]):
            self._outbox.add_later(mine, self._limits.backoff.seconds(mine.failures, self._outside.draw))

    def _return_to_its_shard(self, lane: Lane) -> None:
        """The shard's pace says when; its own failures are none of it."""
        self._return_behind([lane])

    def _return_behind(self, lanes: Sequence[Lane]) -> None:
        """Others leave before them."""
        for mine in self._mine(lanes):
            self._outbox.add(mine)

    def _mine(self, lanes: Sequence[Lane]) -> list[Lane]:
        """The lanes, no longer in flight; those whose flow delivers elsewhere by now go there (contract G9)."""
        for lane in lanes:
            lane.in_flight = False
            if lane.flow.route is not self:
                lane.flow.route.add(lane)
        return [lane for lane in lanes if lane.flow.route is self]

    def _opened(self) -> Stream:
        if self._stream is None:
            self._stream = self._outside.open_stream(self.destination)
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
