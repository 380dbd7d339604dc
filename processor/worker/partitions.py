"""Partitions of profile-events, each put together with what it needs of the worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from processor.core.misplaced import Placement
from processor.core.step import Limits
from processor.delivery.sink import Sink
from processor.foundation.clocks import Clock, WallClock
from processor.foundation.settings import Settings
from processor.kafka.cluster import ClusterFacts
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
from processor.pipeline.ports import CatalogView, PartitionLog, ProfileRows
from processor.worker.exports_feed import ExportsFeed
from schemas.kafka import ProducerRecord
from schemas.partitioner import Partitioner


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionParts:
    """The parts that all partitions of a worker share; it puts each of them together."""

    settings: Settings
    cluster: ClusterFacts
    catalog: CatalogView
    sink: Sink
    feed: ExportsFeed
    slots: Slots
    broker_clock: BrokerClock
    clock: Clock
    wall_clock: WallClock
    on_processed: Callable[[int, int], None]
    """Called with a partition and the offset below which its events are processed."""
    on_failure: Callable[[BaseException], None]

    def build_partitions(
        self, rows: Mapping[int, ProfileRows], logs: Mapping[int, PartitionLog]
    ) -> dict[int, PartitionPipeline]:
        """Put the partitions together that have these rows; memory is shared by them alike. Nothing is started."""
        return {partition: self._build(partition, rows[partition], log, len(rows)) for partition, log in logs.items()}

    def _build(self, partition: int, rows: ProfileRows, log: PartitionLog, partitions: int) -> PartitionPipeline:
        topics, ids = self.settings.topics, self.cluster.topic_ids
        return PartitionPipeline(
            rows,
            log,
            self.catalog,
            self._partition_settings(partition, max(1, partitions)),
            (ids.get(topics.profile_events), ids.get(topics.changelog)),
            on_processed=partial(self.on_processed, partition),
            on_failure=self.on_failure,
            is_positioned=False,
        )

    def _partition_settings(self, partition: int, share: int) -> PartitionSettings:
        settings = self.settings
        limits = Limits(settings.max_document_bytes, settings.dedup_window)
        return PartitionSettings(
            policy=Policy(
                limits,
                BadEventLimit(settings.max_bad_events_in_a_row, self._dead_letter_fits),
                placement(settings, partition),
            ),
            cache_bytes=settings.row_cache_bytes // share,
            max_waiting_bytes=settings.max_waiting_bytes // share,
            linger_seconds=settings.linger_seconds,
            jobs=self._job_settings(partition),
            deadlines=DeadlineSettings(settings.membership_expiry, self.broker_clock.now),
            identity_index=IndexSettings(settings.identity_index),
            clock=self.clock,
            wall_clock=self.wall_clock,
        )

    def _dead_letter_fits(self, dead_letter: ProducerRecord) -> bool:
        """Return whether `dead-letters` takes it; where the broker does not say what that takes, a commit will show."""
        limit = self.cluster.limits.get(self.settings.topics.dead_letters, UNKNOWN).max_message_bytes
        return limit is None or fits_alone(dead_letter, limit)

    def _job_settings(self, partition: int) -> JobSettings:
        settings = self.settings
        return JobSettings(
            partition,
            settings.partitions,
            settings.topics.profile_events,
            settings.job_records_per_second / settings.partitions,
            self._why_jobs_wait,
            partial(self.feed.is_behind, partition),
            self.slots,
        )

    def _why_jobs_wait(self, flow_id: str) -> str | None:
        """Say why a job makes no records now, where nobody takes them: they would stand in the way of events'."""
        paused = self.sink.pause_of(flow_id)
        if paused is None:
            return "the destination takes less than comes" if self.sink.is_behind(flow_id) else None
        return f"the destination is paused: {paused.value}"


def placement(settings: Settings, partition: int) -> Placement | None:
    """Return what keys of a partition are compared with (I12); None where nobody knows, or all are in one partition."""
    if settings.partitioner is Partitioner.NONE or settings.partitions == 1:
        return None
    return Placement(partition, settings.partitions, settings.partitioner)
