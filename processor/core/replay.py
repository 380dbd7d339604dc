"""The same rules without Kafka (contract 4b): a loop over `step` that keeps the profiles in memory."""

from collections.abc import Container, Iterator

from processor.core.catalog import Catalog, CompiledJob
from processor.core.job_records import JobSkip, Passed, catchup_record, job_record, missed_changes
from processor.core.step import EventSkip, Limits, Step, step
from schemas.export import ExportRecord
from schemas.job import JobKind, MissedChanges
from schemas.kafka import ReadRecord
from schemas.profile import Profile

Place = tuple[str, int, bytes]
"""Topic, partition and key: one profile (contract I12)."""


class Replay:
    """The state of one replay: profiles by topic, partition and key (I12), and each partition's highest offset.

    It is the reference for what the worker sends. `catalog` may be exchanged between two records, as a worker's changes
    between two batches; `change` also does the jobs that the new one brings, at once and whole, as a worker would that
    has nothing else to do.
    """

    def __init__(self, catalog: Catalog, limits: Limits | None = None) -> None:
        self.catalog = catalog
        self._limits = limits or Limits()
        self.profiles: dict[Place, Profile] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self._done: set[str] = set()
        self._missed: dict[tuple[str, Place], MissedChanges] = {}  # by the catchup's `missed_id`, and the profile

    def change(self, catalog: Catalog) -> Iterator[ExportRecord]:
        """Decide by another catalog from here on; the records of the jobs that are due by it (contract section 5).

        Exhaust it.
        """
        self.catalog = catalog
        tracking = {job.missed_id for job in catalog.jobs if job.kind is JobKind.CATCHUP and job.id not in self._done}
        self._missed = {kept: known for kept, known in self._missed.items() if kept[0] in tracking}
        due = [job for job in catalog.jobs if job.runs and job.id not in self._done]
        sent: set[tuple[str, Place]] = set()  # by jobs of this change: what one of a flow sends, the next need not (E2)
        for job in due:
            self._done.add(job.id)
            for place, record in self._catch_up(job) if job.kind is JobKind.CATCHUP else self._scan(job, sent):
                if job.kind is not JobKind.UNMAP:
                    sent.add((record.flow_id, place))
                    for each in catalog.jobs:
                        if each.kind is JobKind.CATCHUP and each.flow is job.flow:
                            self._missed.pop((each.missed_id, place), None)
                yield record

    def _scan(self, job: CompiledJob, sent: Container[tuple[str, Place]]) -> Iterator[tuple[Place, ExportRecord]]:
        for place in sorted(self.profiles):
            if job.kind is not JobKind.UNMAP and (job.flow.id, place) in sent:
                continue
            record = job_record(job, place[-1].decode(), self.profiles[place], self.catalog)
            if isinstance(record, ExportRecord):
                yield place, record

    def _catch_up(self, job: CompiledJob) -> Iterator[tuple[Place, ExportRecord]]:
        for missed_id, place in sorted(self._missed):
            if missed_id == job.missed_id:
                known = self._missed.pop((missed_id, place))
                if not known.is_due:
                    continue
                record = catchup_record(job, place[-1].decode(), self.profiles.get(place), known, self.catalog)
                if not isinstance(record, JobSkip):
                    yield place, record

    def feed(self, record: ReadRecord) -> Step:
        """Apply one record; an offset at or below the highest one of its partition is skipped unread (I5)."""
        source = (record.topic, record.partition)
        place = (*source, record.key or b"")
        profile = self.profiles.get(place)
        if record.offset <= self._offsets.get(source, -1):
            return Step(profile, skipped_event=EventSkip.ALREADY_APPLIED)
        self._offsets[source] = record.offset
        result = step(profile, record, self.catalog, self._limits)
        self._keep_missed(place, profile, result)
        if result.profile is not None:
            self.profiles[place] = result.profile
        else:
            self.profiles.pop(place, None)
        return result

    def _keep_missed(self, place: Place, before: Profile | None, result: Step) -> None:
        for flow, sends in result.missed:
            job = next(job for job in self.catalog.jobs if job.tracks_missed and job.flow is flow)
            missed = missed_changes(job, Passed(before, sends), self._missed.get((job.missed_id, place)), self.catalog)
            if missed is not None:
                self._missed[job.missed_id, place] = missed
        if result.profile is None and before is not None:
            for missed_id in {missed_id for missed_id, missing in self._missed if missing == place}:
                del self._missed[missed_id, place]
