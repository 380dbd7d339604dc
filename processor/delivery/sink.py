"""The Kinesis sink: batches of `exports` in, delivered records and progress out.

take_over, deliver ─► backlog ─► routing ─► sender of the destination ─► Kinesis
                          │                                        │
                          └─► dead letters                         └─► on_delivered(partition, next offset)
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.kinesis.fence import Fence
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.gone_flows import GoneFlows
from processor.delivery.lanes.partitions import OpenPartitions
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.lanes.routing import Routing
from processor.delivery.lanes.sender import Sender, SenderDeps
from processor.delivery.lanes.senders import Senders
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.parking import Clocks, Parking
from processor.delivery.ports import DeadLetters, Destinations, OpenStream, ParkingPorts
from processor.delivery.release import Release
from processor.delivery.sink_state import SinkState
from processor.delivery.status import FlowDelivery, Now, forgotten_of, status_of
from processor.foundation.clocks import Clock, Draw, WallClock
from schemas.destination import Destination
from schemas.kafka import ConsumerRecord
from schemas.parked_flow import ParkedFlowRow

CATALOG_SECONDS: Final = 1.0  # how late a flow that sends nothing notices a change of the catalog
_CHUNK_RECORDS: Final = 500  # accepted in one piece; then others on the event loop have their turn


class NotTakenOver(Exception):
    """Records came of a partition that was not taken over: nobody knows which flows are parked there."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} of exports was not taken over: call Sink.take_over before deliver")
        self.partition = partition


