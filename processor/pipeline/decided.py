"""What a run of records of one partition leads to, decided by one snapshot of the catalog. Changes only `Profiles`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.misplaced import Misplaced, Placement
from processor.core.step import EventSkip, Limits, Step, step
from processor.pipeline.deadlines import next_row
from processor.pipeline.identity_index import NOBODY, IdentityIndex
from processor.pipeline.jobs.partition_jobs import PartitionJobs
from processor.pipeline.profiles import Profiles
from processor.pipeline.refused import DeadLetterTooLarge
from processor.pipeline.trace import trace_headers
from schemas.kafka import NO_HEADERS, ConsumerRecord, ProducerRecord
from schemas.wire.dead_letters import encode_dead_letter
from schemas.wire.exports import encode_export
from schemas.wire.identity_index import IndexProgress
from schemas.wire.profiles_changelog import Row

_NO_KEY = b""


class TooManyBadEvents(Exception):
    """The last of N unusable events in a row, which is not passed (contract I4)."""

    def __init__(self, record: ConsumerRecord, explanation: str, in_a_row: int) -> None:
        place = f"{record.topic}[{record.partition}] offset {record.offset}"
        super().__init__(f"{in_a_row} unusable events in a row, the last at {place}: {explanation}")
        self.place = (record.topic, record.partition, record.offset)
        self.in_a_row = in_a_row


def _any_letter_fits(_: ProducerRecord) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide: bounds of a document and of the dedup window, how many bad events in a row stop (0:
    never), and which dead letters can be written. `placement`: where the partition's events belong (I12); None: that is
    not known.
    """

    limits: Limits
    max_bad_in_a_row: int
    letter_fits: Callable[[ProducerRecord], bool] = _any_letter_fits
    placement: Placement | None = None


class IndexMove(NamedTuple):
    """How far the index of identities is after a page of it; None: it is gone."""

    progress: IndexProgress | None


class Decided(NamedTuple):
    """`rows` are of this run only, without the watermark. `next_offset` and `bad_in_a_row` are the watermark's.

    `stop` is why the partition goes no further; everything before is to be committed all the same. `index_move`: None
    where the index is as before.
    """

    sequence: int
    exports: list[ProducerRecord]
    dead_letters: list[ProducerRecord]
    rows: dict[bytes, bytes | None]
    next_offset: int
    bad_in_a_row: int
    counts: Counts
    stop: TooManyBadEvents | DeadLetterTooLarge | None = None
    events: Sequence[ProducerRecord] = ()
    job_progress: Sequence[ProducerRecord] = ()
    new_profiles: int = 0  # less those that ended
    index_move: IndexMove | None = None
    misplaced: Misplaced | None = None


class Before(NamedTuple):
    """What a run of records begins with: its number, the unusable ones just before it, and the rows to write beside
    those of its profiles.

    `decided_at`: the moment, as `export_record` takes it. `job_progress` is told with it. `jobs`: those that must be
    told of what is applied; None: nobody wants to know. `identities`: the index that is kept, None: there is none.
    """

    sequence: int
    bad_in_a_row: int
    beside: dict[bytes, bytes | None]
    decided_at: bytes
    job_progress: Sequence[ProducerRecord] = ()
    jobs: PartitionJobs | None = None
    identities: IdentityIndex | None = None


def decide_run(records: Sequence[Any], profiles: Profiles, catalog: Catalog, policy: Policy, before: Before) -> Decided:
    """Apply `records` (aiokafka's, none at or below the watermark) in order."""
    keys = {record.key or _NO_KEY for record in records}
    current = profiles.load(keys)
    run = _Run(current, catalog, policy, before)
    next_offset = records[0].offset
    for record in records:
        if not run.apply(record):
            break
        next_offset = record.offset + 1
    sequence = before.sequence
    rows = profiles.put(sequence, {key: current[key] for key in run.changed}, run.beside)
    letters, bad_in_a_row = run.dead_letters, run.bad_in_a_row
    misplaced = None if policy.placement is None else _misplaced(records, keys, policy.placement, next_offset)
    job_progress, new_profiles = before.job_progress, run.new_profiles
    return Decided(
        sequence,
        run.exports,
        letters,
        rows,
        next_offset,
        bad_in_a_row,
        run.counts,
        run.stop,
        (),
        job_progress,
        new_profiles,
        None,
        misplaced,
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

    def __init__(self, current: dict[bytes, Row | None], catalog: Catalog, policy: Policy, before: Before) -> None:
        self._current = current
        self._catalog = catalog
        self._policy = policy
        self.bad_in_a_row = before.bad_in_a_row
        self.beside = before.beside
        self._jobs = before.jobs
        self._identities = before.identities
        self._decided_at = before.decided_at
        self.exports: list[ProducerRecord] = []
        self.dead_letters: list[ProducerRecord] = []
        self.changed: set[bytes] = set()
        self.counts = Counts()
        self.stop: TooManyBadEvents | DeadLetterTooLarge | None = None
        self.new_profiles = 0

    def apply(self, record: ConsumerRecord) -> bool:
        """Whether the record was passed."""
        key = record.key or _NO_KEY
        row = self._current[key]
        if row is not None and record.offset <= row.offset:  # a second belt: the watermark is the first
            self.counts.skipped_events[EventSkip.ALREADY_APPLIED] += 1
            return True
        result = step(None if row is None else row.profile, record, self._catalog, self._policy.limits)
        if result.dead_letter is not None:
            return self._put_aside(record, result)
        self.bad_in_a_row = 0
        self.counts.count_step(result)
        if result.skipped_event is None:
            if self._jobs is not None:
                self._tell_jobs(self._jobs, key, row, result)
            after = self._current[key] = next_row(key, row, result, record.offset, self.beside)
            if self._identities is not None:
                was = NOBODY if row is None else row.profile.identities
                now = NOBODY if after is None else after.profile.identities
                if was is not now:  # identities that an event leaves as they are, are one object before and after
                    self._identities.note(key, was, now, self.beside)
            self.new_profiles += (after is not None) - (row is not None)
            self.changed.add(key)
            if result.records:
                self._export(record, result)
        return True

    def _export(self, record: ConsumerRecord, result: Step) -> None:
        headers, attributes = record.headers, result.trace
        trace = trace_headers(headers, attributes) if headers or attributes is not None else NO_HEADERS
        for export in result.records:
            self.exports.append(encode_export(export, record, self._decided_at, trace))

    def _tell_jobs(self, jobs: PartitionJobs, key: bytes, before: Row | None, result: Step) -> None:
        for exit_record in jobs.note(key, before, result, self.beside):
            assert before is not None
            self.counts.count_job_record(exit_record)
            self.exports.append(jobs.export(exit_record, key, before.offset))

    def _put_aside(self, record: ConsumerRecord, result: Step) -> bool:
        assert result.dead_letter is not None
        letter = encode_dead_letter(result.dead_letter, record.headers, record.timestamp)
        if 0 < self._policy.max_bad_in_a_row <= self.bad_in_a_row + 1:
            self.stop = TooManyBadEvents(record, str(result.dead_letter.explanation), self.bad_in_a_row + 1)
            return False
        if not self._policy.letter_fits(letter):
            self.stop = DeadLetterTooLarge(record, str(result.dead_letter.explanation))
            return False
        self.bad_in_a_row += 1
        self.counts.count_step(result)
        self.dead_letters.append(letter)
        return True
