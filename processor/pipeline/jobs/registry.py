"""The jobs of one partition: those that the catalog orders, with their progress as the partition's rows have it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final

import structlog

from processor.core.catalog import Catalog, CompiledJob
from processor.foundation.clocks import WallClock
from processor.pipeline.jobs.backfill import Backfill
from processor.pipeline.jobs.catch_up import CatchUp
from processor.pipeline.jobs.chunk import Kind
from processor.pipeline.jobs.effects import ActiveJob
from processor.pipeline.jobs.partition_job import JobWrites, PartitionJob, first_progress
from processor.pipeline.jobs.unmap import Unmap
from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from schemas.job import JobKind, JobProgress, PartitionState
from schemas.kafka import ProducerRecord
from schemas.wire.job_progress import job_progress_key
from schemas.wire.profiles_changelog import JOB, decode_job_row, job_key

_BACKFILL: Final = Backfill()
KINDS: Final[Mapping[JobKind, Kind]] = {
    JobKind.BACKFILL: _BACKFILL,
    JobKind.RESEND: _BACKFILL,
    JobKind.UNMAP: Unmap(),
    JobKind.CATCHUP: CatchUp(),
}
_log = structlog.get_logger(__name__)


class JobRegistry:
    """The jobs of one partition; belongs to the loop that decides it.

    `ordered`: the jobs of the catalog that was followed last, by id. `active`: those that are not done here, also
    cancelled ones whose markers are to go.
    """

    def __init__(self, rows: ProfileRows, profiles: Profiles, partition: int, wall_clock: WallClock) -> None:
        self._rows, self._profiles, self._partition, self._wall_clock = rows, profiles, partition, wall_clock
        self._jobs: dict[str, PartitionJob] = {}
        with closing(rows.scan_from(JOB)) as stored:
            for _, value in stored:
                self._add(decode_job_row(value))
        self._catalog: Catalog | None = None
        self.ordered: Mapping[str, CompiledJob] = {}
        self.active: Sequence[ActiveJob] = ()

    def follow(self, catalog: Catalog, next_offset: int, sequence: int) -> JobWrites:
        """Take notice of a catalog before anything is decided by it, and return what that writes of jobs.

        `next_offset`: the first offset that is decided with it; `sequence`: the last work unit before. A job that the
        catalog knows no more (after its 30 days) is forgotten, here and on `job-progress`; one that still runs is ended
        first, as if it were cancelled.
        """
        writes = JobWrites({}, [])
        if catalog is self._catalog:
            return writes
        self._catalog = catalog
        self.ordered = {job.id: job for job in catalog.jobs}
        for ordered in catalog.jobs:
            if ordered.id not in self._jobs and (ordered.runs or ordered.tracks_missed):
                writes.add(self._begin(ordered, next_offset))
        for job in list(self._jobs.values()):
            if job.state is PartitionState.RUNNING:
                self._follow_state(job, sequence)
            elif job.id not in self.ordered and job.id not in catalog.cancelled:
                writes.add(self._forget(job))
        self._find_active()
        return writes

    def count_exported(self, job_ids: Sequence[str]) -> None:
        """Count profiles that these jobs exported before an event, one a name."""
        for job_id in job_ids:
            self._jobs[job_id].add_scanned(1)
            self._jobs[job_id].count_exported()

    def end(self, job: PartitionJob) -> None:
        """Note that nothing is left to do for a job."""
        job.state = PartitionState.DONE if job.id in self.ordered else PartitionState.CANCELLED
        job.waiting = None
        self._find_active()
        _log.info("job_ended", job=job.id, flow=job.flow_id, partition=self._partition, state=job.state.value)

    def markers_are_inherited(self, job: PartitionJob) -> bool:
        """Return whether another job goes on with the markers of this one.

        A flow that is disabled again before its catchup is done: what was sent last is what was sent last before the
        first time.
        """
        return any(
            ordered.id != job.id
            and KINDS[ordered.kind].marker_prefix(ordered.id, ordered.missed_id) == job.marker_prefix
            for ordered in self.ordered.values()
        )

    def _begin(self, ordered: CompiledJob, next_offset: int) -> JobWrites:
        now = self._wall_clock()
        job = self._add(first_progress(ordered, self._partition, next_offset, self._rows.row_count(), now))
        if KINDS[ordered.kind].scans_profiles and self._profiles.is_empty():
            job.state = PartitionState.DONE
        _log.info(
            "job_begun",
            job=ordered.id,
            kind=ordered.kind.value,
            flow=ordered.flow.id,
            partition=self._partition,
            offset=next_offset,
        )
        return job.writes(now, {})

    def _add(self, progress: JobProgress) -> PartitionJob:
        prefix = KINDS[progress.kind].marker_prefix(progress.job, progress.first_catchup or progress.job)
        job = self._jobs[progress.job] = PartitionJob(progress, prefix)
        return job

    def _follow_state(self, job: PartitionJob, sequence: int) -> None:
        """Have the markers that are decided by now on disk before the job looks at any."""
        ordered = self.ordered.get(job.id)
        runs = ordered is not None and ordered.runs
        if runs != job.runs or ordered is None:
            job.runs, job.wait_until_sequence = runs, sequence

    def _forget(self, job: PartitionJob) -> JobWrites:
        del self._jobs[job.id]
        tombstone = ProducerRecord(job_progress_key(job.id, self._partition), None)
        return JobWrites({job_key(job.id): None}, [tombstone])

    def _find_active(self) -> None:
        """Call when a state, or the catalog, has changed."""
        self.active = [
            ActiveJob(job, self.ordered.get(job.id), KINDS[job.kind])
            for job in self._jobs.values()
            if job.state is PartitionState.RUNNING
        ]
