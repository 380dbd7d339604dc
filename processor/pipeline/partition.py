"""One partition of profile events: decided while the last transaction commits, with back-pressure on both sides.

    submit ─► inbox ─► Decider ───────┐
                                      ├─► work units, outstanding ─► Committer (the durability order)
    BackgroundWork (jobs, F5, idle) ──┘

Two tasks: one decides, the other commits what has gathered. Between batches, and at least every second while events
keep coming, background work has its turn; where nothing comes, the partition waits for the time that it names.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from processor.core.counts import Counts
from processor.foundation.clocks import Clock, WallClock
from processor.foundation.fault_points import fault_point
from processor.foundation.tasks import end_task, watched_task
from processor.pipeline.background import BackgroundWork
from processor.pipeline.committer import Committer, TopicIds
from processor.pipeline.deadlines import Deadlines, DeadlineSettings
from processor.pipeline.decider import Policy, RunStart, decide_run
from processor.pipeline.identity_index import IdentityIndex, IndexSettings
from processor.pipeline.idle_position import IdlePosition
from processor.pipeline.jobs.scheduler import JobScheduler, JobSettings
from processor.pipeline.jobs.slots import PartitionSlot
from processor.pipeline.misplaced import MisplacedAlarm
from processor.pipeline.outstanding import OutstandingUnits
from processor.pipeline.ports import CatalogView, PartitionLog, ProfileRows
from processor.pipeline.profiles import Profiles
from processor.pipeline.work_unit import NEVER, DecidedPosition, View, WorkUnit
from schemas.kafka import Batch, count_record_bytes
from schemas.wire.exports import encode_decided_at
from schemas.wire.profiles_changelog import SourcePosition

RUN_RECORDS: Final = 100
"""Records decided together: their decoded profiles fit in the processor's second cache (measured: 500 cost a fifth
more).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSettings:
    """Settings of one partition; the byte bounds are of this partition, the clocks are those of all its parts.

    `linger_seconds`: how long a decided event waits for others. `close_seconds`: how long a transaction on its way may
    take when the partition closes. `background_seconds`: how long background work waits, at most, while events keep
    coming. `idle_seconds`: see IdlePosition.
    """

    policy: Policy
    cache_bytes: int
    max_waiting_bytes: int
    linger_seconds: float
    close_seconds: float = 10.0
    background_seconds: float = 1.0
    idle_seconds: float = 60.0
    clock: Clock = time.monotonic
    wall_clock: WallClock = time.time
    jobs: JobSettings = JobSettings()  # noqa: RUF009  # it is frozen, as the next
    deadlines: DeadlineSettings = DeadlineSettings()  # noqa: RUF009
    identity_index: IndexSettings = IndexSettings()  # noqa: RUF009


