"""One parked flow in one partition: it has a position of its own on `exports`, and leaves the partition's progress in
peace.

        park                              seam: read as far as the partition was         everything below is finished
    ────────────► behind: let by ────────────────────────────────────────► with it ─────────────────────────────────────► over
                  the reader brings what the partition let by               the partition takes what comes from `until` on

It is a progress like the partition's: the records that the reader brings hang on it, in the flow's ordinary lanes. What
was in flight when the flow was parked stays the head of its lane: the reader passes it, and brings what stands behind
it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.parking.finished import Finished, Ranges, ranges_of
from schemas.parked_flow import ParkedFlowRow
from schemas.times import format_time
from schemas.wire.delivery_positions import parked_flow_key

MAX_RANGES: Final = 50_000
"""Of a row, about 1 MB; what is left out is only forgotten."""


CLOCK_SECONDS: Final = 1.0
"""By which two clocks may differ from one look to the next; a row has whole seconds."""


class Change(IntEnum):
    """What the row does not say yet: nothing, a count, a fact."""

    NONE = 0
    COUNT = 1
    FACT = 2


class ParkedFlow(PartitionProgress):
    """From being parked to being over. `stay` is its own name, never used again.

    `reason`, `since` (seconds since 1970): the pause, as last known; both None when it is over. `is_probing`: nothing
    was delivered since it was parked or taken over, so it reads no more than a probe needs. `is_durable`: a row of it
    is. `uncounted`: from, up to and without, what an earlier owner let by since its last row.
    """

    __slots__ = (
        "_counted", "_flying", "_known", "_landed", "_oldest", "_owed", "_timestamps", "changed", "flow_id", "gone", "is_durable",
        "is_probing", "reason", "since", "stay", "uncounted", "until", "unwritten", "waiting", "written_at",
    )  # fmt: skip
    is_parked = True

    def __init__(
        self,
        partition: int,
        flow_id: str,
        stay: str,
        known: Finished,
        *,
        waiting: int,
        counted: int,
        oldest: int | None,
    ) -> None:
        super().__init__(partition, known.first)
        self.flow_id = flow_id
        self.stay = stay
        self.until: int | None = None
        self.waiting = waiting
        self.reason: PauseReason | None = None
        self.since: float | None = None
        self.gone = 0
        self.is_probing = True
        self.is_durable = False
        self.unwritten = Change.FACT
        self.changed = asyncio.Event()  # something was finished, or it is leaving
        self.uncounted: tuple[int, int] | None = None
        self._known = known
        self._counted = counted
        self._flying: dict[
            int, int | None
        ] = {}  # in flight since before it was parked, or back from there; Kafka's times
        self._landed: set[int] = set()  # of those, the finished ones
        self._owed: list[int] = []  # let by before it was durable
        self._oldest = oldest  # of what is not read yet, or a little older
        self._timestamps: dict[int, int | None] = {}  # of what is outstanding
        self.written_at = float("-inf")  # by the sink's clock

    @property
    def key(self) -> str:
        """Of its row."""
        return parked_flow_key(self.flow_id, self.stay)

    @property
    def counted(self) -> int:
        """Records below it are in `waiting`, if they are not finished."""
        return self._counted

    def take_flying(self, timestamps: Mapping[int, int | None]) -> None:
        """These, with Kafka's times, are in flight, and will be finished without being read."""
        self._flying.update(timestamps)

    # the partition's side -------------------------------------------------------------------------------------------

    def let_by(self, offset: int) -> bool:
        """See `progress.Parked`."""
        if self.until is not None and offset >= self.until:
            return False
        self._count_once(offset)
        return True

    def owe(self, offset: int) -> None:
        """Remember a record that no durable row knows (`progress.Parked`)."""
        self._owed.append(offset)

    def become_durable(self) -> Sequence[int]:
        """Note that a row of it is durable; returns what the partition let by before, and may pass now."""
        owed, self._owed, self.is_durable = self._owed, [], True
        return owed

    def _count_once(self, offset: int) -> None:
        if offset >= self._counted:
            self._counted = offset + 1
            self.waiting += 1
            self.unwritten = max(self.unwritten, Change.COUNT)

    def begin_at(self, position: int) -> None:
        """The partition comes from `position` on: what an earlier owner let by and did not count is in `uncounted`."""
        if self._counted < position:
            self.uncounted = (self._counted, position)
            self._counted = position

    def count(self, offsets: Iterable[int]) -> None:
        """Records that were let by, and not counted; once it is with the partition again, everything is counted."""
        if self.until is None:
            self.waiting += sum(not self._known.holds(offset) for offset in offsets)
            self.unwritten = max(self.unwritten, Change.COUNT)

    # the reader's side ----------------------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Records in memory that are not finished."""
        return len(self._outstanding) - len(self._finished) + len(self._flying)

    @property
    def is_past_what_is_known(self) -> bool:
        """Whether the reader has passed all that was finished out of turn: the partition would send it again."""
        return not self._known.ranges or self._position >= self._known.ranges[-1][1]

    def wants(self, offset: int) -> bool:
        """Whether a record that was read is new, neither finished nor in flight."""
        return (
            offset >= self._position
            and offset not in self._flying
            and offset not in self._landed
            and not self._known.holds(offset)
        )

    def note_timestamp(self, offset: int, timestamp: int | None) -> None:
        """Kafka's time of a record that is about to be accepted."""
        self._timestamps[offset] = timestamp
        self._count_once(offset)

    def lose(self, offsets: int) -> None:
        """The log does not hold so many offsets from the position on."""
        self.gone += offsets
        self.reach(self._position + offsets)
        self.unwritten = Change.FACT

    def finish(self, offset: int, flow_id: str = "") -> None:
        """The record at `offset` is delivered, or a durable dead letter."""
        if offset in self._flying:
            self._oldest = self._flying.pop(offset)
            self._landed.add(offset)
        else:
            super().finish(offset, flow_id)
            self._oldest = self._timestamps.pop(offset, None)
        self.waiting = max(self.waiting - 1, self.outstanding)
        self.unwritten = Change.FACT
        if self.is_probing:
            self.is_probing, self.reason, self.since = False, None, None
        self.changed.set()

    def revoke(self) -> None:
        """Send and read nothing more."""
        super().revoke()
        self.changed.set()

    def pause(self, reason: PauseReason, since: float) -> None:
        """Its destination is unavailable, since then or since what is known already."""
        earlier = self.since is None or since < self.since - CLOCK_SECONDS
        if reason != self.reason or earlier:
            self.since = since if earlier else self.since
            self.reason, self.unwritten = reason, Change.FACT
        self.is_probing = True

    def expect_delivery(self) -> None:
        """Read all that there is room for: the destination is only slow."""
        self.is_probing = False

    def join(self) -> None:
        """The reader has been everywhere where the partition has been: from here on the partition takes the flow's
        records again.
        """
        self.until = self._position
        self.waiting = self.outstanding
        self.is_probing, self.reason, self.since = False, None, None
        self.unwritten = Change.FACT

    def is_over(self, partition_next: int) -> bool:
        """Whether the partition's progress alone says it all."""
        return self.until is not None and min(self.next_offset, partition_next) >= self.until

    # what is known --------------------------------------------------------------------------------------------------

    @property
    def next_offset(self) -> int:
        """The lowest offset that is not finished."""
        return min((super().next_offset, *self._flying))

    def known(self) -> Finished:
        """What is finished."""
        unfinished = sorted((*self._flying, *self.unfinished()))
        landed = (
            (offset, offset + 1) for offset in self._landed
        )  # beyond the reader, perhaps: nothing is known of what lies between
        return Finished(self.next_offset).and_also(
            [*self._known.ranges, *self._passed(), *landed, *ranges_of(self._finished, unfinished)]
        )

    def _passed(self) -> Iterable[tuple[int, int]]:
        """Where the reader has been and left nothing behind but what is in flight."""
        below = super().next_offset
        flying = sorted(offset for offset in self._flying if offset < below)
        return zip((offset + 1 for offset in flying), [*flying[1:], below], strict=False)

    @property
    def oldest(self) -> int | None:
        """Kafka's time of the oldest record that is not finished, in milliseconds, where it is known."""
        lowest = self.next_offset
        if lowest in self._flying:
            return self._flying[lowest]
        if self._outstanding:
            return self._timestamps.get(lowest)
        return self._oldest if self.waiting else None

    def row(self) -> ParkedFlowRow:
        """All that a next owner must know."""
        known = self.known()
        return ParkedFlowRow(
            flow=self.flow_id,
            partition=self.partition,
            first=known.first,
            finished=_bounded(known.ranges),
            until=self.until,
            reason=None if self.reason is None else self.reason.value,
            since=None if self.since is None else format_time(int(self.since)),
            waiting=self.waiting,
            counted=self._counted,
            oldest=self.oldest,
            gone=self.gone,
        )


def _bounded(ranges: Ranges) -> Ranges:
    return ranges[:MAX_RANGES]
