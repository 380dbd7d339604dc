"""The composition root of a worker: `build` calls every constructor, and opens nothing.

What a test or a benchmark exchanges is named by keyword: `partial(build, sink=NoSink)` is a `build` of another worker.
"""

import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypedDict, Unpack
from uuid import uuid4

from processor.catalog.follower import CatalogFollower
from processor.delivery.kinesis.client import stream_opener
from processor.delivery.ports import ParkingPorts
from processor.delivery.sink import Sink
from processor.foundation.clocks import Clock, Draw, WallClock
from processor.foundation.settings import Settings
from processor.foundation.settings_processing import ProcessingGuarantee
from processor.kafka.limits import TopicLimits
from processor.kafka.producers import AsyncWriter, SharedProducer
from processor.pipeline.broker_clock import BrokerClock
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.pipeline import Pipeline
from processor.pipeline.ports import PartitionLog
from processor.transport.consumer import BatchConsumer
from processor.transport.owner import Partition
from processor.worker.adapters.dead_letters import TopicDeadLetters
from processor.worker.adapters.destinations import CatalogDestinations
from processor.worker.adapters.exports_reader import ParkedExports
from processor.worker.adapters.origins import explain_refusal
from processor.worker.adapters.parked_rows import DeliveryPositions, Rows, read_positions
from processor.worker.adapters.partition_log import OutputTopics, PlainLog, TransactionalLog
from processor.worker.delivery_settings import delivery_limits, kinesis_options
from processor.worker.environment import WorkerEnvironment
from processor.worker.exports_feed import FEED_SHARE, ExportsFeed
from processor.worker.gap_stop import GapStop
from processor.worker.group_waits import GroupWaits
from processor.worker.log_positions import LogPositions
from processor.worker.parked_takeover import ParkedTakeover
from processor.worker.partition_history import PartitionHistory
from processor.worker.partitions import PartitionParts
from processor.worker.progress import GroupProgress
from processor.worker.services import Services
from processor.worker.status_reports import StatusReports
from processor.worker.stores import Stores
from processor.worker.view import WorkerView
from processor.worker.waits import CATALOG, Waits, WatchedLog, WatchedWriter
from state.changelog import OpenConsumer, kafka_consumer
from state.faust_store import ProfilesStore

OnFailure = Callable[[BaseException], None]
"""What stops the worker, with what it is given; it may be called more than once."""


class Replacements(TypedDict, total=False):
    """The parts that may be exchanged; each is by default the real one."""

    waits: Waits
    catalog: CatalogFollower
    producer: SharedProducer
    """The producer that all partitions share."""
    new_log: Callable[[int], PartitionLog]
    open_changelog: OpenConsumer
    read_parked_rows: Callable[[Collection[int]], Awaitable[Mapping[int, Rows]]]
    sink: Callable[..., Sink]
    """What makes the sink; it is called with the sink's own keywords."""
    clock: Clock
    wall_clock: WallClock
    draw: Draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A worker's parts, put together and not started."""

    settings: Settings
    consumer: BatchConsumer
    waits: Waits
    group_waits: GroupWaits
    catalog: CatalogFollower
    new_log: Callable[[int], PartitionLog]
    stores: Stores
    partitions: PartitionParts
    pipeline: Pipeline
    sink: Sink
    feed: ExportsFeed
    gap_stop: GapStop
    log_positions: LogPositions
    parked_takeover: ParkedTakeover
    view: WorkerView
    reports: StatusReports
    services: Services
    on_failure: OnFailure


class Build(Protocol):
    """`build`, or what stands for it."""

    def __call__(
        self,
        settings: Settings,
        environment: WorkerEnvironment,
        consumer: BatchConsumer,
        store: ProfilesStore,
        on_failure: OnFailure,
    ) -> Parts:
        """Put a worker together."""
        ...


