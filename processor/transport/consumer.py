"""The consumer: batches out, our own watermark of what is done, our own start positions.

It leans on these insides of Faust 0.15.3, each held by `tests/transport/test_canary.py`:

- `Consumer._drain_messages(fetcher)` is the loop that feeds `callback`; `_read_offset`, `flow_active`,
  `can_resume_flow`, `suspend_flow` steer it; `_wait_next_records` calls the thread's `getmany` for what is not paused;
- `_filter_tps_with_pending_acks`, `_new_offset`, `_commit_offsets` say what is committed;
- `perform_seek` runs at the end of every rebalance, after `Recovery`;
- `AIOKafkaConsumerThread._create_worker_consumer`, `_fetch_records`, `on_start`, `Worker`, and aiokafka's
  `_isolation_level`, `_fetch_max_wait_ms`, `_fetcher._subscriptions`, `_coordinator._send_req`,
  `_coordinator.fetch_committed_offsets`;
- with the reset policy "none", a fetch below the log's beginning raises OffsetOutOfRangeError and leaves the position
  where it is.

A log's beginning may pass our position at any moment (retention, DeleteRecords). Nobody moves a position then but the
owner, who knows whether that loses records; as a second belt, a position that jumped without records is compared with
the log's beginning, every few seconds at most: markers of transactions are jumped over all the time. What a leader does
not answer in time is fetched again later.

Rebalances (design 5.6): records fetched across one are dropped and read again. The epoch is stamped before the fetch
and after the flow resumed; the owner drains and the offsets are committed before the partitions' bookkeeping is thrown
away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import WorkerThread
from mode.utils.futures import maybe_async

from processor.foundation.revocable import PartitionsRevoked
from processor.foundation.tasks import is_being_cancelled
from processor.transport.lasting import LastingTasks, TaskEnded, watch_client
from processor.transport.lease import Lease
from schemas.kafka import Batch, ConsumerRecord

Partition = TP
"""(topic, partition), as Faust has it."""

FETCH_WAIT_MS: Final = 100
"""How long a broker holds a fetch that finds nothing: a partition that was paused waits for it at most this long."""
_FEW_RECORDS: Final = 200
_AFTER_FEW_SECONDS: Final = 0.005
"""The pause after a fetch of few records: at 5,000 events/s a fetch would bring five, and cost more than deciding them.
"""
_FETCH_SECONDS: Final = 0.5
_UNSETTLED_SECONDS: Final = 0.1
"""The pause after a fetch that found no place in the log: nobody has said yet where to read, or the broker contradicts
itself.
"""
BOUNDS_SECONDS: Final = 3.0
"""How long a partition's leader has to say what its log holds: no other partition is fetched meanwhile."""
ASKED_AGAIN_SECONDS: Final = 10.0
"""How long a partition is not fetched whose leader did not say it."""
CHECK_SECONDS: Final = 10.0
"""The time between two looks at the beginning of one log for the sake of what was jumped over."""
SEEK_SECONDS: Final = 180.0
"""How long it may take to find where partitions begin: offsets, and a minute each for reading and writing rows of
parked flows.
"""
RELEASE_SECONDS: Final = 12.0
_COMMIT_SECONDS: Final = 4.0
"""With RELEASE_SECONDS and the time to hear of it, below the time that the group waits for its members (20 s and more,
app.py).
"""
_CLOSE_SECONDS: Final = 10.0
_THREAD_ENDED: Final = "the consumer's thread ended, and the worker needs it"
_NO_RECORDS: Final[tuple[ConsumerRecord, ...]] = ()
_log = structlog.get_logger(__name__)


