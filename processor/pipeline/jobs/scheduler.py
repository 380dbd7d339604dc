"""The scheduler of a partition's jobs: flows take turns, rates hold, and what waits outside is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from processor.core.catalog import CompiledJob
from processor.foundation.clocks import Clock, WallClock
from processor.pipeline.jobs.chunk import CHUNK_EXPORTS, LIVE_CHUNK_EXPORTS, Chunk, ChunkInput, ChunkWork
from processor.pipeline.jobs.cleanup import Cleanup
from processor.pipeline.jobs.effects import ActiveJob
from processor.pipeline.jobs.partition_job import JobWrites
from processor.pipeline.jobs.registry import KINDS, JobRegistry
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from processor.pipeline.work_unit import AT_ONCE, NEVER, View
from schemas.wire.exports import encode_decided_at

_CLEANUP: Final = Cleanup()


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of the jobs in one partition; `topic` is that of the events.

    `records_per_second` bounds a job in this partition (0: nothing does). `why_waiting`: why records of a flow should
    not be made now, in words; None: they may. `is_behind`: whether delivery cannot follow. `ask_seconds`: how often
    both are asked.
    """

    partition: int = 0
    partitions: int = 1
    topic: str = "profile-events"
    records_per_second: float = 0.0
    why_waiting: Callable[[str], str | None] = lambda _: None
    is_behind: Callable[[], bool] = lambda: False
    slots: Slots = field(default_factory=Slots)
    ask_seconds: float = 0.5


class JobScheduler:
    """Gives the jobs of one partition their chunks; `registry` is what the catalog orders."""

    def __init__(
        self, rows: ProfileRows, profiles: Profiles, settings: JobSettings, clock: Clock, wall_clock: WallClock
    ) -> None:
        self._rows, self._profiles, self._settings = rows, profiles, settings
        self._clock, self._wall_clock = clock, wall_clock
        self.registry = JobRegistry(rows, profiles, settings.partition, wall_clock)
        self._last_flow = ""  # that had the last chunk
        self._asked_at = AT_ONCE

    @property
    def next_at(self) -> float:
        """Return when to look again, by the monotonic clock: when what lies outside is asked, or a rate lets go on."""
        asking = [active for active in self.registry.active if _asks(active)]
        if not asking:
            return NEVER
        rates = [active.job.not_before for active in asking if active.job.not_before > self._asked_at]
        return min([self._asked_at + self._settings.ask_seconds, *rates])

    def next_chunk(self, view: View, committed_sequence: int) -> Chunk | None:
        """Return the chunk that is to be done next; None: nothing now. `registry.follow` was called."""
        self._asked_at = self._clock()
        if self._settings.is_behind():
            return None
        ready = [
            active
            for active in self._heads()
            if active.job.wait_until_sequence <= committed_sequence and self._may_go_on(active)
        ]
        if not ready:
            return None
        active = min(ready, key=lambda each: (each.job.flow_id <= self._last_flow, each.job.flow_id))
        active.job.start_timer(self._clock())
        bound = LIVE_CHUNK_EXPORTS if self._settings.slots.events_come else CHUNK_EXPORTS
        return Chunk(active, self._input(view, active), self._rate(active.ordered), bound)

    def do_slice(self, chunk: Chunk) -> None:
        """Do a slice of the chunk: about a millisecond."""
        active = chunk.active
        work: ChunkWork = _CLEANUP if active.ordered is None or active.job.scanned else KINDS[active.job.kind]
        work.do_slice(chunk)

    def finish(self, chunk: Chunk, sequence: int) -> JobWrites:
        """Return the writes of a chunk that is decided as `sequence`."""
        job = chunk.job
        job.start_timer(self._clock())
        self._last_flow = job.flow_id
        self._asked_at = AT_ONCE  # the next chunk may follow at once
        if chunk.has_scanned_all:
            job.scanned, job.wait_until_sequence = True, sequence  # markers that are decided are on disk then
        if chunk.ends_job:
            self.registry.end(job)
        if chunk.rate and chunk.exports:
            job.not_before = max(job.not_before, self._clock()) + len(chunk.exports) / chunk.rate
        return job.writes(self._wall_clock(), chunk.rows)

    def note_waiting(self, committed_sequence: int) -> JobWrites:
        """Return what is written of jobs that begin or cease to wait for something outside, and for what."""
        writes = JobWrites({}, [])
        for job, ordered, _ in self.registry.active:
            waiting = None if ordered is None else self._why_waiting(ordered)
            if job.wait_until_sequence <= committed_sequence and waiting != job.waiting:
                job.waiting = waiting
                job.pause_timer()
                writes.add(job.writes(self._wall_clock(), {}))
        return writes

    def _heads(self) -> list[ActiveJob]:
        """Return the cancelled jobs, whose markers are to go, and the oldest job of each flow that is not done."""
        active = {each.job.id: each for each in self.registry.active}
        oldest: dict[str, ActiveJob] = {}
        for ordered in self.registry.ordered.values():  # the oldest first
            if ordered.runs and ordered.id in active:
                oldest.setdefault(ordered.flow.id, active[ordered.id])
        return [each for each in self.registry.active if each.ordered is None] + list(oldest.values())

    def _may_go_on(self, active: ActiveJob) -> bool:
        job, ordered, _ = active
        return ordered is None or (ordered.runs and job.waiting is None and self._clock() >= job.not_before)

    def _input(self, view: View, active: ActiveJob) -> ChunkInput:
        settings = self._settings
        return ChunkInput(
            catalog=view.catalog,
            rows=self._rows,
            profiles=self._profiles,
            others=[each for each in self.registry.active if each.job is not active.job],
            source=(settings.topic, settings.partition),
            decided_at=encode_decided_at(self._wall_clock()),
            markers_are_inherited=self.registry.markers_are_inherited(active.job),
        )

    def _rate(self, ordered: CompiledJob | None) -> float:
        """Return the records a second that the job may send in this partition; 0: as many as it can."""
        of_job = 0 if ordered is None else ordered.job.records_per_second or 0
        return of_job / self._settings.partitions or self._settings.records_per_second

    def _why_waiting(self, ordered: CompiledJob) -> str | None:
        if not ordered.runs:
            return "the flow is disabled"
        return self._settings.why_waiting(ordered.flow.id)


def _asks(active: ActiveJob) -> bool:
    """Return whether a job may go on without a change of the catalog, or has yet to say that it cannot."""
    return active.ordered is None or active.ordered.runs or active.job.waiting is None
