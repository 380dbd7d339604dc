"""A gap: offsets that a log no longer holds and that nobody has read; and which of them an operator accepts. Pure.

A gap goes by where it begins, `topic:partition:offset`, as kafka-get-offsets.sh writes a place: retention may move its
other end while the operator reads about it. An accepted gap is passed once; the next one begins elsewhere, so an
acceptance that stays in force is spent.
"""

from typing import Final, NamedTuple

EVERY_GAP: Final = "true"
_NO_GAP: Final = "false"
_YES: Final = frozenset({EVERY_GAP, "1", "yes", "on", "y", "t"})
_NO: Final = frozenset({_NO_GAP, "0", "no", "off", "n", "f", ""})

GAPS_PATTERN: Final = r"^(true|[A-Za-z0-9._-]+:[0-9]+:[0-9]+(\s*,\s*[A-Za-z0-9._-]+:[0-9]+:[0-9]+)*)?$"
"""What `ACCEPT_GAPS` may say, once `normal_acceptance` has read it."""


class Gap(NamedTuple):
    """Offsets of one partition from `first` up to and without `next`."""

    topic: str
    partition: int
    first: int
    next: int

    @property
    def name(self) -> str:
        """Return the name by which an operator accepts the gap."""
        return f"{self.topic}:{self.partition}:{self.first}"


class AcceptedGaps(NamedTuple):
    """The gaps that `ACCEPT_GAPS` accepts: every one, now and later, or the named ones."""

    every: bool = False
    named: frozenset[str] = frozenset()

    def cover(self, gap: Gap) -> bool:
        """Return whether to go on without what the gap held."""
        return self.every or gap.name in self.named


NO_GAPS: Final = AcceptedGaps()


def normal_acceptance(value: object) -> object:
    """The text of a setting that was a switch once: `true`, the names of gaps, or nothing."""
    text = str(value).strip()
    if text.lower() in _YES:
        return EVERY_GAP
    return "" if text.lower() in _NO else text


def accepted_gaps(text: str) -> AcceptedGaps:
    """The gaps that a text accepts, written as GAPS_PATTERN has it."""
    if text == EVERY_GAP:
        return AcceptedGaps(every=True)
    return AcceptedGaps(named=frozenset(name.strip() for name in text.split(",") if name.strip()))
