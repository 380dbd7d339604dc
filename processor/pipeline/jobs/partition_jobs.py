"""The jobs of one partition, page by page between its events, in the one order that events have too (contract E1, E2,
F1).

    follow     what the catalog says: jobs begin, wait, are cancelled
    note       what events do to them: what the flow sent since a job began is marked (E2), what a disabled flow misses
               is noted (F1)
    page       the next piece of work: scan on from the cursor, or send what was missed; then take the marks away

A page is decided on the newest state of each profile, and committed in the order of the decisions, so no record of it
follows a newer one. Its progress, records and marks are one transaction: a job goes on where it was, whoever owns the
partition.

Chosen by measuring: a scan with a search for the audience's text in each row, not an index of members. A million rows
of 230 bytes take 0.9 s to scan so, 2.3 s when each is decoded; an index would cost every event that changes a
membership, for ever.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson
import structlog

from processor.core.catalog import Catalog, CompiledJob
from processor.core.job_records import JobSkip, Passed, catchup_record, job_record, missed_changes
from processor.core.step import Step
from processor.pipeline.jobs.chunk import LIVE_PAGE_EXPORTS, PAGE_EXPORTS, SLICE_EXPORTS, SLICE_ROWS, Page
from processor.pipeline.jobs.partition_job import JobPart
from processor.pipeline.jobs.slots import Turns
from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from schemas.export import ExportRecord
from schemas.job import JobKind, PartitionState
from schemas.kafka import ProducerRecord
from schemas.profile import REALIZED
from schemas.wire.exports import encode_decided_at, encode_job_export
from schemas.wire.job_progress import job_progress_key
from schemas.wire.profiles_changelog import (
    JOB,
    PROFILE,
    Row,
    decode_job_row,
    decode_missed_changes,
    decode_row,
    encode_missed_changes,
    job_key,
    profile_key,
)

_MARK: Final = b"1"  # the job's flow sent it
_PASSED: Final = b"0"  # of an unmap job: it was no member
_UNMAP: Final = JobKind.UNMAP
_log = structlog.get_logger(__name__)


class Told(NamedTuple):
    """What is to be written of jobs: rows, and records of `job-progress`."""

    rows: dict[bytes, bytes | None]
    job_progress: list[ProducerRecord]

    def add(self, other: "Told") -> None:
        """And what another says."""
        self.rows.update(other.rows)
        self.job_progress.extend(other.job_progress)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """`records_per_second` bounds a job in this partition (0: nothing does); `topic` is that of the events.

    `why_waiting`: why records of a flow should not be made now, in words; None: they may. `is_behind`: delivery cannot
    follow.
    """

    partition: int = 0
    partitions: int = 1
    topic: str = "profile-events"
    records_per_second: float = 0.0
    why_waiting: Callable[[str], str | None] = lambda _: None
    is_behind: Callable[[], bool] = lambda: False
    turns: Turns = field(default_factory=Turns)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


class PartitionJobs:
    """Belongs to the loop that decides the partition. `next_offset` is always the first offset that is not decided."""

    def __init__(self, rows: ProfileRows, profiles: Profiles, settings: JobSettings) -> None:
        self._rows, self._profiles, self._settings = rows, profiles, settings
        self._parts: dict[str, JobPart] = {}
        with closing(rows.scan_from(JOB)) as stored:
            for _, value in stored:
                part = JobPart(decode_job_row(value))
                self._parts[part.id] = part
        self._catalog: Catalog | None = None
        self._jobs: Mapping[str, CompiledJob] = {}
        self._turn = ""  # id of the flow that had the last page
        self._running: list[JobPart] = []  # not done here: also those that are cancelled, and whose marks are to go
        self._alive: list[JobPart] = []  # of these, those that are not cancelled

    @property
    def is_noting(self) -> bool:
        """Whether `note` must be called for applied events, and a page may come."""
        return bool(self._running)

    # what the catalog says -----------------------------------------------------------------------------------------

    def follow(self, catalog: Catalog, next_offset: int, sequence: int) -> Told:
        """Take notice of a catalog before anything is decided by it; what says so. `sequence`: the last decided one.

        A job that the catalog knows no more (after its 30 days) is forgotten, here and on `job-progress`; one that
        still runs is ended first, as if it were cancelled.
        """
        told = Told({}, [])
        if catalog is self._catalog:
            return told
        self._catalog = catalog
        self._jobs = {job.id: job for job in catalog.jobs}
        for job in catalog.jobs:
            if job.id not in self._parts and (job.runs or job.tracks_missed):
                told.add(self._begin(job, next_offset))
        for part in list(self._parts.values()):
            if part.state is PartitionState.RUNNING:
                runs = part.id in self._jobs and self._jobs[part.id].runs
                if runs != part.runs or part.id not in self._jobs:
                    part.runs, part.barrier = (
                        runs,
                        sequence,
                    )  # the marks that are decided by now are on disk before any is looked at
            elif part.id not in self._jobs and part.id not in catalog.cancelled:
                del self._parts[part.id]
                told.rows[job_key(part.id)] = None
                told.job_progress.append(ProducerRecord(job_progress_key(part.id, self._settings.partition), None))
        self._look_at_states()
        return told

    def _begin(self, job: CompiledJob, next_offset: int) -> Told:
        now = self._settings.wall_clock()
        part = self._parts[job.id] = JobPart.begin(
            job, self._settings.partition, next_offset, self._rows.row_count(), now
        )
        if not part.is_catchup and self._profiles.is_empty():
            part.state = PartitionState.DONE
        _log.info(
            "job_begun",
            job=job.id,
            kind=job.kind.value,
            flow=job.flow.id,
            partition=self._settings.partition,
            offset=next_offset,
        )
        return self._told(part, {})

    def _look_at_states(self) -> None:
        """Call when a state, or the catalog, has changed."""
        self._running = [part for part in self._parts.values() if part.state is PartitionState.RUNNING]
        self._alive = [part for part in self._running if part.id in self._jobs]

    # what events do ------------------------------------------------------------------------------------------------

    def note(self, key: bytes, before: Row | None, step: Step, beside: dict[bytes, bytes | None]) -> list[ExportRecord]:
        """An event was applied: put the marks that it makes and takes into `beside`.

        Returns records that leave before its own.
        """
        parts = self._alive
        first = self._note_exits(key, before, parts, beside)
        if step.profile is None:  # nothing names it any more, also where the marks of a cancelled job are still to go
            for part in self._running:
                if part.kind is not _UNMAP:
                    beside[part.mark(key)] = None
            return first
        for record in step.records:
            self._note_sent(record.flow_id, key, beside, parts)
        for flow, sends in step.missed:
            passed = Passed(None if before is None else before.profile, sends)
            for part in parts:
                if part.is_catchup and part.flow_id == flow.id:
                    self._note_missed(part, key, passed, beside)
        return first

    def _note_exits(
        self, key: bytes, before: Row | None, parts: Sequence[JobPart], beside: dict[bytes, bytes | None]
    ) -> list[ExportRecord]:
        """An event on a profile whose exits are still to leave (F2) may take away what they are made from: they leave
        first.

        Who was no member before it gets none, whatever he becomes. Of a flow that was disabled meanwhile nothing is
        noted: its exits wait for it, and leave as the profiles are by then.
        """
        records = []
        for part in parts:
            if part.kind is not _UNMAP or not part.is_ahead_of(key) or self._is_marked(part, key, beside):
                continue
            job = self._jobs[part.id]
            if not job.runs:
                continue
            record = (
                JobSkip.NOT_A_MEMBER if before is None else job_record(job, key.decode(), before.profile, self._known)
            )
            if isinstance(record, ExportRecord):
                part.saw(1)
                part.sent()
                records.append(record)
            beside[part.mark(key)] = _MARK if isinstance(record, ExportRecord) else _PASSED
        return records

    def _note_sent(self, flow_id: str, key: bytes, beside: dict[bytes, bytes | None], parts: Iterable[JobPart]) -> None:
        """A flow sent a profile: what jobs would send of it has arrived (E2)."""
        for part in parts:
            if part.flow_id != flow_id or part.kind is _UNMAP:
                continue
            if part.is_catchup:
                beside[part.mark(key)] = None
            elif part.is_ahead_of(key):
                beside[part.mark(key)] = _MARK

    def _note_missed(self, part: JobPart, key: bytes, passed: Passed, beside: dict[bytes, bytes | None]) -> None:
        marked = self._marked(part, key, beside)
        note = missed_changes(
            self._jobs[part.id], passed, None if marked is None else decode_missed_changes(marked), self._known
        )
        if note is not None:
            beside[part.mark(key)] = encode_missed_changes(note)

    def _is_marked(self, part: JobPart, key: bytes, beside: Mapping[bytes, bytes | None]) -> bool:
        return self._marked(part, key, beside) is not None

    def _marked(self, part: JobPart, key: bytes, beside: Mapping[bytes, bytes | None]) -> bytes | None:
        mark = part.mark(key)
        return beside[mark] if mark in beside else self._profiles.value(mark)

    @property
    def _known(self) -> Catalog:
        assert self._catalog is not None, "follow comes first"
        return self._catalog

    # pages ---------------------------------------------------------------------------------------------------------

    def next_page(self, applied: int) -> Page | None:
        """What is to be done next; None: nothing now.

        Flows take turns. `applied`: the last sequence that is on disk. `follow` was called.
        """
        if self._settings.is_behind():
            return None
        ready = [part for part in self._heads() if part.barrier <= applied and self._may_go_on(part)]
        if not ready:
            return None
        part = min(ready, key=lambda part: (part.flow_id <= self._turn, part.flow_id))
        job = self._jobs.get(part.id)
        part.at_work(self._settings.clock())
        return Page(
            part,
            job,
            self._known,
            self._rate(job),
            LIVE_PAGE_EXPORTS if self._settings.turns.events_come else PAGE_EXPORTS,
        )

    def _heads(self) -> list[JobPart]:
        """What is to be taken away of cancelled jobs, and the oldest job of each flow that is not done."""
        heads: dict[str, JobPart] = {}
        for job in self._jobs.values():  # the oldest first
            part = self._parts.get(job.id)
            if job.runs and part is not None and part.state is PartitionState.RUNNING:
                heads.setdefault(part.flow_id, part)
        return [part for part in self._running if part.id not in self._jobs] + list(heads.values())

    def _may_go_on(self, part: JobPart) -> bool:
        job = self._jobs.get(part.id)
        if job is None:
            return True  # cancelled: its marks go
        return job.runs and part.waiting is None and self._settings.clock() >= part.not_before

    def _rate(self, job: CompiledJob | None) -> float:
        """Records a second that the job may send in this partition; 0: as many as it can."""
        of_job = 0 if job is None else job.job.records_per_second or 0
        return of_job / self._settings.partitions or self._settings.records_per_second

    def note_waiting(self, applied: int) -> Told:
        """Which jobs begin or cease to wait for something outside, and for what."""
        told = Told({}, [])
        for part in self._running:
            job = self._jobs.get(part.id)
            waiting = None if job is None else self._why_waiting(job)
            if part.barrier <= applied and waiting != part.waiting:
                part.waiting = waiting
                part.rests()
                told.add(self._told(part, {}))
        return told

    def _why_waiting(self, job: CompiledJob) -> str | None:
        if not job.runs:
            return "the flow is disabled"
        return self._settings.why_waiting(job.flow.id)

    def slice(self, page: Page) -> None:
        """Do a piece of the page: about a millisecond."""
        part, job = page.part, page.job
        if job is None or part.scanned:
            self._sweep(page)
        elif part.is_catchup:
            self._catch_up(page, job)
        else:
            self._scan(page, job)

    def finish(self, page: Page, sequence: int) -> Told:
        """The page is decided as `sequence`: its rows, and what is told of it."""
        part = page.part
        part.at_work(self._settings.clock())
        self._turn = part.flow_id
        if page.ended:
            self._end(page, sequence)
        if page.rate and page.exports:
            part.not_before = max(part.not_before, self._settings.clock()) + len(page.exports) / page.rate
        return self._told(part, page.rows)

    def _told(self, part: JobPart, rows: Mapping[bytes, bytes | None]) -> Told:
        """These rows with the job's own, and its record on `job-progress`."""
        now = self._settings.wall_clock()
        key, value = part.row(now)
        record = part.telling(value, now)
        return Told({**rows, key: value}, [] if record is None else [record])

    def _end(self, page: Page, sequence: int) -> None:
        part = page.part
        if not (part.scanned or part.is_catchup or page.job is None):
            part.scanned, part.barrier = True, sequence  # marks that are decided are on disk then
            return
        part.state = PartitionState.CANCELLED if page.job is None else PartitionState.DONE
        part.waiting = None
        self._look_at_states()
        _log.info(
            "job_ended", job=part.id, flow=part.flow_id, partition=self._settings.partition, state=part.state.value
        )

    def _scan(self, page: Page, job: CompiledJob) -> None:
        part = page.part
        texts = [
            orjson.dumps(audience) + b':"' + REALIZED.encode()
            for audiences in job.audiences.values()
            for audience in audiences
        ]
        looked, seen, others, most = 0, 0, 0, min(page.most, len(page.exports) + SLICE_EXPORTS)
        last = profile_key(part.cursor)
        with closing(self._rows.scan_from(PROFILE, last)) as rows:
            for last, value in rows:  # where it ended is needed below
                looked += 1
                for text in texts:
                    if text in value:
                        seen += self._consider(page, job, last, value)
                        break
                else:
                    others += 1
                if looked >= SLICE_ROWS or len(page.exports) >= most:
                    break
            else:
                page.ended = True
        part.cursor = last[1:]
        part.saw(seen + others)
        part.skipped(JobSkip.NOT_A_MEMBER, others)
        page.scanned += looked

    def _consider(self, page: Page, job: CompiledJob, stored_key: bytes, on_disk: bytes) -> bool:
        """Whether the profile is counted as seen now: one whose exit left before an event was so then."""
        part = page.part
        value = self._profiles.newest(stored_key, on_disk)
        if value is None:
            part.skipped(JobSkip.DELETED)
            return True
        row, profile_id = decode_row(value), stored_key[1:]
        if (marked := self._marked(part, profile_id, page.rows)) is not None:
            page.rows[part.mark(profile_id)] = None
            if part.kind is _UNMAP and marked != _PASSED:
                return False
            part.skipped(JobSkip.NOT_A_MEMBER if part.kind is _UNMAP else JobSkip.ALREADY_EXPORTED)
            return True
        self._send(page, job_record(job, profile_id.decode(), row.profile, page.catalog), profile_id, row.offset)
        return True

    def _catch_up(self, page: Page, job: CompiledJob) -> None:
        part = page.part
        looked, seen, most = 0, 0, min(page.most, len(page.exports) + SLICE_EXPORTS)
        prefix = part.marks
        with closing(self._rows.scan_from(prefix, part.mark(part.cursor))) as marks:
            for mark, on_disk in marks:
                looked += 1
                part.cursor = mark[len(prefix) :]
                seen += self._consider_missed(page, job, mark, self._profiles.newest(mark, on_disk))
                if looked >= SLICE_EXPORTS or len(page.exports) >= most:
                    break
            else:
                page.ended = True
        part.saw(seen)

    def _consider_missed(self, page: Page, job: CompiledJob, mark: bytes, marked: bytes | None) -> bool:
        """Whether a record of the profile was missed: then it is counted as seen."""
        if marked is None:
            page.part.skipped(JobSkip.ALREADY_EXPORTED)
            return True
        page.rows[mark] = None
        known = decode_missed_changes(marked)
        if known.is_due:
            profile_id = page.part.cursor
            row = self._profiles.load([profile_id])[profile_id]
            record = catchup_record(job, profile_id.decode(), None if row is None else row.profile, known, page.catalog)
            self._send(page, record, profile_id, 0 if row is None else row.offset)
        return known.is_due

    def _send(self, page: Page, record: ExportRecord | JobSkip, profile_id: bytes, offset: int) -> None:
        if isinstance(record, JobSkip):
            page.part.skipped(record)
            return
        page.part.sent()
        page.counts.note_job_record(record)
        page.exports.append(self.export(record, profile_id, offset))
        if page.part.kind is not _UNMAP:
            self._note_sent(
                record.flow_id, profile_id, page.rows, [part for part in self._alive if part is not page.part]
            )

    def export(self, record: ExportRecord, profile_id: bytes, offset: int) -> ProducerRecord:
        """The record as `exports` takes it; `offset` of the last event applied to the profile."""
        source = self._settings.topic, self._settings.partition, offset
        return encode_job_export(record, profile_id, source, encode_decided_at(self._settings.wall_clock()))

    def _sweep(self, page: Page) -> None:
        """Take away the marks that are left: of profiles that were not scanned any more, or of a job that was
        cancelled.

        Each page begins where the last one ended: RocksDB would step over all that is removed and not compacted yet
        (measured: 600,000 marks in 5 s instead of minutes).
        """
        part = page.part
        if part.is_catchup and self._is_inherited(part):
            page.ended = True
            return
        with closing(self._rows.scan_from(part.marks, part.swept)) as marks:
            for mark, _ in marks:
                page.rows[mark] = None
                part.swept = mark
                if len(page.rows) >= PAGE_EXPORTS:
                    return
        page.ended = True

    def _is_inherited(self, part: JobPart) -> bool:
        """Whether a later pause of the flow goes on with its marks: what was sent last is what was sent last before the
        first.
        """
        return any(job.kind is part.kind and job.missed_id == part.missed_id for job in self._jobs.values())
