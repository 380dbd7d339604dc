"""The partitions of `exports` that this worker has taken over, and how far each of them is."""

from collections.abc import Callable, Collection, Iterable

from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.progress import PartitionProgress


class OpenPartitions:
    """Partitions from their takeover to their release; `on_delivered(partition, next_offset)` is told what is done.

    `by_number` has those that take records. One that is being released is in it no more, but its progress is told until
    it is forgotten.
    """

    def __init__(self, budget: Budget, on_delivered: Callable[[int, int], None]) -> None:
        self.by_number: dict[int, PartitionProgress] = {}
        self._budget = budget
        self._on_delivered = on_delivered
        self._reporting: list[PartitionProgress] = []

    def open(self, partition: int, position: int) -> PartitionProgress:
        """Have a partition take records from `position` on."""
        live = self.by_number[partition] = PartitionProgress(partition, position, self._budget)
        self._reporting.append(live)
        return live

    def undo(self, live: PartitionProgress) -> None:
        """Close a partition whose takeover came to nothing, unless it was released meanwhile."""
        if self.by_number.get(live.partition) is live:
            del self.by_number[live.partition]
            self._reporting.remove(live)

    def close(self, partitions: Iterable[int]) -> set[PartitionProgress]:
        """Have these partitions take nothing more; return those of them that were open."""
        return {live for number in partitions if (live := self.by_number.pop(number, None)) is not None}

    def forget(self, closed: Collection[PartitionProgress]) -> None:
        """Forget these partitions: nothing of them is reported any more."""
        self._reporting = [live for live in self._reporting if live not in closed]

    def report(self) -> None:
        """Tell how far each partition is, where it has come farther."""
        for live in self._reporting:
            next_offset = live.advance()
            if next_offset is not None:
                self._on_delivered(live.partition, next_offset)
