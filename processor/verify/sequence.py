"""Match what arrived with what was expected, in order, when anything may arrive again. Pure.

    expected   a b c d
    found      a b c · b c d        the second b and c are repeats: keeping the first of each gives what was expected
    found      a c b d              c is unexpected where it stands, and then it is missing

At least once in order (contract G1) means: the firsts are the expected ones in their order, and all else repeats one of
them. An item is taken as the next expected one whenever it can be, and as a repeat otherwise. That finds such a reading
if there is one: no other reading is ever further on, so none knows more items that may come again.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class SequenceMatch(NamedTuple):
    """A match: `reached` counts the expected that were found; `repeats` and `unexpected` are indices of the found."""

    reached: int
    repeats: tuple[int, ...]
    unexpected: tuple[int, ...]


def match_sequence(expected: Sequence[Item], found: Sequence[Item], may_repeat: Collection[Item] = ()) -> SequenceMatch:
    """Match `found` with `expected`; items in `may_repeat` are repeats from the beginning."""
    seen = set(may_repeat)
    reached, repeats, unexpected = 0, [], []
    for index, item in enumerate(found):
        if reached < len(expected) and item == expected[reached]:
            seen.add(item)
            reached += 1
        elif item in seen:
            repeats.append(index)
        else:
            unexpected.append(index)
    return SequenceMatch(reached, tuple(repeats), tuple(unexpected))
