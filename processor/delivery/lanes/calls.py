"""One destination's calls: what one carries, and how many may be in flight at a time."""

from collections.abc import Collection
from dataclasses import dataclass

from processor.delivery.lanes.lanes import Lane
from processor.delivery.lanes.progress import PartitionProgress
from schemas.export import Export


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The lanes whose heads are in flight together.

    `round` is the window's when it began; `is_probe`: of a paused destination.
    """

    lanes: list[Lane]
    round: int
    is_probe: bool
    began_at: float = 0.0  # by the sink's clock

    def exports(self) -> list[Export]:
        """The records, in the order of the lanes."""
        return [lane.head.export for lane in self.lanes]

    def carries(self, partitions: Collection[PartitionProgress]) -> bool:
        """Whether a record of one of these partitions is in flight."""
        return any(lane.head.progress in partitions for lane in self.lanes)


class CallWindow:
    """Additive increase, multiplicative decrease (RFC 5681's idea): `widest` calls, half of it when throttled, at least
    1.

    Calls that flew together are one round: it narrows the window once, however many of them were throttled.
    """

    def __init__(self, widest: int) -> None:
        self._widest = widest
        self._size = float(widest)
        self.round = 0

    @property
    def size(self) -> int:
        """Calls that may be in flight."""
        return int(self._size)

    def narrow(self, call_round: int) -> None:
        """A call was throttled."""
        if call_round == self.round:
            self._size = max(1.0, self._size / 2)
            self.round += 1

    def widen(self) -> None:
        """A call went well: one more after as many as are in flight."""
        self._size = min(float(self._widest), self._size + 1 / self._size)