class Sink:
    """Delivers while `run` runs. Home of G1. All methods belong to one event loop.

    `on_delivered(partition, next_offset)`: every record of `exports` fetched below is delivered or a durable dead
    letter, so the offset may be committed. It only grows, from one assignment of the partition to its release.

    `may_send`: whether this worker still owns for certain what it was given (`fence.py`).

    At least once: after a crash, or a release that ended before a call did, records may be sent again; never lost,
    never out of their lane's order.
    """

    def __init__(  # noqa: PLR0913  # everything that delivery has from outside, each by its name
        self,
        *,
        destinations: Destinations,
        open_stream: OpenStream,
        dead_letters: DeadLetters,
        parked: ParkingPorts,
        limits: DeliveryLimits,
        on_delivered: Callable[[int, int], None],
        may_send: Callable[[], bool] = lambda: True,
        clock: Clock = time.monotonic,
        wall_clock: WallClock = time.time,
        draw: Draw = random.random,
    ) -> None:
        self._limits, self._clock, self._wall_clock = limits, clock, wall_clock
        self._state = SinkState()
        self._sender_deps = SenderDeps(Fence(may_send), open_stream, limits, clock, draw, self.follow_catalog)
        self._senders = Senders(self._open_sender)
        self._routing = Routing(destinations, limits.unknown_flow_seconds, clock, self._senders)
        self._backlog = Backlog(dead_letters, limits, self._routing.new_flow, self._note_change)
        self._partitions = OpenPartitions(self._backlog.live, on_delivered)
        clocks = Clocks(clock, wall_clock, may_send)
        open_now = self._partitions.by_number
        self._parking = Parking(self._backlog, open_now, parked, limits, clocks, self._note_change)
        self._gone_flows = GoneFlows(self._backlog, self._is_parked, clock)
        self._release = Release(self._partitions, self._backlog, self._senders, self._parking, limits, self._state)

    async def run(self) -> None:
        """Deliver until `stop` is called.

        Raises what made delivery impossible (as what `DeadLetters.put` raised): the worker must stop.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for_ever = (self._backlog.letters.run(), self._follow_catalog_for_ever(), self._parking.run())
                background = [tasks.create_task(work) for work in for_ever]
                self._senders.start(tasks)
                await self._state.wait_for_stop()
                await self._senders.stop(self._limits.release_seconds)
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as group:
            self._state.failure = _first_of(group)
            raise self._state.failure from None
        finally:
            self._senders.leave_group()
            self._state.end()

    async def take_over(self, partition: int, position: int, rows: Mapping[str, ParkedFlowRow]) -> None:
        """Begin to deliver a partition, which comes from `position` on.

        Of its parked flows, by key, `rows` tell all that was written before. Does nothing where it is open already.
        Raises what `ParkedRows.write` raises; then, and where it is cancelled, it is not open.
        """
        if self.has(partition):
            return
        live = self._partitions.open(partition, position)
        try:
            await self._parking.take_over(live, rows)
        except BaseException:
            self._partitions.undo(live)
            self._parking.forget(live)
            self._release.forget_abandoned()
            raise

    def has(self, partition: int) -> bool:
        """Return whether the partition is open: taken over, and not released since."""
        return partition in self._partitions.by_number

    async def deliver(self, partition: int, records: Sequence[ConsumerRecord], position: int) -> None:
        """Take records of one partition, in the order of their offsets; its batches come one after the other.

        Waits while the buffer is full. `position`: the consumer's position after the batch; with nothing outstanding it
        is the progress. A record taken before is not taken twice; a batch that waits while its partition is released is
        dropped. Raises NotTakenOver, DeliveryStopped, or what ended `run`.
        """
        live = self._partitions.by_number.get(partition)
        if live is None:
            raise NotTakenOver(partition)
        fresh = live.unseen(records)
        taken = 0
        while taken < len(fresh):
            await self._state.wait_until(lambda: self._state.is_stopping or self._backlog.has_room())
            self._state.require_running()
            if live.is_closing:
                return
            taken += self._take(fresh, taken, live)
            await asyncio.sleep(0)
        live.reach(position)
        self._partitions.report()

    async def release(self, partitions: Iterable[int]) -> None:
        """Close the gaps of the partitions, then forget the rest, and wait for what is in flight.

        What waits for a destination that is unavailable is parked before, and what is known of parked flows is written
        last.

        First records below a finished one are sent, `close_gaps_seconds` at most; what lies above is left to the next
        owner. Then calls and dead letters in flight may end, `release_seconds` at most. Until then progress is
        reported, afterwards no more. What was finished above a gap that did not close, and a call that is still
        unanswered, is sent again by the next owner.
        """
        await self._release.run(partitions)

    async def drain(self, seconds: float) -> bool:
        """Wait until nothing waits; return False when that takes longer. Raises as `deliver` does."""
        if not await self._state.wait_at_most(seconds, lambda: self._state.is_stopping or self._is_drained()):
            return False
        self._state.require_running()
        return True

    def stop(self) -> None:
        """Begin no more calls; `run` ends when those in flight have, after `release_seconds` at most."""
        self._state.stop()

    def status(self) -> dict[str, FlowDelivery]:
        """Return what became of each flow's records, by flow id, since this sink began."""
        return status_of(self._backlog, self._parking.flows, Now(self._clock(), self._wall_clock()))

    def forgotten(self) -> FlowDelivery:
        """Return what became of the records of flows that are gone, all together: `status` has them no more."""
        return forgotten_of(self._backlog)

    def has_flow(self, flow_id: str) -> bool:
        """Return whether `status` has the flow."""
        return flow_id in self._backlog.flows

    def pause_of(self, flow_id: str) -> PauseReason | None:
        """Return why nothing of a flow is delivered now, as far as this sink knows; None: it is, or nobody tries.

        Where nothing of the flow waits here, as after its partition moved away, no probe would ever find that the pause
        is over.
        """
        flow = self._backlog.flows.get(flow_id)
        tries = flow is not None and (flow.lanes or self._is_parked(flow_id))
        return flow.route.state().paused if flow is not None and tries else None

    def is_behind(self, flow_id: str) -> bool:
        """Return whether records of a flow that came long ago are still to be read: it is parked, or catches up."""
        return self._parking.flows.is_behind(flow_id)

    def follow_catalog(self) -> None:
        """Notice a change of the catalog now, instead of within a second or at the next call."""
        self._routing.follow_catalog(self._backlog)

    def _take(self, records: Sequence[ConsumerRecord], first: int, live: PartitionProgress) -> int:
        """Take records while there is room, one chunk at most; return how many."""
        self.follow_catalog()  # what arrives goes by the catalog as it is now
        taken = 0
        for record in records[first : first + _CHUNK_RECORDS]:
            if not self._backlog.has_room():
                break
            self._backlog.accept(record, live)
            taken += 1
        self.follow_catalog()  # new flows have no route yet
        return taken

    def _is_drained(self) -> bool:
        return not self._backlog.records and not self._parking.flows.is_behind()

    def _is_parked(self, flow_id: str) -> bool:
        return bool(self._parking.flows.of_flow(flow_id))

    def _note_change(self) -> None:
        self._partitions.report()
        self._state.note_change()

    def _open_sender(self, destination: Destination) -> Sender:
        return Sender(destination, self._backlog, self._sender_deps)

    async def _follow_catalog_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CATALOG_SECONDS)
            self.follow_catalog()
            self._gone_flows.forget()


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
