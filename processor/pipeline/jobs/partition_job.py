"""One job in one partition: how far it is, and what of it is to be written.

Its progress is a row, so whoever owns the partition goes on.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from processor.core.catalog import CompiledJob
from processor.core.job_records import JobSkip
from schemas.job import JobProgress, PartitionState
from schemas.kafka import ProducerRecord
from schemas.times import format_time
from schemas.wire.job_progress import job_progress_key
from schemas.wire.profiles_changelog import encode_job_row, job_key

REPORT_SECONDS: Final = 1.0
"""How often progress is reported on `job-progress`; the row is written with every chunk."""


class JobWrites(NamedTuple):
    """Writes of jobs: rows, and records of `job-progress`."""

    rows: dict[bytes, bytes | None]
    job_progress: list[ProducerRecord]

    def add(self, other: "JobWrites") -> None:
        """Add the writes of another job."""
        self.rows.update(other.rows)
        self.job_progress.extend(other.job_progress)


class PartitionJob:
    """One job in one partition; mutable, and belongs to the loop that decides the partition.

    `marker_prefix` begins the keys of the markers that events leave for the job. `cursor`: profiles, or markers, up to
    and with this one are done. `wait_until_sequence`: the job goes on when this work unit is on disk. `not_before`, by
    the monotonic clock, holds its rate. `runs`: whether its flow was enabled, as last seen. `cleaned`: markers up to
    and with this key are gone.
    """

    def __init__(self, progress: JobProgress, marker_prefix: bytes) -> None:
        self.id, self.flow_id, self.kind = progress.job, progress.flow, progress.kind
        self.marker_prefix = marker_prefix
        self.start = progress.start
        self.cursor = progress.cursor.encode()
        self.state = progress.state
        self.scanned = progress.scanned  # every profile is; what is left are markers
        self.cleaned = b""
        self.wait_until_sequence = 0
        self.runs = False
        self.not_before = 0.0
        self.waiting = progress.waiting
        self._first_catchup = progress.first_catchup
        self._seen, self._exported, self._skipped = progress.seen, progress.exported, dict(progress.skipped)
        self._partition, self._total, self._begun_at = progress.partition, progress.total, progress.begun_at
        self._worked_seconds = progress.worked_seconds
        self._working_since: float | None = None
        self._reported_at = float("-inf")
        self._reported: tuple[PartitionState, str | None] | None = None

    def marker_key(self, profile_id: bytes) -> bytes:
        """Return the key of the job's marker of a profile."""
        return self.marker_prefix + profile_id

    def is_ahead_of(self, profile_id: bytes) -> bool:
        """Return whether the scan has still to come to a profile."""
        return not self.scanned and profile_id > self.cursor

    def start_timer(self, now: float) -> None:
        """Count the time since the last call as work, and go on counting; `now` by the monotonic clock."""
        self._worked_seconds += 0.0 if self._working_since is None else now - self._working_since
        self._working_since = now

    def pause_timer(self) -> None:
        """Count no more time: the job waits for something outside, and that is no work."""
        self._working_since = None

    def add_scanned(self, profiles: int) -> None:
        """Count profiles that the job has looked at."""
        self._seen += profiles

    def count_exported(self) -> None:
        """Count a profile that the job exports."""
        self._exported += 1

    def count_skipped(self, reason: JobSkip, profiles: int = 1) -> None:
        """Count profiles that the job does not export, for this reason."""
        if profiles:
            self._skipped[reason] = self._skipped.get(reason, 0) + profiles

    def writes(self, now: float, rows: Mapping[bytes, bytes | None]) -> JobWrites:
        """Return these rows with the job's own, and its record on `job-progress`; `now` in seconds since 1970."""
        value = self._encode_progress(now)
        record = self._next_report(value, now)
        return JobWrites({**rows, job_key(self.id): value}, [] if record is None else [record])

    def _encode_progress(self, now: float) -> bytes:
        progress = JobProgress(
            job=self.id,
            flow=self.flow_id,
            kind=self.kind,
            partition=self._partition,
            start=self.start,
            state=self.state,
            cursor=self.cursor.decode() if self.state is PartitionState.RUNNING else "",  # it names a profile
            scanned=self.scanned,
            total=self._total,
            seen=self._seen,
            exported=self._exported,
            skipped=self._skipped,
            worked_seconds=round(self._worked_seconds, 3),
            waiting=self.waiting,
            begun_at=self._begun_at,
            updated_at=format_time(int(now)),
            first_catchup=self._first_catchup,
        )
        return encode_job_row(progress)

    def _next_report(self, progress: bytes, now: float) -> ProducerRecord | None:
        """Return the record of `job-progress`; None where one like it was reported a moment ago."""
        state = (self.state, self.waiting)
        if state == self._reported and now - self._reported_at < REPORT_SECONDS:
            return None
        self._reported, self._reported_at = state, now
        return ProducerRecord(job_progress_key(self.id, self._partition), progress)


def first_progress(job: CompiledJob, partition: int, start: int, total: int, now: float) -> JobProgress:
    """Return the progress of a job that begins; `start` is the first offset that is decided with the job."""
    time = format_time(int(now))
    return JobProgress(
        job=job.id,
        flow=job.flow.id,
        kind=job.kind,
        partition=partition,
        start=start,
        total=total,
        begun_at=time,
        updated_at=time,
        first_catchup=job.job.first_catchup,
    )
