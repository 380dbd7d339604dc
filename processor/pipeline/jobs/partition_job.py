"""One job in one partition: how far it is, and what of it is to be written.

Its progress is a row, so whoever owns the partition goes on.
"""

from typing import Final

from processor.core.catalog import CompiledJob
from processor.core.job_records import JobSkip
from schemas.job import JobKind, JobProgress, PartitionState
from schemas.kafka import ProducerRecord
from schemas.times import format_time
from schemas.wire.job_progress import job_progress_key
from schemas.wire.profiles_changelog import encode_job_row, exported_key, job_key, missed_key

TOLD_SECONDS: Final = 1.0
"""How often progress is told on `job-progress`; the row is written with every page."""


class JobPart:
    """Mutable; belongs to the loop that decides the partition. `now` is in seconds since 1970."""

    def __init__(self, progress: JobProgress) -> None:
        self.id, self.flow_id, self.kind = progress.job, progress.flow, progress.kind
        self.start = progress.start
        self.cursor = progress.cursor.encode()
        self.state = progress.state
        self.scanned = progress.scanned  # every profile is; what is left are marks
        self.missed_id = progress.first_catchup or progress.job  # as of the job
        self.swept = b""  # marks up to and with this one are gone
        self.barrier = 0  # goes on when what was decided up to this sequence is on disk
        self.runs = False  # its flow is enabled, as last seen
        self.not_before = 0.0  # by the monotonic clock: the rate's
        self.waiting = progress.waiting
        self._first_catchup = progress.first_catchup
        self._seen, self._exported, self._skipped = progress.seen, progress.exported, dict(progress.skipped)
        self._partition, self._total, self._begun_at = progress.partition, progress.total, progress.begun_at
        self._worked_seconds = progress.worked_seconds
        self._at_work_since: float | None = None
        self._told_at = float("-inf")
        self._told: tuple[PartitionState, str | None] | None = None

    @classmethod
    def begin(cls, job: CompiledJob, partition: int, start: int, total: int, now: float) -> "JobPart":
        """At the first offset that is decided with the job."""
        time = format_time(int(now))
        kind = job.kind
        return cls(
            JobProgress(
                job=job.id,
                flow=job.flow.id,
                kind=kind,
                partition=partition,
                start=start,
                total=total,
                begun_at=time,
                updated_at=time,
                first_catchup=job.job.first_catchup,
            )
        )

    @property
    def is_catchup(self) -> bool:
        """Whether its profiles are those that were missed, and not all."""
        return self.kind is JobKind.CATCHUP

    @property
    def marks(self) -> bytes:
        """What the keys of its marks begin with."""
        return missed_key(self.missed_id, b"") if self.is_catchup else exported_key(self.id, b"")

    def mark(self, profile_id: bytes) -> bytes:
        """The key of its mark of a profile."""
        return missed_key(self.missed_id, profile_id) if self.is_catchup else exported_key(self.id, profile_id)

    def is_ahead_of(self, profile_id: bytes) -> bool:
        """Whether the scan has still to come to a profile."""
        return not self.scanned and profile_id > self.cursor

    def at_work(self, now: float) -> None:
        """A page begins, or ends; by the monotonic clock."""
        self._worked_seconds += 0.0 if self._at_work_since is None else now - self._at_work_since
        self._at_work_since = now

    def rests(self) -> None:
        """It waits for something outside; that is not work."""
        self._at_work_since = None

    def saw(self, profiles: int) -> None:
        """It looked at so many."""
        self._seen += profiles

    def sent(self) -> None:
        """A record is decided."""
        self._exported += 1

    def skipped(self, reason: JobSkip, profiles: int = 1) -> None:
        """Count profiles that the job does not export, for this reason."""
        if profiles:
            self._skipped[reason] = self._skipped.get(reason, 0) + profiles

    def row(self, now: float) -> tuple[bytes, bytes]:
        """Its progress as a row."""
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
        return job_key(self.id), encode_job_row(progress)

    def telling(self, row: bytes, now: float) -> ProducerRecord | None:
        """The record of `job-progress` for this row; None where one like it was told a moment ago."""
        state = (self.state, self.waiting)
        if state == self._told and now - self._told_at < TOLD_SECONDS:
            return None
        self._told, self._told_at = state, now
        return ProducerRecord(job_progress_key(self.id, self._partition), row)
