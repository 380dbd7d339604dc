"""All selected letters looked at once, before any is sent again.

A record that is too large becomes a letter at once, while earlier ones of its lane still wait and may become letters
after it. So the order on the topic is not always that of the lane: such lanes are noted here, and are held back until
all of them is there.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from processor.dead_letters.outcome import Circumstances, Fate, fate_of
from processor.dead_letters.selection import Marks
from schemas.dead_letter import StoredDeadLetter

Lane = tuple[int, bytes | None, str | None]


@dataclass(slots=True)
class Survey:
    """`fates` counts letters by flow (None: profile events), reason and fate; a copy of a letter counts once.

    `ends` is the offset after the last letter seen of each partition of `dead-letters`.
    """

    fates: Counter[tuple[str | None, str, Fate]] = field(default_factory=Counter)
    unordered: set[Lane] = field(default_factory=set)
    ends: dict[int, int] = field(default_factory=dict)
    _latest: dict[Lane, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def take(self, letter: StoredDeadLetter, fate: Fate) -> None:
        """Count one letter, the next of its partition."""
        self.ends[letter.partition] = letter.offset + 1
        if letter.fingerprint in self._seen:
            return
        self._seen.add(letter.fingerprint)
        self.fates[letter.flow_id, letter.was.reason.value, fate] += 1
        if fate is Fate.REDRIVE:
            self._note_order(letter)

    def count(self, *fates: Fate) -> int:
        """How many letters have one of these fates."""
        return sum(letters for (_, _, fate), letters in self.fates.items() if fate in fates)

    def covers(self, letter: StoredDeadLetter) -> bool:
        """Whether it was there when this survey was made."""
        return letter.offset < self.ends.get(letter.partition, 0)

    def _note_order(self, letter: StoredDeadLetter) -> None:
        latest = self._latest.get(letter.lane, -1)
        if letter.order < latest:
            self.unordered.add(letter.lane)
        self._latest[letter.lane] = max(latest, letter.order)


def survey(letters: Iterable[StoredDeadLetter], marks: Marks, now: Circumstances) -> Survey:
    """Look at all of them."""
    found = Survey()
    for letter in letters:
        found.take(letter, fate_of(letter, marks, now))
    return found
