"""The dead letters that somebody asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from schemas.dead_letter import DeadLetterReason, StoredDeadLetter
from schemas.wire.dead_letters_redriven import RedriveMarker

RedriveMarkers = Mapping[str, RedriveMarker]
"""Redrive markers by the dead letter's fingerprint."""


class OffsetRange(NamedTuple):
    """A range of offsets on `dead-letters`, the first and the last included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `7` or `7-12`; raises ValueError."""
        first, dash, last = text.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)) or (dash and int(last) < int(first)):
            raise ValueError(f"{text} is no offset (7) and no range of offsets (7-12)")
        return cls(int(first), int(last or first))


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of dead letters; empty fields ask for everything.

    Times in the form of C8 are of the record that became a letter; `until` is not included.
    """

    flows: frozenset[str] = frozenset()
    reasons: frozenset[DeadLetterReason] = frozenset()
    partitions: frozenset[int] = frozenset()
    offsets: OffsetRange | None = None
    profiles: frozenset[bytes] = frozenset()
    since: str | None = None
    until: str | None = None

    @property
    def is_everything(self) -> bool:
        """Return whether nothing is left out."""
        return self == Selection()

    def __contains__(self, letter: object) -> bool:
        return (
            isinstance(letter, StoredDeadLetter)
            and self._names(letter)
            and self._places(letter)
            and self._times(letter)
        )

    def _names(self, letter: StoredDeadLetter) -> bool:
        return (
            (not self.flows or letter.flow_id in self.flows)
            and (not self.reasons or letter.was.reason in self.reasons)
            and (not self.profiles or letter.was.key in self.profiles)
        )

    def _places(self, letter: StoredDeadLetter) -> bool:
        in_range = self.offsets is None or self.offsets.first <= letter.offset <= self.offsets.last
        return in_range and (not self.partitions or letter.partition in self.partitions)

    def _times(self, letter: StoredDeadLetter) -> bool:
        time = letter.was.time
        if time is None:
            return self.since is None and self.until is None
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)
