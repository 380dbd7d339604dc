"""One chunk of work of one job: bounded, so that events wait for milliseconds, and a crash repeats little."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from processor.core.catalog import Catalog, CompiledJob
from processor.core.counts import Counts
from processor.core.job_records import JobSkip
from processor.pipeline.jobs.effects import ActiveJob, EventRules, rows_of_export
from processor.pipeline.jobs.partition_job import PartitionJob
from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from schemas.export import ExportRecord
from schemas.kafka import ProducerRecord
from schemas.wire.exports import encode_job_export

SLICE_ROWS: Final = 1000
"""Rows looked at in one slice, 1 ms; then an event that has come goes first."""
SLICE_EXPORTS: Final = 50
CHUNK_ROWS: Final = 50_000
"""Rows of one chunk: so many are scanned again after a crash."""
CHUNK_EXPORTS: Final = 500
LIVE_CHUNK_EXPORTS: Final = 100
"""Exports of one chunk while events come: they wait for a chunk that is being committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkInput:
    """The input that a chunk is decided on: rows and profiles as they are now, and the partition's other jobs.

    `source` is topic and partition of the events, `decided_at` the moment as `encode_export` takes it.
    `markers_are_inherited`: a later job goes on with the markers of this one.
    """

    catalog: Catalog
    rows: ProfileRows
    profiles: Profiles
    others: Sequence[ActiveJob]
    source: tuple[str, int]
    decided_at: bytes
    markers_are_inherited: bool = False


@dataclass(slots=True)
class Chunk:
    """The chunk, as far as it is done.

    `rate` bounds its exports to those of a second, 0: nothing does. `has_scanned_all`: the job has looked at every
    profile. `ends_job`: nothing is left to do.
    """

    active: ActiveJob
    input: ChunkInput
    rate: float = 0.0
    bound: int = CHUNK_EXPORTS
    exports: list[ProducerRecord] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    scanned: int = 0
    has_scanned_all: bool = False
    ends_job: bool = False

    @property
    def job(self) -> PartitionJob:
        """The job in this partition."""
        return self.active.job

    @property
    def ordered(self) -> CompiledJob:
        """The job as the catalog orders it; only of one that is not cancelled."""
        assert self.active.ordered is not None, "a cancelled job is only cleaned up"
        return self.active.ordered

    @property
    def is_full(self) -> bool:
        """Return whether the chunk is to be committed before more is done."""
        return (
            self.ends_job
            or self.has_scanned_all
            or self.scanned >= CHUNK_ROWS
            or len(self.exports) >= self.max_exports
            or len(self.rows) >= CHUNK_EXPORTS
        )

    @property
    def max_exports(self) -> float:
        """Return how many records the chunk may have: those of a second, where there is a rate."""
        return min(self.bound, max(1.0, self.rate)) if self.rate else self.bound

    @property
    def slice_exports(self) -> float:
        """Return how many records the chunk may have after the next slice."""
        return min(self.max_exports, len(self.exports) + SLICE_EXPORTS)

    def marker(self, key: bytes) -> bytes | None:
        """Return the newest value of a marker."""
        return self.rows[key] if key in self.rows else self.input.profiles.value(key)

    def export(self, record: ExportRecord | JobSkip, profile_id: bytes, offset: int) -> None:
        """Add the job's record of a profile, or count why it has none; `offset` of the last event applied to it."""
        if isinstance(record, JobSkip):
            self.job.count_skipped(record)
            return
        self.job.count_exported()
        self.counts.count_job_record(record)
        source = (*self.input.source, offset)
        self.exports.append(encode_job_export(record, profile_id, source, self.input.decided_at))

    def export_for_all(self, record: ExportRecord | JobSkip, profile_id: bytes, offset: int) -> None:
        """Add a record as `export` does, which also stands for what other jobs of the flow would send (E2)."""
        self.export(record, profile_id, offset)
        if isinstance(record, ExportRecord):
            self.rows.update(rows_of_export(self.input.others, record, profile_id))


class ChunkWork(Protocol):
    """A worker at chunks: the kind of their job, or the cleanup of its markers."""

    def do_slice(self, chunk: Chunk) -> None:
        """Do a slice of the chunk, about a millisecond; say so where the job has no more."""


class Kind(EventRules, ChunkWork, Protocol):
    """One kind of job; it has no state of its own."""

    @property
    def scans_profiles(self) -> bool:
        """Return whether a partition without profiles has nothing to do for the job."""
        ...

    def marker_prefix(self, job_id: str, missed_id: str) -> bytes:
        """Return what the keys of the job's markers begin with; missed changes are kept under `missed_id`."""
        ...
