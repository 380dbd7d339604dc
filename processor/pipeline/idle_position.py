"""The source position of a partition where nothing comes: past transaction markers, and where a partition begins.

The source position would stay below the log's start when retention has removed all that: for the next start, records
that nobody read.
"""

from processor.foundation.clocks import Clock
from processor.pipeline.committer import Committer
from processor.pipeline.work_unit import AT_ONCE, NEVER, DecidedPosition, WorkUnit


class IdlePosition:
    """The source position of a partition as it is written where no event comes.

    What is no event (markers, aborted transactions) is passed after `idle_seconds` without anything new, since each
    time costs a transaction; the first source position of a partition is written at once.
    """

    def __init__(self, decided: DecidedPosition, committer: Committer, clock: Clock, idle_seconds: float) -> None:
        self._decided, self._committer = decided, committer
        self._clock, self._idle_seconds = clock, idle_seconds
        self._moved_at = clock()
        self._passes_at_once = False
        self._begins = False

    def begin_at(self, position: int) -> None:
        """Read on from `position`; where no source position is known yet, the first one is to be written at once.

        What retention removes from then on was not read.
        """
        self.move_to(position)
        self._begins = not self._committer.has_position

    def move_to(self, position: int) -> None:
        """Take notice that nothing below `position` is left to decide."""
        self._decided.next_offset = max(self._decided.next_offset, position)
        self._moved_at = self._clock()

    def pass_at_once(self) -> None:
        """Pass what is no event without delay from now on: the worker is about to stop, and a gap begins there."""
        self._passes_at_once = True

    @property
    def progress(self) -> int | None:
        """Return up to where the group's offset may be committed; None: before the first source position, nowhere.

        With nothing outstanding, what is no event counts too, so that lag reads 0 past the markers. A group that has
        read a partition of which no state is known stops its next owner.
        """
        if not self._committer.has_position:
            return None
        return self._committer.committed_offset if self._is_outstanding else self._decided.next_offset

    @property
    def next_at(self) -> float:
        """Return when the source position is to be written, by the monotonic clock."""
        if self._begins:
            return AT_ONCE
        if self._is_outstanding or self._decided.next_offset <= self._committer.committed_offset:
            return NEVER
        return AT_ONCE if self._passes_at_once else self._moved_at + self._idle_seconds

    def next_unit(self) -> WorkUnit | None:
        """Return the unit that writes the source position, where that is due."""
        if self.next_at > self._clock():
            return None
        self._begins = False
        decided = self._decided
        return WorkUnit(
            sequence=decided.sequence + 1,
            next_offset=decided.next_offset,
            bad_in_a_row=decided.bad_in_a_row,
            rows={},
        )

    @property
    def _is_outstanding(self) -> bool:
        return self._decided.sequence > self._committer.committed_sequence
