"""The Kinesis sink: batches of `exports` in, delivered records and progress out (contract section 6).

deliver ─► backlog ─► routing ─► sender of the destination ─► Kinesis
              │                                        │
              └─► dead letters                         └─► on_progress(partition, next offset)
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import structlog

from processor.delivery.backoff import Draw
from processor.delivery.forgetting import Forgetting
from processor.delivery.kinesis.fence import Fence
from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.outbox import Clock
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.lanes.routing import Routing
from processor.delivery.lanes.sender import Outside, Sender
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.parking import Parking, Times
from processor.delivery.ports import DeadLetters, Destinations, OpenStream, ParkedPlaces
from processor.delivery.status import FlowDelivery, Now, forgotten_of, status_of
from schemas.destination import Destination
from schemas.kafka import ConsumerRecord
from schemas.parked_flow import ParkedFlowRow

CATALOG_SECONDS: Final = 1.0  # how late a flow that sends nothing notices a change of the catalog
_CHUNK_RECORDS: Final = 500  # accepted in one piece; then others on the event loop have their turn

log = structlog.get_logger(__name__)


class DeliveryStopped(Exception):
    """The sink takes nothing more: it was stopped."""


class Sink:
    """Delivers while `run` runs. All methods belong to one event loop.

    `on_progress(partition, next_offset)`: every record of `exports` fetched below is delivered or a durable dead
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
        parked: ParkedPlaces,
        limits: DeliveryLimits,
        on_progress: Callable[[int, int], None],
        may_send: Callable[[], bool] = lambda: True,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
        draw: Draw = random.random,
    ) -> None:
        self._limits = limits
        self._on_progress = on_progress
        self._clock, self._wall_clock = clock, wall_clock
        self._partitions: dict[int, PartitionProgress] = {}
        self._reporting: list[PartitionProgress] = []
        self._outside = Outside(Fence(may_send), open_stream, limits, clock, draw, self.follow_catalog)
        self._routing = Routing(destinations, limits.unknown_flow_seconds, clock, self._open_sender)
        self._backlog = Backlog(dead_letters, limits, self._routing.new_flow, self._after_change)
        times = Times(clock, wall_clock, may_send)
        self._parking = Parking(self._backlog, self._partitions, parked, limits, times, self._after_change)
        self._forgetting = Forgetting(self._backlog, self._parking, clock)
        self._tasks: asyncio.TaskGroup | None = None  # while `run` runs
        self._sending: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()  # something was finished, or the sink's own state changed
        self._ended = False
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Deliver until `stop`.

        Raises what made delivery impossible (as what `DeadLetters.put` raised): the worker must stop.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for_ever = (self._backlog.letters.run(), self._follow_catalog_for_ever(), self._parking.run())
                background = [self._tasks.create_task(work) for work in for_ever]
                for sender in self._routing.all_senders():
                    self._start(sender)
                await self._stopping.wait()
                await self._finish_calls()
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as group:
            self._failure = _first_of(group)
            raise self._failure from None
        finally:
            self._ended, self._tasks = True, None
            self._stopping.set()
            self._changed.set()

    async def take_over(self, partition: int, position: int, rows: Mapping[str, ParkedFlowRow]) -> None:
        """The partition is ours, and comes from `position` on; of its parked flows, by key, `rows` tell all that was
        written before.

        Does nothing where it is open already. Raises what `ParkedRows.write` raises; then, and where it is cancelled,
        it is not open.
        """
        if partition in self._partitions:
            return
        live = self._opened(partition, position)
        try:
            await self._parking.take_over(live, rows)
        except BaseException:
            if self._partitions.get(partition) is live:
                del self._partitions[partition]
                self._reporting.remove(live)
            self._parking.forget(live)
            self._give_up()
            raise

    def has(self, partition: int) -> bool:
        """Whether the partition is open: taken over, or delivered of, and not released since."""
        return partition in self._partitions

    async def deliver(self, partition: int, records: Sequence[ConsumerRecord], position: int) -> None:
        """Take records of one partition, in the order of their offsets; batches of a partition come one after the
        other.

        Waits while the buffer is full. `position`: the consumer's position after the batch; with nothing outstanding it
        is the progress. A record taken before is not taken twice. The first batch after a release opens the partition
        anew; a batch that waits while its partition is released is dropped. Raises DeliveryStopped, or what ended
        `run`.
        """
        progress = self._opened(partition)
        fresh = progress.unseen(records)
        taken = 0
        while taken < len(fresh):
            await self._until(lambda: self._stopping.is_set() or self._backlog.has_room())
            self._refuse_when_stopped()
            if progress.is_leaving:
                return
            taken += self._take(fresh, taken, progress)
            await asyncio.sleep(0)
        progress.reach(position)
        self._report()

    async def release(self, partitions: Iterable[int]) -> None:
        """The partitions are revoked, or the worker stops: close the gaps, then forget the rest, and wait for what is
        in flight.

        What waits for a destination that is unavailable is parked before, and what is known of parked flows is written
        last.

        Lanes are not equally long, so records are finished above others that still wait; the next owner reads from the
        lowest that waits. First those below a finished one are sent, `close_gaps_seconds` at most; what lies above is
        left to the next owner. Then calls and dead letters in flight may end, `release_seconds` at most. Until then
        progress is reported, afterwards no more. What was finished above a gap that did not close, and a call that is
        still unanswered, is sent again by the next owner.
        """
        leaving = {progress for number in partitions if (progress := self._partitions.pop(number, None)) is not None}
        self._parking.hurry(leaving)
        await self._close_gaps(leaving)
        parked = self._parking.of_partitions(leaving)
        for progress in (*leaving, *parked):
            progress.revoke()
        self._give_up()
        if not await self._within(
            self._limits.release_seconds, lambda: self._ended or not self._carries({*leaving, *parked})
        ):
            log.warning("release_timed_out", partitions=sorted(progress.partition for progress in leaving))
        await self._leave(parked)
        self._reporting = [progress for progress in self._reporting if progress not in leaving]

    async def _leave(self, parked: Collection[ParkedFlow]) -> None:
        try:
            async with asyncio.timeout(self._limits.release_seconds):
                await self._parking.leave(parked)
        except (
            Exception
        ) as error:  # whatever it is: the rows of before hold, and only send again what these would have told
            log.warning("parked_rows_not_written", error=repr(error))

    async def _close_gaps(self, leaving: set[PartitionProgress]) -> None:
        flying = self._backlog.in_flight()
        for progress in leaving:
            progress.close_gaps(waiting.export.record.offset for waiting in flying if waiting.progress is progress)
        self._give_up()
        seconds = self._limits.close_gaps_seconds
        if not await self._within(
            seconds, lambda: self._stopping.is_set() or not any(progress.has_gaps for progress in leaving)
        ):
            log.warning(
                "gaps_not_closed", partitions=sorted(progress.partition for progress in leaving if progress.has_gaps)
            )

    def _give_up(self) -> None:
        self._backlog.take_given_up()
        for route in self._routing.routes(self._backlog.flows.values()):
            route.drop_emptied()

    async def _within(self, seconds: float, holds: Callable[[], bool]) -> bool:
        """Whether it holds within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._until(holds)
        except TimeoutError:
            return False
        return True

    async def drain(self, seconds: float) -> bool:
        """Wait until nothing waits; False when that takes longer. Raises as `deliver` does."""
        if not await self._within(
            seconds, lambda: self._stopping.is_set() or not (self._backlog.records or self._parking.is_behind())
        ):
            return False
        self._refuse_when_stopped()
        return True

    def stop(self) -> None:
        """Begin no more calls; `run` ends when those in flight have, after `release_seconds` at most."""
        self._stopping.set()
        self._changed.set()

    def status(self) -> dict[str, FlowDelivery]:
        """What became of each flow's records, by flow id, since this sink began."""
        return status_of(self._backlog, self._parking, Now(self._clock(), self._wall_clock()))

    def forgotten(self) -> FlowDelivery:
        """What became of the records of flows that are gone, all together: `status` has them no more."""
        return forgotten_of(self._backlog)

    def has_flow(self, flow_id: str) -> bool:
        """Whether `status` has it."""
        return flow_id in self._backlog.flows

    def pause_of(self, flow_id: str) -> PauseReason | None:
        """Why nothing of a flow is delivered now, as far as this sink knows; None: it is, or nobody tries.

        Where nothing of the flow waits here, as after its partition moved away, no probe would ever find that the pause
        is over.
        """
        flow = self._backlog.flows.get(flow_id)
        tries = flow is not None and (flow.lanes or self._parking.of_flow(flow_id))
        return flow.route.state().paused if flow is not None and tries else None

    def is_behind(self, flow_id: str) -> bool:
        """Whether records of a flow that came long ago are still to be read: it is parked, or catches up."""
        return any(parked.until is None for parked in self._parking.of_flow(flow_id))

    def follow_catalog(self) -> None:
        """Notice a change of the catalog now, instead of within a second or at the next call."""
        self._routing.follow_catalog(self._backlog)

    def _opened(self, partition: int, position: int = 0) -> PartitionProgress:
        if partition not in self._partitions:
            self._partitions[partition] = PartitionProgress(partition, position)
            self._reporting.append(self._partitions[partition])
        return self._partitions[partition]

    def _take(self, records: Sequence[ConsumerRecord], first: int, progress: PartitionProgress) -> int:
        """Take records while there is room, one chunk at most; how many."""
        self.follow_catalog()  # what arrives goes by the catalog as it is now
        taken = 0
        for record in records[first : first + _CHUNK_RECORDS]:
            if not self._backlog.has_room():
                break
            self._backlog.accept(record, progress)
            taken += 1
        self.follow_catalog()  # new flows have no route yet
        return taken

    def _carries(self, partitions: set[PartitionProgress]) -> bool:
        return self._backlog.letters.is_writing(partitions) or any(
            sender.carries(partitions) for sender in self._routing.all_senders()
        )

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def _after_change(self) -> None:
        self._report()
        self._changed.set()

    def _report(self) -> None:
        for progress in self._reporting:
            next_offset = progress.advance()
            if next_offset is not None:
                self._on_progress(progress.partition, next_offset)

    def _open_sender(self, destination: Destination) -> Sender:
        sender = Sender(destination, self._backlog, self._outside)
        self._start(sender)
        return sender

    def _start(self, sender: Sender) -> None:
        if self._tasks is not None:
            task = self._tasks.create_task(self._run_sender(sender))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _run_sender(self, sender: Sender) -> None:
        await sender.run()
        self._routing.ended(sender)

    async def _follow_catalog_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CATALOG_SECONDS)
            self.follow_catalog()
            self._forgetting.forget_gone_flows()

    async def _finish_calls(self) -> None:
        self._routing.retire_all()
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=self._limits.release_seconds)
            for task in late:
                task.cancel()

    def _refuse_when_stopped(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._stopping.is_set():
            raise DeliveryStopped


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
