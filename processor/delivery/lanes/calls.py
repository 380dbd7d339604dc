"""One destination's calls: what one carries, and how many may be in flight at a time."""

from collections.abc import Collection
from dataclasses import dataclass

from processor.delivery.lanes.lanes import Lane
from processor.delivery.lanes.progress import Progress
from schemas.export import Export


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call: the lanes whose heads are in flight together.

    `round` is the window's when it began; `is_probe`: of a paused destination.
    """

    lanes: list[Lane]
    round: int
    is_probe: bool
    began_at: float = 0.0  # by the sink's clock

    def exports(self) -> list[Export]:
        """Return the records, in the order of the lanes."""
        return [lane.head.export for lane in self.lanes]

    def carries(self, progresses: Collection[Progress]) -> bool:
        """Return whether a record of one of these is in flight."""
        return any(lane.head.progress in progresses for lane in self.lanes)


class CallWindow:
    """The number of calls that may be in flight: `widest`, half of it when throttled, then slowly more.

    That is additive increase, multiplicative decrease (RFC 5681's idea); one call is the least. Calls that were in
    flight together are one round: it narrows the window once, however many of them were throttled.
    """

    def __init__(self, widest: int) -> None:
        self._widest = widest
        self._size = float(widest)
        self.round = 0

    @property
    def size(self) -> int:
        """Return how many calls may be in flight."""
        return int(self._size)

    def narrow(self, call_round: int) -> None:
        """Have fewer calls: one was throttled."""
        if call_round == self.round:
            self._size = max(1.0, self._size / 2)
            self.round += 1

    def widen(self) -> None:
        """Note a call that went well: after as many as are in flight there may be one more."""
        self._size = min(float(self._widest), self._size + 1 / self._size)
