"""One destination: takes lanes from its outbox, and makes calls of their heads.

outbox ─► call ─► Stream.put ─► classify_response ─► settlement ─┬─ delivered ──────────► the next head
   ▲                                                             ├─ rejected for good ──► dead letter, the next head
   └──────── the same head again ────────────────────────────────┴─ anything else
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from processor.delivery.kinesis.fence import FENCED, Fence
from processor.delivery.kinesis.responses import classify_response
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.calls import Call, CallWindow
from processor.delivery.lanes.health import Health
from processor.delivery.lanes.lanes import FlowLanes, Lane, RouteState
from processor.delivery.lanes.order_check import OrderCheck
from processor.delivery.lanes.outbox import Outbox
from processor.delivery.lanes.progress import Progress
from processor.delivery.lanes.settlement import Settlement
from processor.delivery.lanes.shard_rates import ShardRates
from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import OpenStream, Stream
from processor.foundation.clocks import Clock, Draw
from schemas.destination import Destination

FENCED_SECONDS: Final = 0.1  # between two looks at a fence that is closed


@dataclass(frozen=True, slots=True)
class SenderDeps:
    """Everything that senders need beside their lanes.

    `follow_catalog` routes every flow by the destination now in force (G9).
    """

    fence: Fence
    open_stream: OpenStream
    limits: DeliveryLimits
    clock: Clock
    draw: Draw
    follow_catalog: Callable[[], None]


class Sender:
    """The route to one destination. Everything but `Stream.put` happens on the event loop, in one piece: no locks."""

    def __init__(self, destination: Destination, backlog: Backlog, deps: SenderDeps) -> None:
        self.destination = destination
        self._deps = deps
        self._clock = deps.clock
        self._limits = deps.limits
        self._rates = ShardRates(deps.limits.shard)
        self._outbox = Outbox(deps.limits, deps.clock, self._rates)
        self._window = CallWindow(deps.limits.calls_in_flight)
        self._health = Health(destination, deps.limits, deps.clock, deps.draw)
        self._settlement = Settlement(
            self, backlog, self._outbox, self._window, self._health, self._rates, deps.limits, deps.draw
        )
        self._order = OrderCheck(destination)
        self._calls: set[Call] = set()
        self._answered_at = 0.0
        self._stream: Stream | None = None
        self._retired = False
        self._wake = asyncio.Event()

    def add(self, lane: Lane) -> None:
        """Have the lane wait: its head may leave."""
        lane.paid = False
        self._outbox.add(lane)
        self._wake.set()

    def remove(self, flow: FlowLanes) -> list[Lane]:
        """Give back the lanes of a flow; those in flight return by the flow's new route."""
        return self._outbox.remove(flow)

    def drop_emptied(self) -> None:
        """Forget lanes whose records were all taken away."""
        self._outbox.drop_emptied()

    def state(self) -> RouteState:
        """Return whether it is paused, and what went wrong last."""
        state = self._health.state()._replace(silent_since=self._silent_since(), is_idle=self._is_idle())
        return state if self._deps.fence.is_open() else state._replace(trouble=FENCED)

    def _silent_since(self) -> float | None:
        began_at = min((call.began_at for call in self._calls), default=None)
        return None if began_at is None else max(began_at, self._answered_at)

    def _is_idle(self) -> bool:
        return self._health.opens_at <= self._clock() and self._free_slots() > 0 and not self._outbox.is_held_up()

    def carries(self, progresses: Collection[Progress]) -> bool:
        """Return whether a record of one of these is in flight."""
        return any(call.carries(progresses) for call in self._calls)

    def retire(self) -> None:
        """Begin no more calls; `run` ends when those in flight have."""
        self._retired = True
        self._wake.set()

    async def run(self) -> None:
        """Send until the sender is retired."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while not self._retired or self._calls:
                    self._wake.clear()
                    self._begin_calls(tasks)
                    await self._wait_until(self._due_at())
        finally:
            self._close()

    def _begin_calls(self, tasks: asyncio.TaskGroup) -> None:
        self._deps.follow_catalog()
        while self._free_slots() > 0 and self._clock() >= self._health.opens_at and self._deps.fence.is_open():
            lanes = self._take()
            if not lanes:
                return
            for lane in lanes:
                lane.depart()
            is_probe = self._health.paused is not None
            call = Call(lanes, self._window.round, is_probe=is_probe, began_at=self._clock())
            self._calls.add(call)
            tasks.create_task(self._call(self._opened(), call))

    def _free_slots(self) -> int:
        if self._retired:
            return 0
        return (self._window.size if self._health.paused is None else 1) - len(self._calls)

    def _take(self) -> list[Lane]:
        paused = self._health.paused
        if paused is None:
            return self._outbox.take(self._limits.max_records_per_call)
        rejects_everything = self._health.rejects_everything
        lanes = self._outbox.take_one() if rejects_everything else self._outbox.take(self._limits.probe_records)
        if lanes and paused.mended_by_new_credentials:
            self._close()
        return lanes

    def _due_at(self) -> float | None:
        """Return when a call may begin; None: only after something happened."""
        due = self._outbox.due_at()
        if due is None or self._free_slots() <= 0:
            return None
        earliest = 0.0 if self._deps.fence.is_open() else self._clock() + FENCED_SECONDS
        return max(due, self._health.opens_at, earliest)

    async def _wait_until(self, due_at: float | None) -> None:
        """Wait until then, or until something happens."""
        try:
            async with asyncio.timeout(None if due_at is None else max(0.0, due_at - self._clock())):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _call(self, stream: Stream, call: Call) -> None:
        response: object
        try:
            response = await stream.put(call.exports())
        except Exception as error:  # whatever it is, its classification says what to do with it
            response = error
        self._calls.discard(call)
        self._answered_at = self._clock()
        outcome = classify_response(response, len(call.lanes))
        self._order.check(call.lanes, response, outcome)
        self._rates.learn(call.lanes, response, outcome, self._clock())
        self._settlement.settle(call, outcome)
        self._wake.set()

    def _opened(self) -> Stream:
        if self._stream is None:
            self._stream = self._deps.open_stream(self.destination)
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
