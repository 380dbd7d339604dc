"""Offsets at which the group's consumer reads: after a takeover, and when a log has lost what was to be read next.

takeover              bounds of all partitions ─► a start for each, or what is missing ─► the first offset of exports is
                      committed
outside of the log    the log's bounds ─► accepted: its start; else the worker stops, once it has done what it read
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from processor.foundation.revocable import PartitionsRevoked
from processor.foundation.settings import Settings
from processor.transport.owner import Partition
from processor.worker.gap_stop import GapStop
from processor.worker.start_positions import (
    EXPORTS_LOG,
    SOURCE_LOG,
    Bounds,
    GapFound,
    LogIsShorter,
    RecordsAreGone,
    Skipped,
    Start,
    exports_start,
    gaps_as_one,
    held_start,
    source_start,
)
from schemas.wire.profiles_changelog import SourcePosition

Starts = dict[Partition, Start]
ParkedGaps = Callable[[Collection[Bounds]], Awaitable[list[GapFound]]]
"""What parked flows have lost of these partitions of exports."""
_log = structlog.get_logger(__name__)


class Offsets(Protocol):
    """The group's consumer, as far as it knows offsets. `epoch` changes with every loss of partitions."""

    epoch: int

    async def earliest_offsets(self, *partitions: Partition) -> Mapping[Partition, int]:
        """Return the log start offsets of partitions."""
        ...

    async def highwaters(self, *partitions: Partition) -> Mapping[Partition, int]:
        """Return the last stable offsets of partitions."""
        ...

    async def committed(self, partitions: Iterable[Partition]) -> Mapping[Partition, int | None]:
        """The group's offsets; None where nothing was committed."""
        ...

    async def log_bounds(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """Return log start and log end offsets, asked of the partitions' leaders alone.

        Left out is a partition whose leader does not answer in time.
        """
        ...

    async def commit_if_assigned(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit `offsets` in the group's name; return False where it refuses, as the partitions are not ours."""
        ...


class State(Protocol):
    """The state of one partition of profile-events."""

    @property
    def source_position(self) -> SourcePosition | None:
        """The source position of the partition."""
        ...


class States(Protocol):
    """The partitions of profile-events that are ours at this moment."""

    @property
    def partitions(self) -> Mapping[int, State]:
        """The state of each partition that is ours, by its number."""
        ...


class History(Protocol):
    """The writer of what a worker does with partitions."""

    async def record_starts(self, starts: Mapping[Partition, Start]) -> None:
        """Write where partitions begin, and what each passes over; durable when it returns."""

    async def record_skip(self, tp: Partition, skipped: Skipped) -> None:
        """Write what a partition passes over while it is read; durable when it returns."""


class LogPositions:
    """Finds where partitions begin, and looks for gaps while they are read.

    `delivers` tells whether a partition of exports is open at the sink.
    """

    def __init__(  # what it looks at, and what it tells
        self,
        settings: Settings,
        offsets: Offsets,
        states: States,
        delivers: Callable[[int], bool],
        gap_stop: GapStop,
        history: History,
    ) -> None:
        self._settings, self._offsets, self._states, self._delivers = settings, offsets, states, delivers
        self._gap_stop, self._history = gap_stop, history

    async def find_starts(
        self, tps: Iterable[Partition], parked_gaps: ParkedGaps | None = None
    ) -> tuple[Starts, dict[Partition, Bounds]]:
        """Return where to begin, and the bounds of the logs.

        Raises what stops the worker for the operator, PartitionsRevoked.

        Where it stops for gaps, those of parked flows are told with them.

        Nothing is committed before every partition was found whole: a restart finds what this start found. Whoever
        processes may export, so a partition of exports has an offset from then on: a missing one was removed.
        """
        exports = self._settings.topics.exports
        bounds = await self._bounds(sorted(tps))
        starts, found = self._judge_starts(bounds)
        if found:
            if parked_gaps is not None:
                found += await parked_gaps([known for known in bounds.values() if known.topic == exports])
            raise gaps_as_one(found)
        await self._history.record_starts(starts)
        first = {
            tp: start.position for tp, start in starts.items() if tp.topic == exports and bounds[tp].committed is None
        }
        if first and not await self._offsets.commit_if_assigned(first):
            raise PartitionsRevoked
        for tp, start in starts.items():
            self._gap_stop.note_done(
                tp, start.position if tp.topic == exports else self._source_position(tp.partition) or 0
            )
        return starts, bounds

    async def find_in_log(self, reached: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """Return where to read on, None where nobody reads on here.

        That is where unread records are gone, and the worker stops when it has done what it read. A partition whose
        leader does not answer is left out. What another rebalance took away meanwhile is its next owner's to find.
        """
        epoch = self._offsets.epoch
        bounds = await self._offsets.log_bounds([tp for tp in reached if self._reads(tp)])
        if epoch != self._offsets.epoch:
            return dict.fromkeys(reached)
        starts: dict[Partition, Start | None] = {tp: None for tp in reached if not self._reads(tp)}
        for tp in bounds.keys() - starts.keys():
            starts[tp] = self._start_in_log(Bounds(*tp, *bounds[tp], None), reached[tp])
        for tp, start in starts.items():
            if start is not None and start.skipped is not None:
                await self._history.record_skip(tp, start.skipped)
        return {tp: None if start is None else start.position for tp, start in starts.items()}

    def _start_in_log(self, bounds: Bounds, offset: int) -> Start | None:
        """Return where to read a log on that was read up to `offset`; None where the worker stops for what is gone."""
        kind = EXPORTS_LOG if bounds.topic == self._settings.topics.exports else SOURCE_LOG
        try:
            return held_start(bounds, offset, self._settings.accepted, kind)
        except (RecordsAreGone, LogIsShorter) as error:
            self._gap_stop.note_lost(Partition(bounds.topic, bounds.partition), offset, error)
            return None

    async def _bounds(self, tps: Sequence[Partition]) -> dict[Partition, Bounds]:
        begins, ends, committed = await asyncio.gather(
            self._offsets.earliest_offsets(*tps), self._offsets.highwaters(*tps), self._offsets.committed(tps)
        )
        return {tp: Bounds(tp.topic, tp.partition, begins[tp], ends[tp], committed[tp]) for tp in tps}

    def _judge_starts(self, bounds: Mapping[Partition, Bounds]) -> tuple[Starts, list[GapFound]]:
        """Find where each partition begins, and what is missing."""
        starts: Starts = {}
        found: list[GapFound] = []
        for tp, known in bounds.items():
            if tp.topic == self._settings.topics.profile_events and tp.partition not in self._states.partitions:
                continue  # another rebalance took it away while we asked; its takeover seeks again
            try:
                starts[tp] = self._start(known)
            except GapFound as gap:
                found.append(gap)
        return starts, found

    def _start(self, bounds: Bounds) -> Start:
        settings = self._settings
        if bounds.topic == settings.topics.exports:
            return exports_start(bounds, settings.accepted, settings.app_id)
        start = source_start(
            bounds, self._source_position(bounds.partition), settings.accepted, settings.skips.get(bounds.partition)
        )
        if bounds.committed is not None and bounds.committed != start.position:
            _log.info(
                "source_position_wins",
                partition=str(bounds),
                group_offset=bounds.committed,
                source_position=start.position,
            )
        return start

    def _source_position(self, partition: int) -> int | None:
        state = self._states.partitions.get(partition)
        source_position = None if state is None else state.source_position
        return None if source_position is None else source_position.next_offset

    def _reads(self, tp: Partition) -> bool:
        if tp.topic == self._settings.topics.exports:
            return self._delivers(tp.partition)
        return tp.partition in self._states.partitions
