"""One parked flow in one partition, with a position of its own on `exports`.

park                          join: read as far as the partition was       everything below is finished
────────────► behind: skipped ─────────────────────────────────► with it ───────────────────────────────► over
              the reader brings what the                         the partition takes what comes from
              partition skipped                                  `until` on
"""

import asyncio
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.progress import Progress
from processor.delivery.parking.finished import Finished
from processor.delivery.parking.reader_position import ReaderPosition
from schemas.parked_flow import ParkedFlowRow
from schemas.times import format_time
from schemas.wire.delivery_positions import parked_flow_key

MAX_RANGES: Final = 50_000
"""The most ranges of a row, about 1 MB; what is left out is only forgotten."""
CLOCK_SECONDS: Final = 1.0
"""The seconds by which two clocks may differ from one look to the next; a row has whole seconds."""


class Change(IntEnum):
    """A change that the row does not say yet: none, a count, a fact."""

    NONE = 0
    COUNT = 1
    FACT = 2


class ParkedFlow(Progress):
    """A parked interval of one flow: from being parked to being over. `interval` is its own name, never used again.

    `reason`, `since` (seconds since 1970): the pause, as last known; both None when it is over. `is_probing`: nothing
    was delivered since the flow was parked or taken over, so it reads no more than a probe needs. `is_durable`: a row
    of it is. `waiting`: its records that are not finished, of those below `counted`. `uncounted`: from, up to and
    without, what an earlier owner skipped since its last row. `changed` is set when something was finished, or when the
    flow is revoked. `written_at` is by the sink's clock.
    """

    __slots__ = (
        "_owed", "changed", "counted", "flow_id", "gone", "interval", "is_durable", "is_probing", "reader", "reason",
        "since", "uncounted", "until", "unwritten", "waiting", "written_at",
    )  # fmt: skip

    def __init__(
        self,
        partition: int,
        flow_id: str,
        interval: str,
        budget: Budget,
        known: Finished,
        *,
        waiting: int,
        counted: int,
        oldest: int | None,
    ) -> None:
        super().__init__(partition, budget)
        self.flow_id = flow_id
        self.interval = interval
        self.reader = ReaderPosition(partition, flow_id, budget, known, oldest)
        self.until: int | None = None
        self.waiting = waiting
        self.counted = counted
        self.uncounted: tuple[int, int] | None = None
        self.reason: PauseReason | None = None
        self.since: float | None = None
        self.gone = 0
        self.is_probing = True
        self.is_durable = False
        self.unwritten = Change.FACT
        self.written_at = float("-inf")
        self.changed = asyncio.Event()
        self._owed: list[int] = []  # skipped before it was durable

    @property
    def key(self) -> str:
        """Return the key of its row."""
        return parked_flow_key(self.flow_id, self.interval)

    # the partition's side -------------------------------------------------------------------------------------------

    def skip(self, offset: int) -> bool:
        """Count the record at `offset` and return True, unless the partition is to take it (`progress.SkippedFlow`)."""
        if self.until is not None and offset >= self.until:
            return False
        self._count_once(offset)
        return True

    def owe(self, offset: int) -> None:
        """Remember a record that no durable row knows (`progress.SkippedFlow`)."""
        self._owed.append(offset)

    def become_durable(self) -> Sequence[int]:
        """Note that a row of this interval is durable; return what the partition skipped before, and may pass now."""
        owed, self._owed, self.is_durable = self._owed, [], True
        return owed

    def _count_once(self, offset: int) -> None:
        if offset >= self.counted:
            self.counted = offset + 1
            self.waiting += 1
            self.unwritten = max(self.unwritten, Change.COUNT)

    def begin_at(self, position: int) -> None:
        """Let the partition come from `position` on: what an earlier owner skipped below is in `uncounted`."""
        if self.counted < position:
            self.uncounted = (self.counted, position)
            self.counted = position

    def count(self, offsets: Iterable[int]) -> None:
        """Count skipped records; once the flow is with the partition again, everything is counted."""
        if self.until is None:
            self.waiting += sum(not self.reader.holds(offset) for offset in offsets)
            self.unwritten = max(self.unwritten, Change.COUNT)

    # the reader's side ----------------------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Return how many records in memory are not finished."""
        return self.reader.outstanding

    def accept(self, offset: int, timestamp: int | None) -> None:
        """Note that the record at `offset`, above all earlier ones, was read and waits; `timestamp` is Kafka's."""
        self._count_once(offset)
        self.reader.accept(offset, timestamp)

    def lose(self, offsets: int) -> None:
        """Pass so many offsets from the reader's position on, which the log does not hold any more."""
        self.gone += offsets
        self.reader.reach(self.reader.position + offsets)
        self.unwritten = Change.FACT

    def finish(self, offset: int, flow_id: str = "") -> None:  # noqa: ARG002  # a Progress's signature
        """Note that the record at `offset` is delivered, or a durable dead letter."""
        self.reader.finish(offset)
        self.waiting = max(self.waiting - 1, self.outstanding)
        self.unwritten = Change.FACT
        if self.is_probing:
            self._end_pause()
        self.changed.set()

    def revoke(self) -> None:
        """Send and read nothing more."""
        super().revoke()
        self.changed.set()

    def pause(self, reason: PauseReason, since: float) -> None:
        """Note that its destination is unavailable, since then or since what is known already."""
        earlier = self.since is None or since < self.since - CLOCK_SECONDS
        if reason != self.reason or earlier:
            self.since = since if earlier else self.since
            self.reason, self.unwritten = reason, Change.FACT
        self.is_probing = True

    def expect_delivery(self) -> None:
        """Read all that there is room for: the destination is only slow."""
        self.is_probing = False

    def join(self) -> None:
        """Have the partition take the flow's records again from here on, where the reader has caught up with it."""
        self.until = self.reader.position
        self.waiting = self.outstanding
        self._end_pause()
        self.unwritten = Change.FACT

    def is_over(self, partition_next: int) -> bool:
        """Return whether the partition's progress alone says it all."""
        return self.until is not None and min(self.reader.next_offset, partition_next) >= self.until

    def _end_pause(self) -> None:
        self.is_probing, self.reason, self.since = False, None, None

    # what is known --------------------------------------------------------------------------------------------------

    @property
    def oldest(self) -> int | None:
        """Return Kafka's time of its oldest record, in milliseconds, where one waits and it is known."""
        return self.reader.oldest if self.waiting or self.outstanding else None

    def row(self) -> ParkedFlowRow:
        """Return all that a next owner must know."""
        known = self.reader.finished()
        return ParkedFlowRow(
            flow=self.flow_id,
            partition=self.partition,
            first=known.first,
            finished=known.ranges[:MAX_RANGES],
            until=self.until,
            reason=None if self.reason is None else self.reason.value,
            since=None if self.since is None else format_time(int(self.since)),
            waiting=self.waiting,
            counted=self.counted,
            oldest=self.oldest,
            gone=self.gone,
        )