class Owner(Protocol):
    """Who processes what the consumer fetches."""

    def start(self) -> None:
        """The consumer begins to wait for the group; before anything else."""

    async def release(self, partitions: Iterable[TP]) -> None:
        """These are being revoked: finish or drop what is under way; nothing of them may be written when it returns.

        What `start_positions` does meanwhile ends, and raises PartitionsRevoked.
        """

    async def start_positions(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Where to begin; raises where the log no longer holds it, and PartitionsRevoked.

        Partitions left out are not fetched.
        """
        ...

    async def positions_in_log(self, reached: Mapping[TP, int]) -> Mapping[TP, int | None]:
        """Where to read on; `reached` may lie below the log's beginning.

        None: the partition is not fetched any more, as its records are lost, or nobody here reads it. Left out: its
        leader did not answer.
        """
        ...

    async def drain(self) -> None:
        """The consumer is about to stop for good: the same for everything."""


class Fetched(NamedTuple):
    """One fetch: records by partition, every active partition's position after it, and the positions that the log does
    not hold.
    """

    records: Mapping[TP, list[ConsumerRecord]]
    positions: Mapping[TP, int]
    outside: Mapping[TP, int] = MappingProxyType({})


class SeekTooSlow(Exception):
    """Nobody said in time where partitions begin: their leaders, the group's coordinator, or who keeps the rows of
    parked flows.
    """

    def __init__(self, partitions: Iterable[TP]) -> None:
        names = ", ".join(f"{place.topic}[{place.partition}]" for place in sorted(partitions))
        super().__init__(
            f"where to begin was not known within {SEEK_SECONDS:.0f} s: {names}\n  look whether the broker has leaders"
            " for them, and a coordinator for the group; started again, the worker tries again"
        )


class ReleaseTooSlow(Exception):
    """Partitions that were revoked are still worked on: their next owner begins, so this worker ends."""

    def __init__(self) -> None:
        super().__init__(
            f"partitions were revoked, and could not be let go within {RELEASE_SECONDS:.0f} s\n"
            "  the worker ends, as their next owner begins, from what is durable; started again, it takes its part"
        )


class ConsumerWorkerThread(WorkerThread):
    """The thread itself; where it ends before the consumer does, the worker ends."""

    def run(self) -> None:
        """Run until the consumer stops."""
        try:
            super().run()
        finally:
            cast("BatchConsumerThread", self.service).thread_ended()


class BatchConsumerThread(LastingTasks, driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, reading only what is committed, and telling positions with the records."""

    Worker = ConsumerWorkerThread
    lease: Lease

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls: set[asyncio.Future[Any]] = set()  # of the parent's loop, on their way
        self._has_ended = False

    async def on_start(self) -> None:
        """Start, and hear what the group's coordinator answers, and what of aiokafka's ends."""
        await super().on_start()
        consumer = self._ensure_consumer()
        self.lease.watch(consumer._coordinator)
        watch_client(consumer, self._client_failed)

    def _client_failed(self, error: BaseException) -> None:
        """End the worker in its own event loop, so that this thread still commits what was done."""
        if not self.is_ending:
            asyncio.run_coroutine_threadsafe(self.consumer.crash(error), self.parent_loop)

    def thread_ended(self) -> None:
        """Called in the thread, when it can do no more."""
        self._client_failed(TaskEnded(_THREAD_ENDED))
        with suppress(RuntimeError):  # the loop of the whole worker is closed: nobody waits
            self.parent_loop.call_soon_threadsafe(self._fail_calls)

    def _fail_calls(self) -> None:
        self._has_ended = True
        for call in list(self._calls):
            if not call.done():
                call.set_exception(TaskEnded(_THREAD_ENDED))

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the thread call `fun`; returns or raises what it does, and TaskEnded where the thread ends before.

        Faust would wait for ever.
        """
        if self._has_ended:
            raise TaskEnded(_THREAD_ENDED)
        call = self.parent_loop.create_future()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            await self.method_queue.call(call, self._unless_stopped, fun, *args, **kwargs)
        except RuntimeError:  # its event loop is closed
            call.cancel()
            raise TaskEnded(_THREAD_ENDED) from None
        return await call

    async def _unless_stopped(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fun`, in the thread.

        A thread that ends would first do what is queued, one call after the other, and take no cancellation.
        """
        if self.should_stop:
            raise TaskEnded(_THREAD_ENDED)
        return await maybe_async(fun(*args, **kwargs))

    def _crash(self, reason: BaseException) -> None:
        """Go on when the worker crashes, which ends its services' children: the thread is stopped in order, after the
        last commit.
        """

    async def on_thread_stop(self) -> None:
        """Close the consumer, also in the middle of a rebalance.

        What goes wrong is said: the thread ends, and nobody waits for it in vain.

        Faust waits a minute for a thread that left by CancelledError, which aiokafka raises here when a commit of the
        rebalance was cut off. Who has not left the group in time is put out of it after the session timeout.
        """
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await super().on_thread_stop()
        except (asyncio.CancelledError, TimeoutError, KafkaError) as error:
            if is_being_cancelled():
                raise
            _log.warning("consumer_not_closed", reason=repr(error))

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(  # Faust's signature
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109
        max_records: int | None = None,
    ) -> Any:
        # a copy: the main thread changes its own, and aiokafka reads an empty set as "all"
        leaves_alone = cast("BatchConsumer", self.consumer).leaves_alone
        active = {place for place in list(active_partitions) if not leaves_alone(place)}
        if not active:
            return Fetched({}, {})
        try:
            records = await super()._fetch_records(consumer, active, timeout=timeout, max_records=max_records)
        except OffsetOutOfRangeError as error:
            positions = dict(_positions(consumer, active))
            return Fetched(
                {}, {}, {place: offset for place, offset in error.args[0].items() if positions.get(place) == offset}
            )
        except NoOffsetForPartitionError:  # of a partition that nobody has sought yet
            return Fetched({}, {})
        return Fetched(records, dict(_positions(consumer, active)))

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int | None]:
        """The group's offsets."""
        return cast("dict[TP, int | None]", await self.call_thread(self._committed, list(partitions)))

    async def log_bounds(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        """See BatchConsumer. All in one call: the thread has two workers, and one of them fetches."""
        return cast("dict[TP, tuple[int, int]]", await self.call_thread(self._log_bounds, list(partitions)))

    async def _log_bounds(self, partitions: list[TP]) -> dict[TP, tuple[int, int]]:
        found = await asyncio.gather(*map(self._bounds_of, partitions))
        return {place: bounds for place, bounds in zip(partitions, found, strict=True) if bounds is not None}

    async def _bounds_of(self, place: TP) -> tuple[int, int] | None:
        """Ask the leader what the log holds; None where it does not answer in time.

        aiokafka would ask again for as long as a request may take, in this thread.
        """
        consumer = self._ensure_consumer()
        try:
            async with asyncio.timeout(BOUNDS_SECONDS):
                begins, ends = await asyncio.gather(consumer.beginning_offsets([place]), consumer.end_offsets([place]))
        except (
            KafkaError,
            TimeoutError,
            asyncio.CancelledError,
        ) as error:  # aiokafka cancels its own where a connection closes
            if is_being_cancelled() or (
                isinstance(error, KafkaError) and not (error.retriable or isinstance(error, KafkaTimeoutError))
            ):
                raise
            _log.warning(
                "log_not_reachable",
                topic=place.topic,
                partition=place.partition,
                error=repr(error),
                again_in_seconds=ASKED_AGAIN_SECONDS,
            )
            return None
        return begins[place], ends[place]

    async def still_ours(self, offsets: Mapping[TP, int]) -> bool:
        """See BatchConsumer."""
        return cast("bool", await self.call_thread(self._still_ours, dict(offsets)))

    async def _still_ours(self, offsets: dict[TP, int]) -> bool:
        try:
            await self._ensure_consumer().commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError) as error:
            _log.info("partitions_not_ours", partitions=sorted(place.partition for place in offsets), error=repr(error))
            return False
        return True

    async def _committed(self, partitions: list[TP]) -> dict[TP, int | None]:
        """All in one request; aiokafka's own `committed` takes one partition, and asks for one after the other."""
        asked = [TopicPartition(*place) for place in partitions]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(asked)
        return {place: found[tp].offset if tp in found else None for place, tp in zip(partitions, asked, strict=True)}


