"""One partition of profile events: decided while the last transaction commits, committed in the durability order of
design 2.

For each group of decided runs: 1 `Log.commit` writes exports, dead letters, rows and watermark and makes them durable;
2 `Profiles` and their rows on disk take the same; 3 `on_progress` says up to where the group's offset may be committed.
Never in another order: whatever is killed in between, the next owner starts at the watermark of what step 1 made
durable.

Between batches, and at least every second, the partition's jobs have a page (jobs.py), what is due expires
(deadlines.py), and the index of identities is built where it is not whole (identity_index.py): decided and committed as
a run of records is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.foundation.fault_points import fault_point
from processor.foundation.tasks import end_task, watched_task
from processor.pipeline.deadlines import Deadlines, DeadlineSettings
from processor.pipeline.decided import Before, Decided, IndexMove, Policy, decide_run
from processor.pipeline.identity_index import IdentityIndex, IndexSettings
from processor.pipeline.jobs.chunk import Page
from processor.pipeline.jobs.partition_jobs import JobSettings, PartitionJobs
from processor.pipeline.misplaced import MisplacedAlarm
from processor.pipeline.ports import CatalogView, Log, Output, ProfileRows
from processor.pipeline.profiles import Profiles
from schemas.kafka import Batch, ProducerRecord, count_record_bytes
from schemas.wire.exports import encode_decided_at
from schemas.wire.identity_index import INDEX_KEY, encode_progress
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, Row, SourcePosition, encode_source_position

RUN_RECORDS: Final = 100
"""Records decided together: their decoded profiles fit in the processor's second cache (measured: 500 cost a fifth
more).
"""
ENOUGH_RECORDS: Final = 500
"""Decided records that do not wait for more."""
GROUP_RECORDS: Final = 4000
"""Records of one transaction, about; more wait for the next."""
CLOSE_SECONDS: Final = 10.0
WORK_SECONDS: Final = 1.0
"""How long jobs wait, at most, while events keep coming."""
LOOK_SECONDS: Final = 0.5
"""How often an idle partition looks whether there is something to do beside events."""
PASSED_SECONDS: Final = 60.0
"""After so long without anything new the watermark passes what is no event: markers, aborted transactions (`_pass`)."""


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """`linger_seconds`: how long a decided event waits for others. The byte bounds are of this partition."""

    policy: Policy
    linger_seconds: float
    cache_bytes: int
    max_waiting_bytes: int
    jobs: JobSettings = JobSettings()  # noqa: RUF009  # it is frozen, as the next
    deadlines: DeadlineSettings = DeadlineSettings()  # noqa: RUF009
    wall_clock: Callable[[], float] = time.time
    identity_index: IndexSettings = IndexSettings()  # noqa: RUF009


class PartitionPipeline:
    """From `start` to `close`. `on_failure` is called once, with what ended it; the caller stops the worker."""

    def __init__(
        self,
        rows: ProfileRows,
        log: Log,
        catalog: CatalogView,
        settings: PartitionSettings,
        topic_ids: tuple[str | None, str | None],
        *,
        on_progress: Callable[[int], None],
        on_failure: Callable[[BaseException], None],
        is_positioned: bool = True,
    ) -> None:
        watermark = rows.source_position or SourcePosition(0)
        self._rows, self._log, self._catalog, self._settings = rows, log, catalog, settings
        self._topic_ids = topic_ids
        self._on_progress, self._on_failure = on_progress, on_failure
        self._profiles = Profiles(rows, settings.cache_bytes)
        self._jobs = PartitionJobs(rows, self._profiles, settings.jobs)
        self._deadlines = Deadlines(rows, self._profiles, settings.deadlines)
        self._identities = IdentityIndex(rows, self._profiles, settings.identity_index)
        self._index_progress = self._identities.progress  # as of what is committed
        self._inbox: deque[Batch] = deque()
        self._decided: deque[Decided] = deque()
        self._decided_at: deque[float] = deque()  # of each of them, by the monotonic clock
        self._arrived, self._has_decided, self._enough, self._room = (asyncio.Event() for _ in range(4))
        self._next_offset = watermark.next_offset  # everything below it is decided, or is no event
        self._moved_at = time.monotonic()
        self._bad_in_a_row = watermark.bad_in_a_row
        self._profile_count = watermark.profiles
        self._sequence = 0
        self._applied = 0  # the last sequence that is on disk
        self._page = 0  # the sequence of the last page
        self._worked_at = time.monotonic()
        self._expired_last = False  # the last page was one of what expired
        self._is_refused = False  # a job has a page to do, and it is not our turn
        self._is_positioned = is_positioned
        self._has_watermark = rows.source_position is not None
        self._passes_at_once = False
        self._begins = False  # the first watermark is to be written: where the partition begins
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._alarm = MisplacedAlarm(settings.policy.placement)
        self.counts = Counts()
        self.waiting_bytes = 0
        self.committed_offset = watermark.next_offset
        """The first offset of profile-events that is not in the state."""

    def start(self) -> None:
        """Begin; call once."""
        self._tasks = [watched_task(loop, self._fail) for loop in (self._decide_all(), self._commit_all())]

    def positioned(self, position: int) -> None:
        """Where to read on is known, and not refused: now there may be work beside events.

        Before, it would hide that rows are missing.

        Where nothing is known yet, the first watermark is written at once: what retention removes from then on was not
        read.
        """
        self._is_positioned = True
        self._next_offset = max(self._next_offset, position)
        self._begins = not self._has_watermark
        self._arrived.set()

    def pass_at_once(self) -> None:
        """Let the watermark pass what is no event without delay: the worker is about to stop, and a gap begins
        there.
        """
        self._passes_at_once = True
        self._arrived.set()

    @property
    def is_full(self) -> bool:
        """Whether no more should be fetched for now."""
        return self.waiting_bytes > self._settings.max_waiting_bytes

    def submit(self, batch: Batch) -> None:
        """Take a batch; never waits. Look at `is_full` before fetching more.

        Before it is said where to read on, nothing is taken: it was fetched from the group's offset, which a crash may
        have left anywhere.
        """
        if not self._is_positioned:
            return
        self.waiting_bytes += count_record_bytes(batch.records)
        self._inbox.append(batch)
        self._arrived.set()

    async def close(self) -> None:
        """Stop.

        A transaction that is on its way may end, for 10 s; what is decided and not yet on its way is dropped.
        """
        self._closing = True
        self._settings.jobs.turns.leave(self._settings.jobs.partition)
        self._has_decided.set()
        self._enough.set()
        if self._tasks:
            decide, commit = self._tasks
            await end_task(decide)
            await asyncio.wait({commit}, timeout=CLOSE_SECONDS)
            await end_task(commit)
        await self._log.close()

    def _fail(self, error: BaseException) -> None:
        self._closing = True
        self._on_failure(error)

    # deciding ------------------------------------------------------------------------------------------------------

    async def _decide_all(self) -> None:
        while not self._stopped_at_bad_event:
            if self._begins:
                self._begins = False
                self._note_page({}, {})
            if (self._work_is_due or not self._inbox) and await self._work():
                continue
            if self._inbox:
                await self._decide(self._inbox.popleft())
                continue
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._arrived.wait()

    @property
    def _stopped_at_bad_event(self) -> bool:
        return bool(self._decided) and self._decided[-1].stop is not None

    async def _decide(self, batch: Batch) -> None:
        records = batch.records
        if records:
            self._settings.jobs.turns.note_event()
        if records and records[0].offset < self._next_offset:  # below the watermark: skipped unread (I5)
            records = [record for record in records if record.offset >= self._next_offset]
        for run in _runs(records):
            await self._wait_for_room()
            catalog = await self._catalog.as_of(batch.fetched_at)
            rows, told = self._jobs.follow(catalog, self._next_offset, self._sequence)
            self._sequence += 1
            decided_at = encode_decided_at(self._settings.wall_clock())
            jobs, identities = (
                self._jobs if self._jobs.is_noting else None,
                self._identities if self._identities.is_kept else None,
            )
            before = Before(self._sequence, self._bad_in_a_row, rows, decided_at, told, jobs, identities)
            decided = decide_run(run, self._profiles, catalog, self._settings.policy, before)
            self._deadlines.note(rows)
            self._next_offset, self._bad_in_a_row = decided.next_offset, decided.bad_in_a_row
            self._note_decided(decided)
            fault_point("batch_decided")
            if decided.stop is not None:
                return
            await asyncio.sleep(0)
        self.waiting_bytes -= count_record_bytes(batch.records)
        self._next_offset, self._moved_at = max(self._next_offset, batch.position), time.monotonic()
        if not self._decided:
            self._report_progress()

    def _note_decided(self, decided: Decided) -> None:
        self._decided.append(decided)
        self._decided_at.append(time.monotonic())
        self._has_decided.set()
        if self._decided_records >= ENOUGH_RECORDS:
            self._enough.set()

    @property
    def _decided_records(self) -> int:
        return self._decided[-1].next_offset - self.committed_offset if self._decided else 0

    async def _wait_for_room(self) -> None:
        """Two transactions' worth may be decided ahead of what is durable."""
        while self._decided_records >= 2 * GROUP_RECORDS:
            self._room.clear()
            await self._room.wait()

    # jobs ----------------------------------------------------------------------------------------------------------

    @property
    def _work_is_due(self) -> bool:
        """Events go first, but not for ever."""
        is_something_to_do = self._jobs.is_noting or self._deadlines.is_time or self._identities.has_work
        return is_something_to_do and time.monotonic() - self._worked_at >= WORK_SECONDS

    async def _work(self) -> bool:
        """Decide what is to be done beside events; whether anything was. One such page is on its way at a time."""
        if self._page_waits or not self._is_positioned:
            return False
        catalog = await self._catalog.as_of(time.monotonic())
        self._worked_at = time.monotonic()
        if not self._expired_last and self._expire():
            return True
        self._expired_last = False
        return await self._do_jobs(catalog) or self._expire() or await self._index() or self._pass()

    async def _do_jobs(self, catalog: Catalog) -> bool:
        told = self._jobs.follow(catalog, self._next_offset, self._sequence)
        told.add(self._jobs.note_waiting(self._applied))
        page = self._next_page()
        if page is not None:
            await self._fill(page)
            told.add(self._jobs.finish(page, self._sequence + 1))
        if not told.rows:
            return False
        self._note_page({}, told.rows, page=page, job_progress=told.job_progress)
        return True

    def _next_page(self) -> Page | None:
        """Where there is something to do, and it is our turn."""
        page = self._jobs.next_page(self._applied)
        if page is None:
            self._is_refused = False
            if not self._identities.has_work:
                self._settings.jobs.turns.withdraw(self._settings.jobs.partition)
            return None
        self._is_refused = not self._takes_turn()
        return None if self._is_refused else page

    def _takes_turn(self) -> bool:
        """Whether it is our turn; if not, we are woken when it may be."""
        return self._settings.jobs.turns.take(self._settings.jobs.partition, self._arrived)

    async def _fill(self, page: Page) -> None:
        while True:
            self._jobs.slice(page)
            if page.is_full or self._inbox:
                return
            await asyncio.sleep(0)

    async def _index(self) -> bool:
        """Build or remove the index of identities, a page of it; whether anything was done. Jobs go first."""
        if not self._identities.has_work or self._is_refused or not self._takes_turn():
            return False
        page = self._identities.new_page(events_come=self._settings.jobs.turns.events_come)
        while True:
            self._identities.slice(page)
            if page.is_full or self._inbox:
                break
            await asyncio.sleep(0)
        self._note_page({}, page.rows, index_move=IndexMove(self._identities.progress))
        return True

    def _expire(self) -> bool:
        """Write the events of what is due; whether anything was.

        After days of downtime there may be millions: jobs have a page between.
        """
        if not self._deadlines.is_time:
            return False
        due = self._deadlines.take_due()
        if not due.beside:
            return False
        self._expired_last = True
        self._note_page(due.profiles, due.beside, events=due.events)
        return True

    def _pass(self) -> bool:
        """Let the watermark pass what is no event, as a marker after the last one; whether there was any.

        It would stay below the log's beginning when retention has removed all that: for the next start, records that
        nobody read.
        """
        if self._decided or self._next_offset <= self.committed_offset:
            return False
        if not self._passes_at_once and time.monotonic() - self._moved_at < PASSED_SECONDS:
            return False
        self._note_page({}, {})
        return True

    def _note_page(
        self,
        changed: Mapping[bytes, Row | None],
        beside: Mapping[bytes, bytes | None],
        *,
        page: Page | None = None,
        events: Sequence[ProducerRecord] = (),
        job_progress: Sequence[ProducerRecord] = (),
        index_move: IndexMove | None = None,
    ) -> None:
        """As a run of records is noted; no event is passed by it."""
        self._sequence += 1
        self._page = self._sequence
        rows = self._profiles.put(self._sequence, changed, beside, profiles_first=True)
        exports, counts = ([], Counts()) if page is None else (page.exports, page.counts)
        decided = Decided(
            self._sequence,
            exports,
            [],
            rows,
            self._next_offset,
            self._bad_in_a_row,
            counts,
            None,
            events,
            job_progress,
            0,
            index_move,
        )
        self._note_decided(decided)

    @property
    def _page_waits(self) -> bool:
        """Whether the last page is decided, and not on disk yet."""
        return self._page > self._applied

    # committing ----------------------------------------------------------------------------------------------------

    async def _commit_all(self) -> None:
        while True:
            await self._wait_for_decided()
            if self._closing:
                return
            group = self._take()
            await self._commit(group)
            if (stop := group[-1].stop) is not None:
                raise stop

    async def _wait_for_decided(self) -> None:
        while not self._decided and not self._closing:
            self._has_decided.clear()
            await self._has_decided.wait()
        if self._closing:
            return
        left = self._decided_at[0] + self._settings.linger_seconds - time.monotonic()
        if left > 0 and self._decided_records < ENOUGH_RECORDS and not self._stopped_at_bad_event:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._enough.wait()

    def _take(self) -> list[Decided]:
        """The oldest runs, of about GROUP_RECORDS records."""
        group = [self._decided[0]]
        for decided in list(self._decided)[1:]:
            if decided.next_offset - self.committed_offset > GROUP_RECORDS:
                break
            group.append(decided)
        return group

    async def _commit(self, group: Sequence[Decided]) -> None:
        last = group[-1]
        rows: dict[bytes, bytes | None] = {}
        for decided in group:
            for key in decided.rows.keys() & rows.keys():
                del rows[key]  # what is written again comes last: the order matters where a log may tear
            rows.update(decided.rows)
            if decided.index_move is not None:
                self._index_progress = decided.index_move.progress
        if self._index_progress is not None:
            rows[INDEX_KEY] = encode_progress(self._index_progress._replace(next_offset=last.next_offset))
        self._profile_count += sum(decided.new_profiles for decided in group)
        rows[SOURCE_POSITION_KEY] = encode_source_position(
            SourcePosition(last.next_offset, last.bad_in_a_row, *self._topic_ids, self._profile_count)
        )
        exports = [record for decided in group for record in decided.exports]
        letters = [record for decided in group for record in decided.dead_letters]
        events = [record for decided in group for record in decided.events]
        told = [record for decided in group for record in decided.job_progress]
        changelog_next_offset = await self._log.commit(Output(exports, letters, rows, events, told))
        fault_point("committed")
        self._rows.apply(rows, changelog_next_offset)
        fault_point("rows_applied")
        self._profiles.applied(last.sequence, rows)
        self._committed(group)

    def _committed(self, group: Sequence[Decided]) -> None:
        for decided in group:
            self._decided.popleft()
            self._decided_at.popleft()
            self.counts.add(decided.counts)
            if decided.misplaced is not None:
                self.counts.note_misplaced(decided.misplaced)
                self._alarm.note(decided.misplaced)
        self.committed_offset, self._has_watermark = group[-1].next_offset, True
        self._room.set()
        page_waited, self._applied = self._page_waits, group[-1].sequence
        if page_waited and not self._page_waits:
            self._settings.jobs.turns.give(self._settings.jobs.partition)
            self._arrived.set()
        self._report_progress()

    def _report_progress(self) -> None:
        """With nothing outstanding, what is no event counts too, so that lag reads 0 past the markers.

        Before the first watermark, nothing does: a group that has read a partition of which no state is known stops its
        next owner.
        """
        if self._has_watermark:
            self._on_progress(self.committed_offset if self._decided else self._next_offset)


def _runs(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(records), RUN_RECORDS):
        yield records[begin : begin + RUN_RECORDS]
