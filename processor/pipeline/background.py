"""Background work of a partition: chunks of jobs, memberships that end (F5), index of identities, idle position.

    next_at(now)                  when to look for work: a partition waits for that time, and looks no sooner
    next_unit(view, must_yield)   the next unit of work, decided on `view`; None: nothing now
    committed(sequence)           that unit is on disk, and the next one may follow

One unit is on its way at a time, so events wait for one chunk at most. Expiry and jobs take turns: after days of
downtime there may be millions of memberships to end.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from processor.core.counts import Counts
from processor.foundation.clocks import Clock
from processor.pipeline.deadlines import Deadlines
from processor.pipeline.identity_index import IdentityIndex, IndexChunk
from processor.pipeline.idle_position import IdlePosition
from processor.pipeline.jobs.chunk import Chunk
from processor.pipeline.jobs.scheduler import JobScheduler
from processor.pipeline.jobs.slots import PartitionSlot
from processor.pipeline.profiles import Profiles
from processor.pipeline.work_unit import NEVER, IndexMove, View, WorkUnit
from schemas.kafka import ProducerRecord
from schemas.wire.profiles_changelog import Row

MustYield = Callable[[], bool]
"""Whether an event has come, which goes first."""
NO_PROFILES: Final[Mapping[bytes, Row | None]] = {}


class BackgroundWork:
    """The background work of one partition; belongs to the loop that decides it."""

    def __init__(
        self,
        profiles: Profiles,
        jobs: JobScheduler,
        deadlines: Deadlines,
        identities: IdentityIndex,
        idle_position: IdlePosition,
        slot: PartitionSlot,
        clock: Clock,
    ) -> None:
        self._profiles, self._jobs, self._deadlines, self._identities = profiles, jobs, deadlines, identities
        self._idle_position, self._slot, self._clock = idle_position, slot, clock
        self._committed_sequence = 0
        self._on_its_way = 0  # the sequence of the last unit
        self._expired_last = False

    def next_at(self, now: float) -> float:
        """Return the monotonic moment from which on there may be work; `inf`: until something else happens.

        What else: a commit, a slot that is given back, a change of the catalog.
        """
        if self._on_its_way > self._committed_sequence:
            return NEVER
        index = now if self._identities.has_work and not self._slot.is_refused else NEVER
        return min(self._jobs.next_at, self._deadlines.next_at, self._idle_position.next_at, index)

    async def next_unit(self, view: View, must_yield: MustYield) -> WorkUnit | None:
        """Decide the next unit of work, of a chunk that ends early where `must_yield` says so; None: nothing now."""
        if self._on_its_way > self._committed_sequence:
            return None
        unit = None if self._expired_last else self._expire(view)
        self._expired_last = unit is not None
        if unit is None:
            unit = await self._work_on_jobs(view, must_yield) or self._expire(view)
        if unit is None:
            unit = await self._work_on_index(view, must_yield) or self._idle_position.next_unit()
        if unit is not None:
            self._on_its_way = unit.sequence
        return unit

    def committed(self, sequence: int) -> None:
        """Take notice that work units up to this one are on disk."""
        was_on_its_way = self._on_its_way > self._committed_sequence
        self._committed_sequence = sequence
        if was_on_its_way and self._on_its_way <= sequence:
            self._slot.give_back()

    def _expire(self, view: View) -> WorkUnit | None:
        if self._deadlines.next_at > self._clock():
            return None
        due = self._deadlines.take_due()
        if not due.index_rows:
            return None
        self._expired_last = True
        return self._unit(view, due.index_rows, due.profiles, events=due.events)

    async def _work_on_jobs(self, view: View, must_yield: MustYield) -> WorkUnit | None:
        registry = self._jobs.registry
        writes = registry.follow(view.catalog, view.decided.next_offset, view.decided.sequence)
        writes.add(self._jobs.note_waiting(self._committed_sequence))
        chunk = self._next_chunk(view)
        if chunk is not None:
            await self._fill(chunk, lambda: self._jobs.do_slice(chunk), must_yield)
            writes.add(self._jobs.finish(chunk, view.decided.sequence + 1))
        if not writes.rows:
            return None
        exports, counts = ([], Counts()) if chunk is None else (chunk.exports, chunk.counts)
        return self._unit(view, writes.rows, exports=exports, counts=counts, job_progress=writes.job_progress)

    def _next_chunk(self, view: View) -> Chunk | None:
        """Return the next chunk of a job, where there is one and the partition has a slot for it."""
        chunk = self._jobs.next_chunk(view, self._committed_sequence)
        if chunk is None:
            self._slot.is_refused = False
            if not self._identities.has_work:
                self._slot.withdraw()
            return None
        return chunk if self._slot.take() else None

    async def _work_on_index(self, view: View, must_yield: MustYield) -> WorkUnit | None:
        """Build or remove a chunk of the index of identities; jobs go first."""
        if not self._identities.has_work or self._slot.is_refused or not self._slot.take():
            return None
        chunk = self._identities.new_chunk(events_come=self._slot.events_come)
        await self._fill(chunk, lambda: self._identities.do_slice(chunk), must_yield)
        return self._unit(view, chunk.rows, index_move=IndexMove(self._identities.progress))

    async def _fill(self, chunk: Chunk | IndexChunk, do_slice: Callable[[], None], must_yield: MustYield) -> None:
        while True:
            do_slice()
            if chunk.is_full or must_yield():
                return
            await asyncio.sleep(0)

    def _unit(
        self,
        view: View,
        rows: Mapping[bytes, bytes | None],
        profiles: Mapping[bytes, Row | None] = NO_PROFILES,
        *,
        exports: Sequence[ProducerRecord] = (),
        counts: Counts | None = None,
        events: Sequence[ProducerRecord] = (),
        job_progress: Sequence[ProducerRecord] = (),
        index_move: IndexMove | None = None,
    ) -> WorkUnit:
        """Return a unit that passes no event; of profiles no event made the rows, so they come first."""
        sequence = view.decided.sequence + 1
        return WorkUnit(
            sequence=sequence,
            next_offset=view.decided.next_offset,
            bad_in_a_row=view.decided.bad_in_a_row,
            rows=self._profiles.put(sequence, profiles, rows, profiles_first=True),
            exports=exports,
            counts=counts or Counts(),
            events=events,
            job_progress=job_progress,
            index_move=index_move,
        )