class BatchConsumer(LastingTasks, driver.Consumer):
    """Faust's consumer, with batches for messages. `owner` is set by the composition root before the worker starts.

    `lease` holds while the group counts on this worker.
    """

    owner: Owner | None = None
    epoch = 0
    lease: Lease

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._done: dict[TP, int] = {}
        self._checked_at: dict[TP, float] = {}
        self._left_until: dict[TP, float] = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        self.lease = Lease(self.app.conf.broker_session_timeout)
        thread = BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.lease = self.lease
        return thread

    # what is fetched -----------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        def stopping() -> bool:
            return bool(self._stopped.is_set() or fetcher._stopped.is_set())

        try:
            while not stopping():
                await self._drain_once(stopping)
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _drain_once(self, stopping: Any) -> None:
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
            return
        epoch = self.epoch
        fetched, _ = await self._wait_next_records(_FETCH_SECONDS)
        if stopping():
            return
        if epoch != self.epoch:  # fetched across a rebalance: the position moved past records that nobody will process
            if self.flow_active:
                await self._seek_again()
            return
        pause = 0.0
        if isinstance(fetched, Fetched):
            await self._deliver(fetched, epoch)
            await self._find_places(fetched.outside, epoch)
            pause = _pause_after(fetched)
        await asyncio.sleep(pause)

    async def _deliver(self, fetched: Fetched, epoch: int) -> None:
        """Everything that was fetched, also of a partition that was paused meanwhile: its position is past it
        already.
        """
        fetched_at = time.monotonic()
        for place, position in fetched.positions.items():
            records = fetched.records.get(place, _NO_RECORDS)
            before = self._read_offset[place]
            if not records and position == before:
                continue
            if (
                before is not None
                and before < (records[0].offset if records else position)
                and not await self._lost_nothing(place, before, epoch)
            ):
                continue
            if epoch != self.epoch:
                return  # everything is read again: perform_seek ends every rebalance
            await self._hand_on(Batch(place.topic, place.partition, records, position, epoch, fetched_at))

    async def _hand_on(self, batch: Batch) -> None:
        place = TP(batch.topic, batch.partition)
        await self.wait_first(self.callback(self._message(place, batch)), self.suspend_flow.wait())
        if batch.epoch == self.epoch:
            self._read_offset[place] = batch.position

    async def _lost_nothing(self, place: TP, reached: int, epoch: int) -> bool:
        """Whether what a fetch jumped over was no record: markers, an aborted transaction.

        Where it is not known, it is fetched again.

        It is looked at from time to time: aiokafka itself raises where the broker has lost what comes next.
        """
        now = asyncio.get_running_loop().time()
        if now < self._checked_at.get(place, 0.0):
            return True
        if not await self._ask_positions({place: reached}, epoch):
            return False
        self._checked_at[place] = now + CHECK_SECONDS
        return True

    async def _find_places(self, outside: Mapping[TP, int], epoch: int) -> None:
        """Go to where the owner says, of partitions whose log does not hold our position."""
        positions = await self._ask_positions(outside, epoch) if outside else {}
        if not positions or not await self._go_to(positions, epoch):
            return
        for place, position in positions.items():
            if position > outside[place]:
                await self._hand_on(Batch(place.topic, place.partition, _NO_RECORDS, position, epoch, time.monotonic()))

    async def _ask_positions(self, reached: Mapping[TP, int], epoch: int) -> dict[TP, int]:
        """Ask the owner where to read partitions on; not among them are those of which nothing is to be handed on now.

        One whose leader does not answer is read again from where it was, later: nothing that was fetched of it is lost.
        """
        assert self.owner is not None
        told = await self.owner.positions_in_log(reached)
        if epoch != self.epoch:
            return {}
        for place, position in told.items():
            if position is None:
                self.pause(*place)
        unknown = {place: offset for place, offset in reached.items() if place not in told}
        self._left_until.update(dict.fromkeys(unknown, asyncio.get_running_loop().time() + ASKED_AGAIN_SECONDS))
        await self._go_to(unknown, epoch)
        return {place: position for place, position in told.items() if position is not None}

    def leaves_alone(self, place: TP) -> bool:
        """Whether a partition is not fetched for now, since its leader did not answer; may be called in any thread."""
        return asyncio.get_running_loop().time() < self._left_until.get(place, 0.0)

    async def _go_to(self, positions: Mapping[TP, int], epoch: int) -> bool:
        """Read on at these; whether the partitions are still ours then."""
        try:
            if positions:
                await self.seek_wait(positions)
        except IllegalStateError:
            return False  # they are being revoked
        if epoch != self.epoch:
            return False
        self._read_offset.update(positions)  # seek_wait forgets an offset of 0
        return True

    def _message(self, place: TP, batch: Batch) -> ConsumerMessage:
        generation = self.app.consumer_generation_id
        return ConsumerMessage(
            place.topic,
            place.partition,
            batch.position,
            time.time(),
            0,
            [],
            b"",
            cast("bytes", batch),
            None,
            0,
            0,
            place,
            generation_id=generation,
        )

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition; what is fetched already still comes."""
        self.pause_partitions({TP(topic, partition)})

    def resume(self, topic: str, partition: int) -> None:
        """Fetch again, if the partition is still ours."""
        place = TP(topic, partition)
        if place in self._paused_partitions:
            self.resume_partitions({place})

    # where it begins -----------------------------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Go to where the owner says; a group offset that an operator moved changes nothing (design 2)."""
        assert self.owner is not None
        epoch, assignment = self.epoch, self.assignment()
        try:
            async with asyncio.timeout(SEEK_SECONDS) as deadline:
                positions = await self.owner.start_positions(assignment)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise SeekTooSlow(assignment) from None
        if epoch != self.epoch:
            raise PartitionsRevoked
        for place, offset in positions.items():
            self._read_offset[place] = offset
        self._committed_offset.clear()
        self._checked_at.clear()
        self._left_until.clear()
        await self.seek_wait(positions)
        for place, offset in positions.items():  # seek_wait forgets an offset of 0
            self._read_offset[place] = offset

    async def _seek_again(self) -> None:
        """For records that were fetched across a rebalance. Where another one begins meanwhile, its takeover seeks."""
        with suppress(PartitionsRevoked, IllegalStateError):
            await self.perform_seek()

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int | None]:
        """The group's offsets; None where nothing was committed."""
        thread = cast("BatchConsumerThread", self._thread)
        return await thread.committed(partitions)

    async def log_bounds(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        """The first offset that each log holds, and the one after its last stable record; left out is whose leader does
        not answer in time.
        """
        thread = cast("BatchConsumerThread", self._thread)
        return await thread.log_bounds(partitions)

    async def still_ours(self, offsets: Mapping[TP, int]) -> bool:
        """Whether the group counts these partitions as ours at this moment: it is asked to commit what is committed
        already.
        """
        thread = cast("BatchConsumerThread", self._thread)
        return await thread.still_ours(offsets)

    # what is committed ---------------------------------------------------------------------------------------------

    def mark_done(self, topic: str, partition: int, next_offset: int) -> None:
        """Everything fetched below `next_offset` is done; it is committed within half a second. Never goes back."""
        place = TP(topic, partition)
        if next_offset > self._done.get(place, -1):
            self._done[place] = next_offset

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (place for place in list(self._done) if topics is None or place in topics or place.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: ARG002  # Faust's signature
        ours = self.assignment()
        offsets = {place: offset for place, offset in offsets.items() if place in ours}
        if not offsets or not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)
        return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain and commit, then let Faust forget the partitions."""
        async with self._crashing_for_all():
            await self._let_go(revoked)
            await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Have Faust begin its recovery."""
        async with self._crashing_for_all():
            await super().on_partitions_assigned(assigned, generation_id)

    @asynccontextmanager
    async def _crashing_for_all(self) -> AsyncIterator[None]:
        """What goes wrong in a rebalance ends the worker: aiokafka only logs it, and would go on without a takeover."""
        try:
            yield
        except BaseException as error:
            if not is_being_cancelled() and not self.is_ending:
                await self.crash(error)
            raise

    async def _let_go(self, revoked: set[TP]) -> None:
        self.epoch += 1
        self.stop_flow()
        await self._release(revoked)
        await self._commit_last(self.commit, "not_committed_on_revoke")
        for place in revoked:
            self._done.pop(place, None)

    async def _commit_last(self, commit: Callable[[], Awaitable[Any]], event: str) -> None:
        """Commit what is done, before partitions go.

        What goes wrong is logged as `event`: their next owner begins from what is durable.
        """
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await commit()
        except (asyncio.CancelledError, TimeoutError, TaskEnded) as error:  # the thread that commits may be ending
            if is_being_cancelled():
                raise
            _log.warning(event, reason=repr(error))

    async def _release(self, revoked: set[TP]) -> None:
        if self.owner is None:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS) as deadline:
                await self.owner.release(revoked)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ReleaseTooSlow from None

    async def on_start(self) -> None:
        """Start, and have the owner start what it needs beside partitions."""
        if self.owner is not None:
            self.owner.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Drain before the last commit."""
        self.epoch += 1
        self.stop_flow()
        if self.owner is not None:
            await self.owner.drain()
        await self._commit_last(super().on_stop, "not_committed_on_stop")

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent failed. Faust would start it again, behind the batch that it failed at: the worker ends instead."""
        await self.crash(exc)

    async def verify_all_partitions_active(self) -> None:
        """Watch nothing: Faust's own watch for stalls knows neither batches nor paused changelogs; `profile-exporter
        status` shows ours.

        It would wake for each partition, every few seconds, for nothing.
        """


def _pause_after(fetched: Fetched) -> float:
    """Seconds until the next fetch."""
    if not fetched.positions:
        return _UNSETTLED_SECONDS
    return _AFTER_FEW_SECONDS if 0 < sum(map(len, fetched.records.values())) < _FEW_RECORDS else 0.0


def _positions(consumer: Any, partitions: Iterable[TP]) -> Iterator[tuple[TP, int]]:
    """Positions of partitions that are assigned and have one. In the consumer's thread only."""
    subscription = consumer._fetcher._subscriptions.subscription
    if subscription is None or subscription.assignment is None:
        return
    assignment = subscription.assignment
    for place in partitions or ():
        if place in assignment.tps:
            state = assignment.state_value(place)
            if state is not None and state.has_valid_position:
                yield place, state.position
