"""Rows that name no member, and why."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

SHOWN_CHARACTERS: Final = 1_000  # of a rejected row
_SHOWN_IN_TEXT: Final = 120


class Reason(StrEnum):
    """Why a row is rejected.

    `--any-id` takes the first group (`SPOILT`), as long as a record may have the id as its key (contract I11).
    """

    SHORTENED_NUMBER = "shortened_number"
    WORD_FOR_NOTHING = "word_for_nothing"
    SPREADSHEET_ERROR = "spreadsheet_error"
    FORMULA = "formula"
    UNSEEN_CHARACTER = "unseen_character"
    LOST_CHARACTER = "lost_character"
    HEADER_AGAIN = "header_again"

    NO_ID = "no_id"
    BAD_KEY = "bad_key"
    TOO_MANY_COLUMNS = "too_many_columns"
    BROKEN_QUOTES = "broken_quotes"
    TOO_LARGE = "too_large"
    NO_PARTITION = "no_partition"
    NO_PROFILE = "no_profile"
    SEVERAL_PROFILES = "several_profiles"
    NAMESPACE_CASE = "namespace_case"


SPOILT: Final = frozenset(
    {
        Reason.SHORTENED_NUMBER,
        Reason.WORD_FOR_NOTHING,
        Reason.SPREADSHEET_ERROR,
        Reason.FORMULA,
        Reason.UNSEEN_CHARACTER,
        Reason.LOST_CHARACTER,
        Reason.HEADER_AGAIN,
    }
)


class Fault(NamedTuple):
    """Why a row, or the id in it, cannot be used: the reason, and a sentence for people."""

    reason: Reason
    explanation: str


class Rejected(NamedTuple):
    """A row that names no member: its first line in the file (from 1), why, and its text."""

    line: int
    reason: Reason
    explanation: str
    row: str

    @classmethod
    def because(cls, fault: Fault, line: int, row: str) -> "Rejected":
        """Make one of a fault; `row` is cut to `SHOWN_CHARACTERS`."""
        return cls(line, fault.reason, fault.explanation, row[:SHOWN_CHARACTERS])


@dataclass(frozen=True, slots=True)
class Rejections:
    """How many rows were rejected for each reason, and the first row of each."""

    by_reason: Counter[Reason] = field(default_factory=Counter)
    first: dict[Reason, Rejected] = field(default_factory=dict)

    def count(self, row: Rejected) -> None:
        """Count one more."""
        self.by_reason[row.reason] += 1
        self.first.setdefault(row.reason, row)

    def total(self) -> int:
        """How many there are."""
        return self.by_reason.total()

    def as_json(self) -> dict[str, int]:
        """The counts by the reasons' names, the most frequent first."""
        return {reason.value: count for reason, count in self.by_reason.most_common()}

    def lines(self) -> list[str]:
        """A line for people for each reason: how many rows, and the first of them."""
        told = []
        for reason, count in self.by_reason.most_common():
            first = self.first[reason]
            told.append(f"{reason}: {count}, the first in line {first.line}: {shown(first.row)}: {first.explanation}")
        return told


def shown(text: str, characters: int = _SHOWN_IN_TEXT) -> str:
    """Write a text of a file so that a terminal shows every character of it: those that have no picture as escapes, and
    a long text cut.
    """
    cut = text.rstrip("\r\n")[: characters + 1]
    whole = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut[:characters])
    return whole + ("…" if len(cut) > characters else "")
