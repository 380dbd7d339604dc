"""One worker, put together: who owns which partitions, taken over and let go in the order of design 2.

    take_over   wait for the catalog ─► fence each partition's log ─► restore its rows ─► pipeline at the watermark
    release     stop pipeline and sink of the partitions ─► close their stores; the consumer then commits

Called by the transport (as `transport.consumer.Owner`), by recovery (as `state.recovery.Takeover`) and by the agents.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from processor.core.misplaced import Placement
from processor.core.step import Limits
from processor.foundation.fault_points import fault_point
from processor.foundation.revocable import RevocableWork
from processor.foundation.settings import Settings
from processor.foundation.tasks import (
    CancelledByNobody,
    EndedByItself,
    end_task,
    is_being_cancelled,
    lasting_task,
    watched_task,
)
from processor.kafka.cluster import ClusterFacts
from processor.kafka.connection import aiokafka_options
from processor.kafka.dead_letter_batches import fits_alone
from processor.kafka.limits import UNKNOWN
from processor.pipeline.bad_events import BadEventLimit
from processor.pipeline.broker_clock import BrokerClock
from processor.pipeline.deadlines import DeadlineSettings
from processor.pipeline.decider import Policy
from processor.pipeline.identity_index import IndexSettings
from processor.pipeline.jobs.scheduler import JobSettings
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.partition import PartitionPipeline, PartitionSettings
from processor.pipeline.pipeline import Pipeline
from processor.pipeline.ports import PartitionLog
from processor.transport.consumer import BatchConsumer
from processor.transport.owner import Partition
from processor.worker.exports_feed import FEED_SHARE, ExportsFeed
from processor.worker.gap_stop import GapStop
from processor.worker.kafka_adapters import Adapters, kafka_adapters
from processor.worker.log_positions import LogPositions
from processor.worker.parked_takeover import ParkedTakeover
from processor.worker.partition_history import PartitionHistory
from processor.worker.sinks import open_sink
from processor.worker.start_positions import TopicIsAnother
from processor.worker.status_reports import StatusReports
from processor.worker.waits import CATALOG, LOOK_SECONDS, SaidLog, SaidWriter, Wait, Waits
from schemas.kafka import Batch, ProducerRecord
from schemas.partitioner import Partitioner
from state.damage import wipe
from state.directory import StateDirectory
from state.faust_store import ProfilesStore
from state.identity import Identity
from state.partition import Memory, PartitionStore, shared_memory
from state.restore import Changelog, Progress, StaleCopies, restore

_GROUP: Final = "the group, to assign partitions: its coordinator, and the other workers"
_LEASE: Final = "the group's coordinator, to answer: nothing is sent to destinations meanwhile"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the worker stands: its settings, its locked directory, and which cluster it talks to."""

    settings: Settings
    directory: StateDirectory
    cluster: ClusterFacts


