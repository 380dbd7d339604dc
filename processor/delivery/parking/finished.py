"""The records of one flow in one partition of `exports` that are known to be finished. Pure.

Such facts only grow: a record that was delivered, or is a durable dead letter, is so for ever, whoever says it. So what
several owners of a partition know can be joined, in any order, also what one knows that is an owner no more.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Ranges = tuple[tuple[int, int], ...]
"""Offsets from the first number up to, and without, the second; ascending, and apart."""


class Finished(NamedTuple):
    """Every record of the flow below `first` is finished, and every one in `ranges`, which lie above it."""

    first: int
    ranges: Ranges = ()

    def holds(self, offset: int) -> bool:
        """Return whether the flow's record at `offset`, if there is one, is finished."""
        if offset < self.first:
            return True
        index = bisect_right(self.ranges, offset, key=lambda each: each[0])
        return index > 0 and offset < self.ranges[index - 1][1]

    def and_also(self, ranges: Iterable[tuple[int, int]]) -> "Finished":
        """Return this with more that is finished."""
        first, joined = self.first, list[tuple[int, int]]()
        for low, high in sorted([*self.ranges, *ranges]):
            if high <= first or low >= high:
                continue
            if low <= first:
                first = high
            elif joined and low <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
            else:
                joined.append((low, high))
        return Finished(first, tuple(joined))

    def joined_with(self, other: "Finished") -> "Finished":
        """Return what either of the two knows."""
        return Finished(max(self.first, other.first)).and_also([*self.ranges, *other.ranges])


def ranges_of(finished: Iterable[int], unfinished: Sequence[int]) -> Ranges:
    """Return the finished offsets as ranges: joined where no unfinished one, in ascending order, lies between.

    At most one more than there are unfinished ones. What lies in a range belongs to other flows, or is finished.
    """
    runs: dict[int, tuple[int, int]] = {}
    for offset in sorted(finished):
        gap = bisect_left(unfinished, offset)
        runs[gap] = (runs[gap][0] if gap in runs else offset, offset + 1)
    return tuple(runs.values())