class PartitionPipeline:
    """Decides and commits the events of one partition, from `start` to `close`.

    `on_failure` is called once, with what ended it; the caller stops the worker: the outcome of a commit that failed is
    unknown, and the next owner starts at the source position. `on_processed` is told up to where the group's offset may
    be committed.
    """

    def __init__(
        self,
        rows: ProfileRows,
        log: PartitionLog,
        catalog: CatalogView,
        settings: PartitionSettings,
        topic_ids: TopicIds,
        *,
        on_processed: Callable[[int], None],
        on_failure: Callable[[BaseException], None],
        is_positioned: bool = True,
    ) -> None:
        position = rows.source_position or SourcePosition(0)
        clock, profiles = settings.clock, Profiles(rows, settings.cache_bytes)
        self._log, self._catalog, self._settings, self._clock = log, catalog, settings, clock
        self._on_processed, self._on_failure = on_processed, on_failure
        self._wake = asyncio.Event()
        self._profiles = profiles
        self._decided = DecidedPosition(position.next_offset, position.bad_in_a_row)
        self._jobs = JobScheduler(rows, profiles, settings.jobs, clock, settings.wall_clock)
        self._deadlines = Deadlines(rows, profiles, settings.deadlines, clock)
        self._identities = IdentityIndex(rows, profiles, settings.identity_index)
        self._committer = Committer(
            rows, log, profiles, topic_ids, self._identities.progress, on_committed=self._on_committed
        )
        self._idle_position = IdlePosition(self._decided, self._committer, clock, settings.idle_seconds)
        self._slot = PartitionSlot(settings.jobs.slots, settings.jobs.partition, self._wake)
        self._background = BackgroundWork(
            profiles, self._jobs, self._deadlines, self._identities, self._idle_position, self._slot, clock
        )
        self._alarm = MisplacedAlarm(settings.policy.placement, clock)
        self._inbox: deque[Batch] = deque()
        self._outstanding = OutstandingUnits(self._committer, settings.linger_seconds, clock)
        self._looked_at = clock()  # for background work
        self._is_positioned = is_positioned
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self.counts = Counts()
        self.waiting_bytes = 0

    @property
    def committed_offset(self) -> int:
        """The first offset of profile-events that is not in the state."""
        return self._committer.committed_offset

    @property
    def is_full(self) -> bool:
        """Return whether no more should be fetched for now."""
        return self.waiting_bytes > self._settings.max_waiting_bytes

    def start(self) -> None:
        """Begin to decide and commit; call once."""
        self._unsubscribe = self._catalog.subscribe(self._wake.set)
        self._tasks = [watched_task(loop, self._fail) for loop in (self._decide_all(), self._commit_all())]

    def begin_at(self, position: int) -> None:
        """Read on at a position that is known, and not refused: now there may be background work.

        Before, it would hide that rows are missing.
        """
        self._is_positioned = True
        self._idle_position.begin_at(position)
        self._wake.set()

    def pass_at_once(self) -> None:
        """Let the source position pass what is no event without delay: the worker is about to stop."""
        self._idle_position.pass_at_once()
        self._wake.set()

    def submit(self, batch: Batch) -> None:
        """Take a batch; never waits. Look at `is_full` before fetching more.

        Before it is known where to read on, nothing is taken: it was fetched from the group's offset, which a crash may
        have left anywhere.
        """
        if not self._is_positioned:
            return
        self.waiting_bytes += count_record_bytes(batch.records)
        self._inbox.append(batch)
        self._wake.set()

    async def close(self) -> None:
        """Stop; a transaction that is on its way may end, what is decided and not yet on its way is dropped."""
        self._outstanding.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._slot.revoke()
        if self._tasks:
            decide, commit = self._tasks
            await end_task(decide)
            await asyncio.wait({commit}, timeout=self._settings.close_seconds)
            await end_task(commit)
        await self._log.close()

    def _fail(self, error: BaseException) -> None:
        self._outstanding.close()
        self._on_failure(error)

    # deciding ------------------------------------------------------------------------------------------------------

    async def _decide_all(self) -> None:
        while not self._outstanding.is_stopped:
            if (not self._inbox or self._background_is_overdue) and await self._work():
                continue
            if self._inbox:
                await self._decide(self._inbox.popleft())
            else:
                await self._wait_for_work()

    @property
    def _background_is_overdue(self) -> bool:
        """Return whether background work goes before events: it waits for them, but not for ever."""
        now = self._clock()
        return now - self._looked_at >= self._settings.background_seconds and self._background.next_at(now) <= now

    async def _work(self) -> bool:
        """Decide a unit of background work; return whether there was any."""
        if not self._is_positioned:
            return False
        catalog = await self._catalog.as_of(self._clock())
        self._looked_at = self._clock()
        unit = await self._background.next_unit(View(catalog, self._decided), lambda: bool(self._inbox))
        if unit is not None:
            self._add_unit(unit)
        return unit is not None

    async def _wait_for_work(self) -> None:
        self._wake.clear()
        now = self._clock()
        at = self._background.next_at(now) if self._is_positioned else NEVER
        with suppress(TimeoutError):
            async with asyncio.timeout(None if at == NEVER else max(0.0, at - now)):
                await self._wake.wait()

    async def _decide(self, batch: Batch) -> None:
        records = batch.records
        if records:
            self._slot.note_event()
        if records and records[0].offset < self._decided.next_offset:  # already applied: skipped unread (I5)
            records = [record for record in records if record.offset >= self._decided.next_offset]
        for run in _runs(records):
            await self._outstanding.wait_for_room()
            unit = await self._decide_run(run, batch.fetched_at)
            fault_point("batch_decided")
            if unit.stop is not None:
                return
            await asyncio.sleep(0)
        self.waiting_bytes -= count_record_bytes(batch.records)
        self._idle_position.move_to(batch.position)
        if self._outstanding.is_empty:
            self._report_progress()

    async def _decide_run(self, run: Sequence[Any], fetched_at: float) -> WorkUnit:
        catalog = await self._catalog.as_of(fetched_at)
        decided, registry = self._decided, self._jobs.registry
        writes = registry.follow(catalog, decided.next_offset, decided.sequence)
        start = RunStart(
            sequence=decided.sequence + 1,
            bad_in_a_row=decided.bad_in_a_row,
            decided_at=encode_decided_at(self._settings.wall_clock()),
            rows=writes.rows,
            job_progress=writes.job_progress,
            jobs=registry.active,
            identities=self._identities.upkeep,
        )
        unit = decide_run(run, self._profiles, catalog, self._settings.policy, start)
        registry.count_exported(unit.job_exports)
        self._deadlines.note_rows(writes.rows)
        decided.next_offset = unit.next_offset
        self._add_unit(unit)
        return unit

    def _add_unit(self, unit: WorkUnit) -> None:
        self._decided.sequence, self._decided.bad_in_a_row = unit.sequence, unit.bad_in_a_row
        self._outstanding.add(unit)

    # committing ----------------------------------------------------------------------------------------------------

    async def _commit_all(self) -> None:
        while True:
            await self._outstanding.wait_for_units()
            if self._outstanding.is_closed:
                return
            units = self._outstanding.oldest()
            await self._committer.commit(units)
            if (stop := units[-1].stop) is not None:
                raise stop

    def _on_committed(self, units: Sequence[WorkUnit]) -> None:
        self._outstanding.remove(units)
        for unit in units:
            self.counts.add(unit.counts)
            if unit.misplaced is not None:
                self.counts.count_misplaced(unit.misplaced)
                self._alarm.note(unit.misplaced)
        self._background.committed(units[-1].sequence)
        self._wake.set()
        self._report_progress()

    def _report_progress(self) -> None:
        progress = self._idle_position.progress
        if progress is not None:
            self._on_processed(progress)


def _runs(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(records), RUN_RECORDS):
        yield records[begin : begin + RUN_RECORDS]
