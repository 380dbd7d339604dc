"""How far one partition of `exports` is done: everything fetched below an offset is delivered or a durable dead letter.

Offsets have gaps (transaction markers, compaction), so only what was fetched counts, never what lies between.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol

from schemas.kafka import ConsumerRecord


class Parked(Protocol):
    """A flow whose records are read a second time, later, from a position of its own."""

    @property
    def is_durable(self) -> bool:
        """Whether a row that says that it is parked is durable."""
        ...

    def let_by(self, offset: int) -> bool:
        """Whether its record at `offset` is not to be taken now; then it is counted."""

    def owe(self, offset: int) -> None:
        """Remember a record that was let by and that no durable row knows: the partition must not pass it yet."""


class PartitionProgress:
    """One partition, for one assignment of it to this worker; the next assignment starts with a new one.

    `parked`: flows that go by other progress than this; their records are not taken, as soon as they stand in `parked`,
    and are passed when the row that parks the flow is durable.

    `sends_below`: records from this offset on are given up, if they are not in flight: all of them when the partition
    is no longer ours (`revoked`); those above the highest finished one while it is being released (`close_gaps`), since
    the next owner reads from the lowest unfinished one on, and everything finished above it would leave again.
    """

    __slots__ = ("_finished", "_outstanding", "_position", "_reported", "parked", "partition", "sends_below")
    is_parked = False

    def __init__(self, partition: int, position: int = 0) -> None:
        self.partition = partition
        self.sends_below: float = inf
        self.parked: dict[str, Parked] = {}
        self._outstanding: deque[int] = deque()  # fetched, in order; the first one is not finished
        self._finished: dict[int, str] = {}  # of those, the finished ones behind the first, and whose they are
        self._position = position
        self._reported = position

    @property
    def is_revoked(self) -> bool:
        """Whether its records were given up, so that the lanes tell no more what is not finished."""
        return self.sends_below <= 0

    @property
    def is_leaving(self) -> bool:
        """Whether it takes nothing more."""
        return self.sends_below < inf

    def close_gaps(self, in_flight: Iterable[int]) -> None:
        """From now on only what lies below the highest finished record, or the highest one in flight, is sent."""
        self.sends_below = float(max((*self._finished, *in_flight), default=-1) + 1)

    def revoke(self) -> None:
        """Send nothing more."""
        self.sends_below = 0.0

    def unseen(self, records: Sequence[ConsumerRecord]) -> Sequence[ConsumerRecord]:
        """The records without those that were accepted before: a rebalance may fetch them again."""
        if not records or records[0].offset >= self._position:
            return records
        return [record for record in records if record.offset >= self._position]

    def accept(self, offset: int) -> None:
        """The record at `offset`, above all earlier ones, was fetched and waits."""
        if not self._position:
            self._reported = offset  # what was done before this assignment is nothing to report
        self._outstanding.append(offset)
        self._position = offset + 1

    def passes(self, flow_id: str, offset: int) -> bool:
        """Whether the record at `offset`, above all earlier ones, is left to the parked flow that it belongs to.

        It stays unfinished here until the row that parks the flow is durable: whoever takes over before knows only the
        group's offset.
        """
        parked = self.parked.get(flow_id)
        if parked is None or not parked.let_by(offset):
            return False
        if parked.is_durable:
            self.reach(offset + 1)
        else:
            self.accept(offset)
            parked.owe(offset)
        return True

    def reach(self, position: int) -> None:
        """The consumer has fetched everything below `position`."""
        self._position = max(self._position, position)

    def finish(self, offset: int, flow_id: str = "") -> None:
        """The record at `offset` is delivered, or a durable dead letter; or it is nothing that this progress waits for
        any more.
        """
        outstanding, finished = self._outstanding, self._finished
        if outstanding[0] != offset:
            finished[offset] = flow_id
            return
        outstanding.popleft()
        while finished and outstanding[0] in finished:
            del finished[outstanding.popleft()]

    def finished_of(self, flow_id: str) -> list[int]:
        """The finished records of a flow above the lowest record that is not finished."""
        return [offset for offset, whose in self._finished.items() if whose == flow_id]

    def unfinished(self) -> list[int]:
        """What was fetched and is not finished, in order."""
        return [offset for offset in self._outstanding if offset not in self._finished]

    @property
    def position(self) -> int:
        """Everything fetched below was accepted, or passed."""
        return self._position

    @property
    def has_gaps(self) -> bool:
        """Whether something below `sends_below` is not finished."""
        return self.next_offset < self.sends_below

    @property
    def next_offset(self) -> int:
        """The lowest offset fetched and not finished; the consumer's position when there is none."""
        return self._outstanding[0] if self._outstanding else self._position

    def advance(self) -> int | None:
        """`next_offset` where it is above what this method returned before; None where it is not."""
        if self.next_offset <= self._reported:
            return None
        self._reported = self.next_offset
        return self._reported
