"""How many dead letters the topic holds, by flow and reason."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.dead_letters.selection import Marks
from schemas.dead_letter import StoredDeadLetter


class Tallied(NamedTuple):
    """`flow` is None for profile events. `redriven` of the `letters` were sent again."""

    flow: str | None
    reason: str
    letters: int
    redriven: int


@dataclass(slots=True)
class Tally:
    """Counts of records on the topic. `complete`: it was read to its end; else there are at least so many."""

    letters: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    redriven: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    complete: bool = True

    def take(self, letter: StoredDeadLetter, marks: Marks) -> None:
        """Count one."""
        key = letter.flow_id, letter.was.reason.value
        self.letters[key] += 1
        self.redriven[key] += letter.fingerprint in marks

    def __iter__(self) -> Iterator[Tallied]:
        """By flow, events first, then by reason."""
        for flow, reason in sorted(self.letters, key=lambda key: (key[0] or "", key[1])):
            yield Tallied(flow, reason, self.letters[flow, reason], self.redriven[flow, reason])
