"""A redrive's plan: what becomes of each selected dead letter, and in which order those that are sent again leave.

A record that is too large becomes a dead letter at once, while earlier ones of its lane still wait and may become dead
letters after it. So the order on the topic is not always that of the lane: such lanes are noted in the plan, and are
held back until all of them is there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from processor.dead_letters.outcome import Circumstances, Outcome, find_outcome
from processor.dead_letters.selection import RedriveMarkers
from schemas.dead_letter import StoredDeadLetter

Lane = tuple[int, bytes | None, str | None]


@dataclass(slots=True)
class RedrivePlan:
    """A plan that comes of one look at all selected dead letters.

    `outcomes` counts them by flow (None: profile events), reason and outcome; a copy counts once. `unordered`: lanes
    that are not in order on the topic. `ends`: the offset after the last one seen of each partition of `dead-letters`.
    """

    outcomes: Counter[tuple[str | None, str, Outcome]] = field(default_factory=Counter)
    unordered: set[Lane] = field(default_factory=set)
    ends: dict[int, int] = field(default_factory=dict)
    _latest: dict[Lane, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def add_dead_letter(self, letter: StoredDeadLetter, outcome: Outcome) -> None:
        """Count one dead letter, the next of its partition."""
        self.ends[letter.partition] = letter.offset + 1
        if letter.fingerprint in self._seen:
            return
        self._seen.add(letter.fingerprint)
        self.outcomes[letter.flow_id, letter.was.reason.value, outcome] += 1
        if outcome is Outcome.REDRIVE:
            self._note_order(letter)

    def count_outcomes(self, *outcomes: Outcome) -> int:
        """Count the dead letters with one of these outcomes."""
        return sum(letters for (_, _, outcome), letters in self.outcomes.items() if outcome in outcomes)

    def covers(self, letter: StoredDeadLetter) -> bool:
        """Return whether the dead letter was there when this plan was made."""
        return letter.offset < self.ends.get(letter.partition, 0)

    def put_in_order(self, letters: Iterable[StoredDeadLetter]) -> Iterator[StoredDeadLetter]:
        """Yield dead letters in the order of their lanes: lanes that are not in order on the topic come last."""
        held: list[StoredDeadLetter] = []
        for letter in letters:
            if letter.lane in self.unordered:
                held.append(letter)
            else:
                yield letter
        yield from sorted(held, key=lambda letter: (letter.partition, letter.order))

    def _note_order(self, letter: StoredDeadLetter) -> None:
        latest = self._latest.get(letter.lane, -1)
        if letter.order < latest:
            self.unordered.add(letter.lane)
        self._latest[letter.lane] = max(latest, letter.order)


def plan_redrive(letters: Iterable[StoredDeadLetter], markers: RedriveMarkers, now: Circumstances) -> RedrivePlan:
    """Look at all selected dead letters once, before any is sent again."""
    plan = RedrivePlan()
    for letter in letters:
        plan.add_dead_letter(letter, find_outcome(letter, markers, now))
    return plan


def choose_dead_letters(
    letters: Iterable[StoredDeadLetter], markers: RedriveMarkers, now: Circumstances
) -> Iterator[StoredDeadLetter]:
    """Yield each dead letter that is to be sent again, once, whatever copies there are."""
    seen: set[str] = set()
    for letter in letters:
        if letter.fingerprint not in seen and find_outcome(letter, markers, now) is Outcome.REDRIVE:
            seen.add(letter.fingerprint)
            yield letter
