"""Rows that name no member, and why they do not."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

SHOWN_CHARACTERS: Final = 1_000  # of a rejected row
_SHOWN_IN_TEXT: Final = 120


class RejectReason(StrEnum):
    """The reason why a row is rejected.

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
        RejectReason.SHORTENED_NUMBER,
        RejectReason.WORD_FOR_NOTHING,
        RejectReason.SPREADSHEET_ERROR,
        RejectReason.FORMULA,
        RejectReason.UNSEEN_CHARACTER,
        RejectReason.LOST_CHARACTER,
        RejectReason.HEADER_AGAIN,
    }
)


class RowFault(NamedTuple):
    """A fault of a row, or of the id in it: the reason, and a sentence for people."""

    reason: RejectReason
    explanation: str


class RejectedRow(NamedTuple):
    """A row that names no member: its first line in the file (from 1), why, and its text."""

    line: int
    reason: RejectReason
    explanation: str
    row: str

    @classmethod
    def because(cls, fault: RowFault, line: int, row: str) -> "RejectedRow":
        """Make a rejected row of a fault; `row` is cut to `SHOWN_CHARACTERS`."""
        return cls(line, fault.reason, fault.explanation, row[:SHOWN_CHARACTERS])


@dataclass(frozen=True, slots=True)
class RejectedCounts:
    """The number of rows rejected for each reason, and the first row of each."""

    by_reason: Counter[RejectReason] = field(default_factory=Counter)
    first: dict[RejectReason, RejectedRow] = field(default_factory=dict)

    def count(self, row: RejectedRow) -> None:
        """Count one more rejected row."""
        self.by_reason[row.reason] += 1
        self.first.setdefault(row.reason, row)

    def total(self) -> int:
        """Return how many rows are rejected."""
        return self.by_reason.total()

    def as_json(self) -> dict[str, int]:
        """Return the counts by the reasons' names, the most frequent first."""
        return {reason.value: count for reason, count in self.by_reason.most_common()}

    def lines(self) -> list[str]:
        """Return a line for people for each reason: how many rows, and the first of them."""
        lines = []
        for reason, count in self.by_reason.most_common():
            first = self.first[reason]
            lines.append(f"{reason}: {count}, the first in line {first.line}: {shown(first.row)}: {first.explanation}")
        return lines


def shown(text: str, characters: int = _SHOWN_IN_TEXT) -> str:
    """Write a text of a file so that a terminal shows each character, escaped where it must be; a long text is cut."""
    cut = text.rstrip("\r\n")[: characters + 1]
    whole = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut[:characters])
    return whole + ("…" if len(cut) > characters else "")
