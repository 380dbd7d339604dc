"""The decider: a run of records of one partition becomes a work unit, by one snapshot of the catalog.

    records ─► rows of their profiles ─► core.step, event by event ─► one WorkUnit
                                          │ deadlines, index of identities, effects on jobs: pure functions

It changes only `Profiles`, and knows no asyncio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.misplaced import Misplaced, Placement
from processor.core.step import EventSkip, Limits, Step, step
from processor.pipeline.bad_events import BadEventLimit, BadEvents, Stop
from processor.pipeline.deadlines import next_row
from processor.pipeline.identity_index import NOBODY, IndexUpkeep, index_changes
from processor.pipeline.jobs.effects import ActiveJob, AppliedEvent, effects_of_event
from processor.pipeline.profiles import Profiles
from processor.pipeline.trace import trace_headers
from processor.pipeline.work_unit import WorkUnit
from schemas.kafka import NO_HEADERS, ConsumerRecord, ProducerRecord
from schemas.wire.dead_letters import encode_dead_letter
from schemas.wire.exports import encode_export, encode_job_export
from schemas.wire.profiles_changelog import Row

_NO_KEY = b""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide: bounds of a document and of the dedup window, and which bad events stop a partition.

    `placement`: where the partition's events belong (I12); None: that is not known.
    """

    limits: Limits
    bad_events: BadEventLimit
    placement: Placement | None = None


class RunStart(NamedTuple):
    """The state with which a run of records begins.

    `sequence` is the run's own; `bad_in_a_row` counts the bad events just before it. `decided_at`: the moment, as
    `encode_export` takes it. `rows` are written beside those of its profiles, and `job_progress` with them. `jobs`:
    those that follow what is applied. `identities`: how events change the index of identities.
    """

    sequence: int
    bad_in_a_row: int
    decided_at: bytes
    rows: dict[bytes, bytes | None]
    job_progress: Sequence[ProducerRecord] = ()
    jobs: Sequence[ActiveJob] = ()
    identities: IndexUpkeep | None = None


def decide_run(
    records: Sequence[Any], profiles: Profiles, catalog: Catalog, policy: Policy, start: RunStart
) -> WorkUnit:
    """Apply `records` (aiokafka's, none below the source position) in order, and return what they lead to."""
    keys = {record.key or _NO_KEY for record in records}
    current = profiles.load(keys)
    run = _Run(current, profiles, catalog, policy, start)
    next_offset = records[0].offset
    for record in records:
        if not run.apply(record):
            break
        next_offset = record.offset + 1
    rows = profiles.put(start.sequence, {key: current[key] for key in run.changed}, run.rows)
    return WorkUnit(
        sequence=start.sequence,
        next_offset=next_offset,
        bad_in_a_row=run.bad_events.in_a_row,
        rows=rows,
        exports=run.exports,
        dead_letters=run.dead_letters,
        job_progress=start.job_progress,
        job_exports=run.job_exports,
        counts=run.counts,
        new_profiles=run.new_profiles,
        misplaced=None if policy.placement is None else _misplaced(records, keys, policy.placement, next_offset),
        stop=run.stop,
    )


def _misplaced(records: Sequence[Any], keys: set[bytes], placement: Placement, next_offset: int) -> Misplaced | None:
    """Count the records below `next_offset` that belong in another partition, whatever became of them (I12)."""
    elsewhere = placement.keys_elsewhere(keys)
    if not elsewhere:
        return None
    return placement.count_misplaced(
        [record for record in records if record.offset < next_offset], frozenset(elsewhere)
    )


class _Run:
    """The loop's state: profiles by key, what leaves, and the count of bad events."""

    def __init__(
        self, current: dict[bytes, Row | None], profiles: Profiles, catalog: Catalog, policy: Policy, start: RunStart
    ) -> None:
        self._current = current
        self._profiles = profiles
        self._catalog = catalog
        self._policy = policy
        self.bad_events = BadEvents(policy.bad_events, start.bad_in_a_row)
        self.rows = start.rows
        self._jobs = start.jobs
        self._identities = start.identities
        self._decided_at = start.decided_at
        self.exports: list[ProducerRecord] = []
        self.dead_letters: list[ProducerRecord] = []
        self.job_exports: list[str] = []
        self.changed: set[bytes] = set()
        self.counts = Counts()
        self.stop: Stop | None = None
        self.new_profiles = 0

    def apply(self, record: ConsumerRecord) -> bool:
        """Apply a record to its profile; return whether the partition passes it."""
        key = record.key or _NO_KEY
        row = self._current[key]
        if row is not None and record.offset <= row.offset:  # a second belt: the source position is the first
            self.counts.skipped_events[EventSkip.ALREADY_APPLIED] += 1
            return True
        result = step(None if row is None else row.profile, record, self._catalog, self._policy.limits)
        if result.dead_letter is not None:
            return self._dead_letter(record, result)
        self.bad_events.in_a_row = 0
        self.counts.count_step(result)
        if result.skipped_event is None:
            self._apply_event(record, key, row, result)
        return True

    def _apply_event(self, record: ConsumerRecord, key: bytes, row: Row | None, result: Step) -> None:
        if self._jobs:
            self._apply_to_jobs(record, key, row, result)
        after = self._current[key] = next_row(key, row, result, record.offset, self.rows)
        identities = self._identities
        if identities is not None:
            was = NOBODY if row is None else row.profile.identities
            now = NOBODY if after is None else after.profile.identities
            if was is not now:  # identities that an event leaves as they are, are one object before and after
                index_changes(key, was, now, self.rows, identities.adds)
        self.new_profiles += (after is not None) - (row is not None)
        self.changed.add(key)
        if result.records:
            self._export(record, result)

    def _export(self, record: ConsumerRecord, result: Step) -> None:
        headers, attributes = record.headers, result.trace
        trace = trace_headers(headers, attributes) if headers or attributes is not None else NO_HEADERS
        for export in result.records:
            self.exports.append(encode_export(export, record, self._decided_at, trace))

    def _apply_to_jobs(self, record: ConsumerRecord, key: bytes, before: Row | None, result: Step) -> None:
        """Add what the event does to jobs: their rows, and records that leave before its own."""
        effects = effects_of_event(self._jobs, AppliedEvent(key, before, result, self._catalog), self._marker)
        self.rows.update(effects.rows)
        self.job_exports.extend(effects.exported_by)
        for export in effects.records:
            assert before is not None, "a record of a profile that was absent"
            self.counts.count_job_record(export)
            source = record.topic, record.partition, before.offset
            self.exports.append(encode_job_export(export, key, source, self._decided_at))

    def _marker(self, key: bytes) -> bytes | None:
        rows = self.rows
        return rows[key] if key in rows else self._profiles.value(key)

    def _dead_letter(self, record: ConsumerRecord, result: Step) -> bool:
        assert result.dead_letter is not None, "only a bad event is dead-lettered"
        dead_letter = encode_dead_letter(result.dead_letter, record.headers, record.timestamp)
        self.stop = self.bad_events.pass_one(record, dead_letter, str(result.dead_letter.explanation))
        if self.stop is not None:
            return False
        self.counts.count_step(result)
        self.dead_letters.append(dead_letter)
        return True