def build(  # every part has a name
    settings: Settings,
    environment: WorkerEnvironment,
    consumer: BatchConsumer,
    store: ProfilesStore,
    on_failure: OnFailure,
    **replacements: Unpack[Replacements],
) -> Parts:
    """Put a worker together that fetches by `consumer` and keeps its rows in `store`."""
    clock, wall_clock = replacements.get("clock", time.monotonic), replacements.get("wall_clock", time.time)
    names, cluster, name = settings.topics, environment.cluster, environment.directory.name
    waits = replacements.get("waits") or Waits(clock)
    group_waits = GroupWaits(waits)
    catalog = replacements.get("catalog") or CatalogFollower(settings, on_failure, partial(waits.on, CATALOG))
    producer = replacements.get("producer") or SharedProducer(settings, partial(explain_refusal, names.profile_events))
    new_log = replacements.get("new_log") or partial(_new_log, settings, cluster.limits, producer)
    writer = WatchedWriter(producer, waits)
    history = PartitionHistory(writer, settings, name, wall_clock)
    pipeline = Pipeline(consumer, on_failure)
    gap_stop = GapStop(on_failure, partial(_finish, pipeline, names.profile_events))
    progress = GroupProgress(names, consumer, pipeline, gap_stop)
    sink = replacements.get("sink", Sink)(
        **_ports_of_delivery(settings, catalog, writer, history, consumer.lease.holds),
        limits=delivery_limits(settings),
        on_delivered=progress.note_delivered,
        may_send=consumer.lease.holds,
        clock=clock,
        wall_clock=wall_clock,
        draw=replacements.get("draw", random.random),
    )
    feed = ExportsFeed(partial(_deliver, sink, waits), consumer, settings.max_buffered_bytes // FEED_SHARE, on_failure)
    stores = Stores(settings, environment, store, replacements.get("open_changelog", kafka_consumer), waits)
    view = WorkerView(
        name=name,
        partitioner=settings.partitioner,
        pipeline=pipeline,
        sink=sink,
        waits=waits,
        stores=stores,
        catalog=catalog,
    )
    broker_clock = BrokerClock(wall_clock, clock)
    reports = StatusReports(view, producer, names.worker_status, on_failure, broker_clock, wall_clock)
    return Parts(
        settings=settings,
        consumer=consumer,
        waits=waits,
        group_waits=group_waits,
        catalog=catalog,
        new_log=lambda partition: WatchedLog(new_log(partition), partition, waits),
        stores=stores,
        partitions=PartitionParts(
            settings=settings,
            cluster=cluster,
            catalog=catalog,
            sink=sink,
            feed=feed,
            slots=Slots(clock),
            broker_clock=broker_clock,
            clock=clock,
            wall_clock=wall_clock,
            on_processed=progress.note_processed,
            on_failure=on_failure,
        ),
        pipeline=pipeline,
        sink=sink,
        feed=feed,
        gap_stop=gap_stop,
        log_positions=LogPositions(settings, consumer, stores, sink.has, gap_stop, history),
        parked_takeover=ParkedTakeover(
            sink,
            consumer,
            settings.accepted,
            replacements.get("read_parked_rows") or partial(read_positions, settings),
        ),
        view=view,
        reports=reports,
        services=Services(
            settings=settings,
            producer=producer,
            reports=reports,
            catalog=catalog,
            sink=sink,
            feed=feed,
            view=view,
            group_waits=group_waits,
            lease=consumer.lease,
            on_failure=on_failure,
        ),
        on_failure=on_failure,
    )


def _new_log(
    settings: Settings, limits: Mapping[str, TopicLimits], producer: SharedProducer, partition: int
) -> PartitionLog:
    names = settings.topics
    topics = OutputTopics(
        names.exports, names.dead_letters, names.changelog, names.profile_events, names.job_progress, limits
    )
    if settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
        return TransactionalLog(settings, topics, names.profile_events, partition)
    return PlainLog(producer, topics, partition)


def _ports_of_delivery(
    settings: Settings,
    catalog: CatalogFollower,
    writer: AsyncWriter,
    history: PartitionHistory,
    may_send: Callable[[], bool],
) -> dict[str, Any]:
    return {
        "destinations": CatalogDestinations(catalog),
        "open_stream": stream_opener(kinesis_options(settings), may_send=may_send),
        "dead_letters": TopicDeadLetters(writer, settings.topics.dead_letters),
        "parked": ParkingPorts(
            DeliveryPositions(settings, writer), ParkedExports(settings, history), lambda: uuid4().hex
        ),
    }


async def _deliver(sink: Sink, waits: Waits, partition: int, records: Sequence[Any], position: int) -> None:
    with waits.on("room in the delivery buffer, for more export records"):
        await sink.deliver(partition, records, position)


def _finish(pipeline: Pipeline, profile_events: str, tp: Partition) -> None:
    if tp.topic == profile_events:
        pipeline.pass_at_once(tp.partition)