class Runtime:
    """From the first takeover to `drain`.

    `on_failure` stops the worker with what it is given; it may be called more than once.

    `adapters`: the way to Kafka; None: the broker that the settings name.
    """

    def __init__(
        self,
        place: Place,
        consumer: BatchConsumer,
        store: ProfilesStore,
        on_failure: Callable[[BaseException], None],
        adapters: Adapters | None = None,
        waits: Waits | None = None,
    ) -> None:
        settings = place.settings
        self.waits = waits or Waits()
        adapters = adapters or kafka_adapters(settings, place.cluster.limits, on_failure, self.waits)
        self._place, self._settings, self._consumer, self._store = place, settings, consumer, store
        self._on_failure = on_failure
        self._gap_stop = GapStop(on_failure, self._finish)
        self.catalog, self._shared, self._new_log = adapters.catalog, adapters.producer, adapters.new_log
        self._open_consumer = adapters.open_consumer
        self.pipeline = Pipeline(consumer, on_failure)
        writer = SaidWriter(self._shared, self.waits)
        history = PartitionHistory(writer, settings, place.directory.name)
        self.sink = open_sink(settings, self.catalog, writer, history, self._delivered, consumer.lease.holds)
        self._feed = ExportsFeed(self._deliver, consumer, settings.max_buffered_bytes // FEED_SHARE, on_failure)
        self._positions = LogPositions(settings, consumer, store, self.sink.has, self._gap_stop, history)
        self._parked_takeover = ParkedTakeover(self.sink, consumer, settings.accepted, adapters.read_positions)
        self._memory: Memory = shared_memory(
            settings.block_cache_bytes, settings.write_buffer_bytes, settings.partitions
        )
        self._broker_clock = BrokerClock()
        self._reports = StatusReports(self, self._shared, settings.topics.worker_status, on_failure, self._broker_clock)
        self._slots = Slots()
        self._starting: asyncio.Task[None] | None = None
        self._group_wait: Wait | None = None
        self._lease_wait: Wait | None = None
        self._assigned = RevocableWork()
        self._changing = asyncio.Lock()  # which partitions are here
        self._sink_task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._saying: asyncio.Task[None] | None = None
        self.has_taken_over = False
        self.restoring: Mapping[int, Progress] = {}

    @property
    def name(self) -> str:
        """The worker's, stable over restarts in the same state directory."""
        return self._place.directory.name

    @property
    def partitioner(self) -> Partitioner:
        """Where keys belong, as the settings say (I12)."""
        return self._settings.partitioner

    @property
    def stored(self) -> dict[int, tuple[int, int]]:
        """(profiles, bytes) of each partition."""
        return {
            partition: (store.row_count(), store.size_bytes()) for partition, store in self._store.partitions.items()
        }

    def has_flow(self, flow_id: str) -> bool:
        """Whether the catalog names a flow."""
        return self.catalog.catalog.flow(flow_id) is not None

    # what the agents call ------------------------------------------------------------------------------------------

    def process(self, batch: Batch) -> None:
        """Profile events, from the agent `process_profile_events`."""
        if batch.epoch == self._consumer.epoch:
            self.pipeline.submit(batch)

    def deliver(self, batch: Batch) -> None:
        """Export records, from the agent `deliver_exports`; of a partition that was not taken over, none: who is parked
        there is not known.
        """
        if batch.epoch == self._consumer.epoch and self.sink.has(batch.partition):
            self._feed.submit(batch)

    async def _deliver(self, partition: int, records: Sequence[Any], position: int) -> None:
        with self.waits.on("room in the delivery buffer, for more export records"):
            await self.sink.deliver(partition, records, position)

    # takeover ------------------------------------------------------------------------------------------------------

    async def take_over(self, partitions: Iterable[int]) -> None:
        """Make partitions ours, whoever had them before; what was ours until now is dropped first.

        Raises PartitionsRevoked.

        May be cancelled at any point, and called again: the next one waits until this one has let go of what it took.
        """
        await self._assigned.run(self._take_over(sorted(partitions)))

    async def _take_over(self, ours: Sequence[int]) -> None:
        self.start()
        self._end_group_wait()
        async with self._changing:
            self.has_taken_over = False
            await self._until_started()
            await self._let_go_of_all()
            with self.waits.on(CATALOG):
                await self.catalog.reach_end()
            logs: dict[int, PartitionLog] = {
                partition: SaidLog(self._new_log(partition), partition, self.waits) for partition in ours
            }
            try:
                await asyncio.gather(*(log.take_over() for log in logs.values()))
                fault_point("fenced")
                await self._restore(ours)
                fault_point("restored")
                pipelines = {partition: self._new_pipeline(partition, log) for partition, log in logs.items()}
            except BaseException:
                try:
                    await asyncio.gather(*(log.close() for log in logs.values()))
                finally:
                    self._store.detach(ours)
                raise
            self.pipeline.add(pipelines)
            self.has_taken_over = True
            self._reports.report_now()
        _log.info("partitions_taken_over", partitions=ours, watermarks=self.pipeline.committed_offsets)

    def start(self) -> None:
        """Begin what runs beside the partitions, and wait for the group to assign some; once or more."""
        if self._starting is None:
            self._group_wait = self.waits.begin(_GROUP)
            self._saying = lasting_task(self._say_waits(), self._on_failure)
            self._starting = watched_task(self._start(), self._on_failure)

    async def _say_waits(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._note_lease()
            self.waits.say()

    def _note_lease(self) -> None:
        """A coordinator that does not answer stops delivery: nobody knows any more whose the partitions are."""
        is_waiting = self.has_taken_over and bool(self.pipeline.committed_offsets) and not self._consumer.lease.holds()
        if is_waiting and self._lease_wait is None:
            self._lease_wait = self.waits.begin(_LEASE)
        elif not is_waiting and self._lease_wait is not None:
            self.waits.end(self._lease_wait)
            self._lease_wait = None

    def _end_group_wait(self) -> None:
        if self._group_wait is not None:
            self.waits.end(self._group_wait)
            self._group_wait = None

    async def _until_started(self) -> None:
        """What runs beside the partitions is started whole, also where the first takeover is cancelled meanwhile."""
        assert self._starting is not None
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            raise CancelledByNobody(repr(self._starting.get_coro())) from None

    async def _start(self) -> None:
        if self._settings.accepted.every:
            _log.warning(
                "every_gap_is_accepted", remedy="set ACCEPT_GAPS to the gaps that a stop names, and unset it afterwards"
            )
        with self.waits.on("the broker, to connect the producer"):
            await self._shared.start()
        self._reports.start()
        with self.waits.on(CATALOG):
            await self.catalog.start()
        self._sink_task = watched_task(self._run_sink(), self._on_failure)
        self._feed.start()

    async def _run_sink(self) -> None:
        """Deliver until the worker stops."""
        await self.sink.run()
        if not self._is_stopping:
            raise EndedByItself("delivery")

    @property
    def _started(self) -> bool:
        return self._starting is not None

    async def _restore(self, partitions: Iterable[int]) -> None:
        stores = {partition: self._open(partition) for partition in partitions}
        for partition, store in stores.items():
            self._store.attach(partition, store)
        with self.waits.on(f"the restore of partitions {', '.join(map(str, stores))}"):
            await self._restore_into(stores)
        _log.info("restored", records={partition: part.records for partition, part in self.restoring.items()})
        self._refuse_another_source()

    async def _restore_into(self, stores: Mapping[int, PartitionStore]) -> None:
        changelog, options = (
            Changelog(self._settings.topics.changelog, self._place.cluster.tombstone_seconds),
            aiokafka_options(self._settings),
        )
        try:
            self.restoring = await restore(
                stores, changelog, options, self._note_restoring, self._open_consumer, self.waits.on, _restored_a_read
            )
        except StaleCopies as stale:
            for partition, reason in stale.partitions.items():
                _log.warning("local_state_wiped", partition=partition, reason=reason)
                self._store.detach([partition])
                wipe(self._place.directory.partition(partition))
                self._store.attach(partition, self._open(partition))
            self.restoring = await restore(
                dict(self._store.partitions),
                changelog,
                options,
                self._note_restoring,
                self._open_consumer,
                self.waits.on,
                _restored_a_read,
            )

    def _refuse_another_source(self) -> None:
        topic = self._settings.topics.profile_events
        found = self._place.cluster.topic_ids.get(topic)
        for partition, store in self._store.partitions.items():
            known = store.watermark.source_topic_id if store.watermark is not None else None
            if known is not None and found is not None and known != found:
                raise TopicIsAnother(topic, partition, known, found)

    def _note_restoring(self, progress: Mapping[int, Progress]) -> None:
        if self.restoring is not progress:
            self._reports.report_now()
        self.restoring = progress
        _log.info("restoring", left={partition: part.left for partition, part in progress.items()})

    def _open(self, partition: int) -> PartitionStore:
        settings = self._settings
        changelog, cluster = settings.topics.changelog, self._place.cluster
        identity = Identity(
            cluster.cluster_id,
            settings.app_id,
            changelog,
            cluster.topic_ids.get(changelog),
            partition,
            settings.partitions,
        )
        return PartitionStore.open(self._place.directory.partition(partition), identity, self._memory)

    def _new_pipeline(self, partition: int, log: PartitionLog) -> PartitionPipeline:
        settings = self._settings
        limits = Limits(settings.max_document_bytes, settings.dedup_window)
        share = max(1, len(self._store.partitions))
        part = PartitionSettings(
            policy=Policy(
                limits,
                BadEventLimit(settings.max_bad_events_in_a_row, self._dead_letter_fits),
                _placement(settings, partition),
            ),
            cache_bytes=settings.row_cache_bytes // share,
            max_waiting_bytes=settings.max_waiting_bytes // share,
            linger_seconds=settings.linger_seconds,
            jobs=self._job_settings(partition),
            deadlines=DeadlineSettings(settings.membership_expiry, self._broker_clock.now),
            identity_index=IndexSettings(settings.identity_index),
        )
        ids = self._place.cluster.topic_ids
        return PartitionPipeline(
            self._store.partitions[partition],
            log,
            self.catalog,
            part,
            (ids.get(settings.topics.profile_events), ids.get(settings.topics.changelog)),
            on_progress=lambda offset: self._processed(partition, offset),
            on_failure=self._on_failure,
            is_positioned=False,
        )

    def _dead_letter_fits(self, dead_letter: ProducerRecord) -> bool:
        """Whether `dead-letters` takes it; where the broker does not say what that takes, a commit will show."""
        limit = self._place.cluster.limits.get(self._settings.topics.dead_letters, UNKNOWN).max_message_bytes
        return limit is None or fits_alone(dead_letter, limit)

    def _job_settings(self, partition: int) -> JobSettings:
        settings = self._settings
        return JobSettings(
            partition,
            settings.partitions,
            settings.topics.profile_events,
            settings.job_records_per_second / settings.partitions,
            self._why_jobs_wait,
            partial(self._feed.is_behind, partition),
            self._slots,
        )

    def _why_jobs_wait(self, flow_id: str) -> str | None:
        """Records that nobody takes are not made: they would only stand in the way of those that events make."""
        paused = self.sink.pause_of(flow_id)
        if paused is None:
            return "the destination takes less than comes" if self.sink.is_behind(flow_id) else None
        return f"the destination is paused: {paused.value}"

    # progress ------------------------------------------------------------------------------------------------------

    def _processed(self, partition: int, next_offset: int) -> None:
        topic = self._settings.topics.profile_events
        self._consumer.mark_done(topic, partition, next_offset)
        self._gap_stop.note_done(Partition(topic, partition), self.pipeline.committed_offsets.get(partition, 0))
        fault_point("progress_noted")
        self.pipeline.on_progress(topic, partition)

    def _finish(self, place: Partition) -> None:
        if place.topic == self._settings.topics.profile_events:
            self.pipeline.pass_at_once(place.partition)

    def _delivered(self, partition: int, next_offset: int) -> None:
        topic = self._settings.topics.exports
        self._consumer.mark_done(topic, partition, next_offset)
        self._gap_stop.note_done(Partition(topic, partition), next_offset)
        fault_point("delivery_noted")

    # the transport's Owner -----------------------------------------------------------------------------------------

    async def start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Where to begin; the changelog is not fetched by the group's consumer.

        Raises what stops the worker for the operator, PartitionsRevoked.
        """
        return await self._assigned.run(self._start_positions(partitions))

    async def _start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        names = self._settings.topics
        stores = dict(self._store.partitions)
        places = [place for place in partitions if place.topic in (names.profile_events, names.exports)]
        with self.waits.on("the leaders of partitions and the group's coordinator, for offsets to begin at"):
            starts, logs = await self._positions.starts(places, self._parked_takeover.gaps)
        positions = {
            place: start.position for place, start in starts.items() if self._begins(place, start.position, stores)
        }
        exports = {place: position for place, position in positions.items() if place.topic == names.exports}
        with self.waits.on("Kafka, to read and write the rows of parked flows"):
            not_ours = exports.keys() - await self._parked_takeover.open(exports, logs)
        return {place: position for place, position in positions.items() if place not in not_ours}

    async def positions_in_log(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int | None]:
        """Where to read on, where a log may have lost what follows; None where it has, and the worker stops."""
        with self.waits.on("the leaders of partitions, for what their logs hold"):
            return await self._positions.in_log(reached)

    def _begins(self, place: Partition, position: int, stores: Mapping[int, PartitionStore]) -> bool:
        """Whether a partition is still ours as it was when `stores` were; processing begins at its position then."""
        if place.topic != self._settings.topics.profile_events:
            return True
        store = self._store.partitions.get(place.partition)
        if store is None or store is not stores.get(place.partition):
            return False  # another rebalance took it away while its start was looked up and written, and its takeover seeks again
        self.pipeline.begin_at(place.partition, position)
        if store.watermark is not None:
            self._consumer.mark_done(
                *place, store.watermark.next_offset
            )  # a crash may have left the group's offset behind
        return True

    async def release(self, partitions: Iterable[Partition]) -> None:
        """Stop what these carry.

        Nothing of them is written when it returns, or the broker refuses it (exactly_once).
        """
        names = self._settings.topics
        places = list(partitions)
        self._gap_stop.forget(places)
        exports = [place.partition for place in places if place.topic == names.exports]
        sources = [place.partition for place in places if place.topic == names.profile_events]
        self._feed.forget(exports)
        self.has_taken_over = False
        if self._group_wait is None:
            self._group_wait = self.waits.begin(_GROUP)
        await self._assigned.end()  # before anything that it reads or writes is closed
        async with self._changing:
            await asyncio.gather(self.sink.release(exports), self._let_go(sources))

    async def _let_go(self, partitions: Iterable[int]) -> None:
        partitions = list(partitions)
        await self.pipeline.release(partitions)
        self._store.detach(partitions)

    async def _let_go_of_all(self) -> None:
        await self.pipeline.close()
        self._store.detach(list(self._store.partitions))

    async def drain(self) -> None:
        """Stop everything; the consumer commits afterwards what was done. One part's failure does not keep the others.

        Where a takeover does not end, its stores are left open: the process ends with them.
        """
        self._is_stopping = True
        self._end_group_wait()
        failures: list[object] = list(await asyncio.gather(self._assigned.close(), return_exceptions=True))
        parts = [self._stop_sink()] if any(failures) else [self._stop_sink(), self._let_go_for_good()]
        if self._starting is not None and not self._starting.done():
            await end_task(self._starting)
        if self._started:
            parts.append(self._reports.close())
        failures += await asyncio.gather(*parts, return_exceptions=True)
        for error in failures:
            if isinstance(error, BaseException):
                self._on_failure(error)
        if self._started:
            await self._shared.stop()
        if self._saying is not None:
            await end_task(self._saying)

    async def _let_go_for_good(self) -> None:
        async with self._changing:
            await self._let_go_of_all()

    async def _stop_sink(self) -> None:
        await self._feed.close()
        if self._sink_task is not None:
            await self.sink.release(range(self._settings.partitions))
            self.sink.stop()
            await asyncio.wait({self._sink_task})
        await self.catalog.close()


def _restored_a_read() -> None:
    fault_point("restoring")


def _placement(settings: Settings, partition: int) -> Placement | None:
    """What keys of a partition are compared with (I12); None where nobody knows, or where there is no other
    partition.
    """
    if settings.partitioner is Partitioner.NONE or settings.partitions == 1:
        return None
    return Placement(partition, settings.partitions, settings.partitioner)
