"""The progress of one partition of `exports`: everything fetched below is delivered or a durable dead letter.

Offsets have gaps (transaction markers, compaction), so only what was fetched counts, never what lies between.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol

from processor.delivery.lanes.budget import Budget
from schemas.kafka import ConsumerRecord


class SkippedFlow(Protocol):
    """A flow whose records the partition skips: it is parked, and they are read again from a position of its own."""

    @property
    def is_durable(self) -> bool:
        """Return whether a row that says that the flow is parked is durable."""
        ...

    def skip(self, offset: int) -> bool:
        """Count the flow's record at `offset` and return True, unless the partition is to take it."""

    def owe(self, offset: int) -> None:
        """Remember a skipped record that no durable row knows: the partition must not pass it yet."""


class Progress:
    """A progress that waiting records hang on, and that must not pass one before it is finished.

    `budget`: what its records in memory count in. `sends_below`: records from this offset on are abandoned, if they are
    not in flight; none is while it is infinite.
    """

    __slots__ = ("budget", "partition", "sends_below")

    def __init__(self, partition: int, budget: Budget) -> None:
        self.partition = partition
        self.budget = budget
        self.sends_below: float = inf

    @property
    def is_revoked(self) -> bool:
        """Return whether its records are abandoned, so that the lanes tell no more what is not finished."""
        return self.sends_below <= 0

    @property
    def is_closing(self) -> bool:
        """Return whether it takes nothing more."""
        return self.sends_below < inf

    def revoke(self) -> None:
        """Have nothing more of it sent."""
        self.sends_below = 0.0

    def finish(self, offset: int, flow_id: str = "") -> None:
        """Note that the record at `offset` is delivered, or a durable dead letter."""
        raise NotImplementedError


class PartitionProgress(Progress):
    """The progress of one partition of `exports`, for one assignment to this worker; the next one starts anew.

    `skipped`: parked flows, which go by other progress than this; their records are not taken, as soon as they stand
    here, and are passed when the row that parks the flow is durable.

    While a partition is being released (`close_gaps`), only records below the highest finished one are sent, since the
    next owner reads from the lowest unfinished one on, and everything finished above it would leave again.
    """

    __slots__ = ("_finished", "_outstanding", "_position", "_reported", "skipped")

    def __init__(self, partition: int, position: int, budget: Budget) -> None:
        super().__init__(partition, budget)
        self.skipped: dict[str, SkippedFlow] = {}
        self._outstanding: deque[int] = deque()  # fetched, in order; the first one is not finished
        self._finished: dict[int, str] = {}  # of those, the finished ones behind the first, and whose they are
        self._position = position
        self._reported = position

    def close_gaps(self, in_flight: Iterable[int]) -> None:
        """Send from now on only what lies below the highest finished record, or the highest one in flight."""
        self.sends_below = float(max((*self._finished, *in_flight), default=-1) + 1)

    def unseen(self, records: Sequence[ConsumerRecord]) -> Sequence[ConsumerRecord]:
        """Return the records without those accepted before: a rebalance may fetch them again."""
        if not records or records[0].offset >= self._position:
            return records
        return [record for record in records if record.offset >= self._position]

    def accept(self, offset: int) -> None:
        """Note that the record at `offset`, above all earlier ones, was fetched and waits."""
        self._outstanding.append(offset)
        self._position = offset + 1

    def skips(self, flow_id: str, offset: int) -> bool:
        """Skip the record at `offset`, above all earlier ones, where its flow is parked; return whether it was.

        It stays unfinished here until the row that parks the flow is durable: whoever takes over before knows only the
        group's offset.
        """
        parked = self.skipped.get(flow_id)
        if parked is None or not parked.skip(offset):
            return False
        if parked.is_durable:
            self.reach(offset + 1)
        else:
            self.accept(offset)
            parked.owe(offset)
        return True

    def reach(self, position: int) -> None:
        """Note that the consumer has fetched everything below `position`."""
        self._position = max(self._position, position)

    def finish(self, offset: int, flow_id: str = "") -> None:
        """Note that the record at `offset` is delivered, or a durable dead letter, or waited for no more."""
        outstanding, finished = self._outstanding, self._finished
        if outstanding[0] != offset:
            finished[offset] = flow_id
            return
        outstanding.popleft()
        while finished and outstanding[0] in finished:
            del finished[outstanding.popleft()]

    def finished_of(self, flow_id: str) -> list[int]:
        """Return the finished records of a flow above the lowest record that is not finished."""
        return [offset for offset, whose in self._finished.items() if whose == flow_id]

    def unfinished(self) -> list[int]:
        """Return the offsets that were fetched and are not finished, in order."""
        return [offset for offset in self._outstanding if offset not in self._finished]

    @property
    def unfinished_count(self) -> int:
        """Return how many records were fetched and are not finished."""
        return len(self._outstanding) - len(self._finished)

    @property
    def position(self) -> int:
        """Return the offset below which everything fetched was accepted, or passed."""
        return self._position

    @property
    def has_gaps(self) -> bool:
        """Return whether something below `sends_below` is not finished."""
        return self.next_offset < self.sends_below

    @property
    def next_offset(self) -> int:
        """Return the lowest offset fetched and not finished; the consumer's position where none is."""
        return self._outstanding[0] if self._outstanding else self._position

    def advance(self) -> int | None:
        """Return `next_offset` where it has grown since the last call, else None."""
        if self.next_offset <= self._reported:
            return None
        self._reported = self.next_offset
        return self._reported
