"""Read the records of a CSV file; one that breaks is rejected, and reading goes on where lines can be trusted.

Python's `csv` reads them.

    "5" pipe"                  broken within its line: that line alone is rejected
    "TV 32"" ⏎ p-2,B ⏎ …       a quote that is closed only for who wrote it: that line is rejected, and what follows is
                               read as rows
    "a ⏎ p-2,B ⏎ p-3,"C" ⏎     an open quote that meets another one: every line of it is rejected, since any may be a
                               row, or a part of one
    "a ⏎ p-2,B ⏎ … the end     a quote that is never closed: the file is refused

So no row is ever swallowed by a quote of another one without a word. Memory holds one record.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Final, TextIO

from processor.audience_import.layout import QUOTE, Layout
from processor.audience_import.rejected import RejectedRow, RejectReason, RowFault, shown
from processor.foundation.errors import UsageError

MAX_RECORD_CHARACTERS: Final = 1024 * 1024
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_DIGITS: Final = re.compile(r"\d+")
_BACKSLASH: Final = "\\"
_BROKEN: Final = RowFault(
    RejectReason.BROKEN_QUOTES, "a quote in a value is not written twice, so where the value ends is not known"
)
_MANY: Final = f"{csv.field_size_limit():,} characters, or the row more than {MAX_RECORD_CHARACTERS:,}"
_LARGE: Final = RowFault(RejectReason.TOO_LARGE, f"a value has more than {_MANY}")


class _TooLarge(csv.Error):
    """An error: a record has more characters than memory holds."""


class Records:
    """The records below a file's header; `file` stands at its first row. It is iterated once."""

    def __init__(self, file: TextIO, layout: Layout, escape: str | None) -> None:
        self._file = file
        self._layout = layout
        self._escape = escape
        self._line = layout.lines_above + 1  # the first line of the record that comes
        self._taken: list[str] = []  # its lines, as far as they were read
        self._characters = 0
        self._again: deque[str] = deque()  # lines to read as rows of their own
        self._doubtful_until = 0
        self.is_doubtful = False
        self._at_end = False

    @property
    def line(self) -> int:
        """Return the first line of the record that was yielded last."""
        return self._line

    @property
    def text(self) -> str:
        """Return the text of the record that was yielded last."""
        return "".join(self._taken).rstrip("\r\n")

    def why_doubtful(self, *, is_whole: bool) -> RowFault | None:
        """Explain whether the record that was yielded last may be a part of one that broke.

        `is_whole`: it has as many cells as rows have.

        To be asked while `is_doubtful`, which ends with the first record below the broken one that is surely a row.
        """
        if not is_whole or self.text.count(QUOTE) % 2:
            return RowFault(RejectReason.BROKEN_QUOTES, "it may be a part of a row above it, whose quotes are broken")
        self.is_doubtful = self._line < self._doubtful_until
        return None

    def __iter__(self) -> Iterator[list[str] | RejectedRow]:
        """Yield each record's cells, or why it is none; raise UsageError where nothing can be trusted any more."""
        taken, is_done = self._taken, False
        while not is_done:
            try:
                for cells in csv.reader(
                    self._lines(), delimiter=self._layout.delimiter, escapechar=self._escape, strict=True
                ):
                    if len(taken) > 1 and self._is_followed_by_rows(cells):
                        yield self._reject_first(
                            RowFault(RejectReason.BROKEN_QUOTES, "a quote in it is closed only in a later row")
                        )
                        break
                    yield cells
                    self._line += len(taken)
                    taken.clear()
                else:
                    is_done = True
            except csv.Error as error:
                yield from self._reject_broken(is_large=isinstance(error, _TooLarge) or "field larger" in str(error))

    def _lines(self) -> Iterator[str]:
        """Yield lines to the CSV reader, which asks for one after the other until its record ends."""
        taken, self._at_end = self._taken, False
        while self._again:
            taken.append(self._again.popleft())
            yield taken[-1]
        for line in iter(partial(self._file.readline, MAX_RECORD_CHARACTERS), ""):
            self._characters = self._characters + len(line) if taken else len(line)
            taken.append(line)
            if self._characters >= MAX_RECORD_CHARACTERS:
                self._skip_rest(line)
                raise _TooLarge
            yield line
        self._at_end = True

    def _skip_rest(self, line: str) -> None:
        while len(line) == MAX_RECORD_CHARACTERS and not line.endswith(("\n", "\r")):
            line = self._file.readline(MAX_RECORD_CHARACTERS)

    def _reject_broken(self, *, is_large: bool) -> Iterator[RejectedRow]:
        first = self._taken[0]
        self.require_no_escapes()
        if len(self._taken) == 1:
            yield self._reject_first(_LARGE if is_large else _BROKEN)
        elif _is_closed_for_its_writer(first, self._layout.delimiter):
            yield self._reject_first(_BROKEN)
        elif is_large or self._at_end:
            within = f" within {csv.field_size_limit():,} characters" if is_large else ""
            what = f"line {self._line}: a quote is opened and not closed{within}: {shown(first)}"
            raise UsageError(
                f"{what}. Nothing of the file is used\n  close the quote, or write it twice where it belongs to the"
                " value"
            )
        elif self._is_followed_by_rows(_cells_of(first.replace(QUOTE, ""), self._layout.delimiter)):
            yield self._reject_first(_BROKEN)
        else:
            yield from self._reject_all()

    def require_no_escapes(self) -> None:
        """Raise UsageError where the record holds quotes behind backslashes, which only `--escape` explains."""
        if self._escape is not None:
            return
        for number, line in enumerate(self._taken, self._line):
            if _BACKSLASH + QUOTE in line:
                what = f"line {number}: quotes stand behind backslashes: {shown(line)}"
                raise UsageError(f"{what}; nothing of the file is used\n  read them with --escape '\\'")

    def _reject_first(self, fault: RowFault) -> RejectedRow:
        """Reject the first line of the record, and have the others read as rows, as long as they look like some."""
        first, *others = self._taken
        rejected = RejectedRow.because(fault, self._line, first.rstrip("\r\n"))
        if fault.reason is RejectReason.BROKEN_QUOTES or QUOTE in first:
            self.is_doubtful, self._doubtful_until = True, max(self._doubtful_until, self._line + len(others))
        self._again.extendleft(reversed(others))
        self._taken.clear()
        self._line += 1
        return rejected

    def _reject_all(self) -> Iterator[RejectedRow]:
        begin, fault = self._line, _BROKEN
        for line in self._taken:
            yield RejectedRow.because(fault, self._line, line.rstrip("\r\n"))
            self._line += 1
            fault = RowFault(
                RejectReason.BROKEN_QUOTES, f"it may be a part of the row in line {begin}, whose quotes are broken"
            )
        self.is_doubtful = True
        self._taken.clear()

    def _is_followed_by_rows(self, cells: list[str]) -> bool:
        """Return whether a line below the record's first looks like a row: as many cells, and an id of the same shape.

        Where members are named by identity, the same shape of one that is not empty is enough: of the profile id, the
        namespace or the id.
        """
        naming, widths = self._layout.naming, self._layout.whole_widths
        if len(self._layout.columns) == 1:
            return False
        shapes = {
            index: _shape(cells[index])
            for index in naming
            if index < len(cells) and (len(naming) == 1 or cells[index].strip())
        }
        rows = (_cells_of(line, self._layout.delimiter) for line in self._taken[1:])
        return any(
            len(row) in widths
            and any(index < len(row) and _shape(row[index]) == shape for index, shape in shapes.items())
            for row in rows
        )


def _cells_of(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field that is too large
        return []


def _is_closed_for_its_writer(line: str, delimiter: str) -> bool:
    """Return whether the value open at the line's end is quoted for a program that does not double quotes in it."""
    body = line.rstrip("\r\n")
    value = body[body.rfind(delimiter + QUOTE) + 1 :][1:]
    return value.endswith(QUOTE) or QUOTE + delimiter in value


def _shape(text: str) -> str:
    """Return the shape of an id: `a-9` for `crm-17`; for digits alone so many digits, as numbers are everywhere."""
    text = text.strip()
    return "9" * len(text) if text.isdigit() else _DIGITS.sub("9", _LETTERS.sub("a", text))
