"""Counts of the dead letters that the topic holds, by flow and reason."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processor.dead_letters.reading import read_dead_letters
from processor.dead_letters.redriven import read_redrive_markers
from processor.dead_letters.selection import RedriveMarkers, Selection
from processor.foundation.settings import Settings
from schemas.dead_letter import StoredDeadLetter

COUNT_SECONDS: Final = 10.0


class FlowReasonCount(NamedTuple):
    """A count of dead letters of one flow (None: profile events) and reason; `redriven` of them were sent again."""

    flow: str | None
    reason: str
    letters: int
    redriven: int


@dataclass(slots=True)
class DeadLetterCounts:
    """Counts of records on the topic. `complete`: it was read to its end; else there are at least so many."""

    letters: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    redriven: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    complete: bool = True

    def add_dead_letter(self, letter: StoredDeadLetter, markers: RedriveMarkers) -> None:
        """Count one dead letter."""
        key = letter.flow_id, letter.was.reason.value
        self.letters[key] += 1
        self.redriven[key] += letter.fingerprint in markers

    def __iter__(self) -> Iterator[FlowReasonCount]:
        """Yield the counts by flow, those of profile events first, then by reason."""
        for flow, reason in sorted(self.letters, key=lambda key: (key[0] or "", key[1])):
            yield FlowReasonCount(flow, reason, self.letters[flow, reason], self.redriven[flow, reason])


def count_dead_letters(
    settings: Settings, on_problem: Callable[[str], None], seconds: float = COUNT_SECONDS
) -> DeadLetterCounts:
    """Count what is on the topic, read for so many seconds at most; `on_problem` is told of what is none of ours.

    Raises as `read_topic` does.
    """
    counts, deadline = DeadLetterCounts(), time.monotonic() + seconds
    markers = read_redrive_markers(settings)
    for letter in read_dead_letters(settings, Selection(), on_problem):
        counts.add_dead_letter(letter, markers)
        if time.monotonic() > deadline:
            counts.complete = False
            break
    return counts
