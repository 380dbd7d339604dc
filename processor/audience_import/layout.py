"""Find the layout of a CSV file: the lines above its rows, the delimiter, the columns that name members. Pure.

It is found in the beginning of the file. The delimiter is one that separates the wanted column: a header may hold
others in names.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from io import StringIO
from itertools import islice
from typing import Final, NamedTuple

from processor.audience_import.ids import clean_name
from processor.audience_import.rejected import shown
from processor.foundation.errors import UsageError

PROFILE_ID: Final = "profileId"
IDENTITY: Final = ("namespace", "id")
DELIMITERS: Final = ",;\t|"  # where several do, the first of them
QUOTE: Final = '"'
_SEP: Final = re.compile(r'"?sep=(\\t|.)"?[,;\t|]*', re.IGNORECASE)
_SPELLED: Final = {"\\t": "\t", "tab": "\t", "TAB": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_JUDGED_ROWS: Final = 1_000
_SHOWN_COLUMNS: Final = 20


class Dialect(NamedTuple):
    """The encoding, delimiter and escape of a file."""

    encoding: str
    delimiter: str
    escape: str | None = None

    def __str__(self) -> str:
        """Describe the dialect for people, as `utf-8 with the delimiter ";"`."""
        delimiter = "a tab" if self.delimiter == "\t" else f'"{self.delimiter}"'
        return f"{self.encoding} with the delimiter {delimiter}" + (
            f" and the escape {self.escape}" if self.escape else ""
        )


class Layout(NamedTuple):
    """The layout of a file, as its beginning shows it.

    `lines_above`: how many lines stand above the first row. `column`: the index of the profile ids. `identity`: the
    indices of namespaces and ids. One of the two is there at least. `usual_width`: how many cells most rows have; more
    than the header where each ends with a delimiter, fewer where empty cells at the end are left out.
    """

    delimiter: str
    columns: list[str]
    column: int | None
    identity: tuple[int, int] | None
    lines_above: int
    usual_width: int

    @property
    def whole_widths(self) -> tuple[int, int]:
        """Return how many cells a row has that is surely whole."""
        return len(self.columns), self.usual_width

    @property
    def ways(self) -> list[tuple[int, ...]]:
        """Return the indices of the columns that name a member, for each way: by a profile id, by an identity."""
        by_profile_id = None if self.column is None else (self.column,)
        return [indices for indices in (by_profile_id, self.identity) if indices is not None]

    @property
    def naming(self) -> tuple[int, ...]:
        """Return the indices of the columns that name members."""
        return tuple(index for indices in self.ways for index in indices)

    @property
    def ignored(self) -> list[str]:
        """Return the names of the columns that are not used."""
        return [name for index, name in enumerate(self.columns) if index not in self.naming and name]


class _Header(NamedTuple):
    delimiter: str
    columns: list[str]
    lines: int


def one_character(option: str, text: str | None) -> str | None:
    """Return a delimiter or an escape as given, `tab` and `\\t` as what they mean; raise UsageError for others."""
    if text is None:
        return None
    character = _SPELLED.get(text, text)
    if len(character) != 1:
        raise UsageError(f"{option} {shown(text)!r} is not one character")
    if character in '"\r\n\0':
        raise UsageError(
            f"{option} {shown(text)!r} cannot be: it stands for something else in a CSV file (two quotes for one are"
            " read as they are)"
        )
    return character


def find_layout(text: str, delimiter: str | None, escape: str | None, id_column: str | None) -> Layout:
    """Read the layout from the beginning of a file; raise UsageError where no header names the members."""
    lines = list(StringIO(text.removeprefix("\ufeff"), newline=""))
    above, delimiter = _read_sep_line(lines, delimiter)
    if delimiter is not None and delimiter == escape:
        raise UsageError(
            f"{escape!r} is named as the escape, and is the delimiter\n  name another one with --delimiter or --escape"
        )
    below = lines[above:]
    header = _find_header(below, [each for each in delimiter or DELIMITERS if each != escape], escape, id_column)
    column, identity = _find_columns(header.columns, id_column)
    rows = below[header.lines :]
    if delimiter is None and len(header.columns) == 1:
        header = header._replace(delimiter=_at_ends(rows) or header.delimiter)
    return Layout(
        header.delimiter, header.columns, column, identity, above + header.lines, _usual_width(rows, header, escape)
    )


def _read_sep_line(lines: Sequence[str], delimiter: str | None) -> tuple[int, str | None]:
    """Return the index of the header's line, and the delimiter that was named, else the one of a line `sep=`."""
    above = _blank_lines(lines, 0)
    if above < len(lines) and (sep := _SEP.fullmatch(lines[above].rstrip("\r\n"))):
        delimiter = delimiter or _SPELLED.get(sep.group(1), sep.group(1))
        above = _blank_lines(lines, above + 1)
    return above, delimiter


def _find_header(lines: Sequence[str], delimiters: list[str], escape: str | None, id_column: str | None) -> _Header:
    """Return the header with most columns, of those that name the members where any does; raise UsageError for none."""
    headers = [header for each in delimiters if (header := _read_header(lines, each, escape))]
    if not headers:
        raise UsageError("its header cannot be read: is a quote in it not closed? Nothing of the file is used")
    fitting = [
        header
        for header in headers
        if _indices(header.columns, id_column or PROFILE_ID) or _find_identity(header.columns, id_column)
    ]
    return max(fitting or headers, key=lambda header: len(header.columns))


def _blank_lines(lines: Sequence[str], begin: int) -> int:
    """Return the index of the first line that is not blank."""
    while begin < len(lines) and not clean_name(lines[begin]):
        begin += 1
    return begin


def _read_header(lines: Sequence[str], delimiter: str, escape: str | None) -> _Header | None:
    reader = csv.reader(lines, delimiter=delimiter, escapechar=escape, strict=True)
    try:
        cells = next(reader, None)
    except csv.Error:
        return None
    return _Header(delimiter, [clean_name(name) for name in cells or ()], reader.line_num)


def _indices(columns: Sequence[str], name: str) -> list[int]:
    """Return the indices of the columns of a name: as it is written, else in another case."""
    wanted = clean_name(name)
    exact = [index for index, name in enumerate(columns) if name == wanted]
    return exact or [index for index, name in enumerate(columns) if name.lower() == wanted.lower()]


def _find_columns(columns: list[str], id_column: str | None) -> tuple[int | None, tuple[int, int] | None]:
    """Return the index of the profile ids, and those of namespace and id of identities."""
    name = PROFILE_ID if id_column is None else id_column
    indices, identity = _indices(columns, name), _find_identity(columns, id_column)
    if len(indices) <= 1 and (indices or identity):
        return (indices[0] if indices else None), identity
    for each in (name, *(() if id_column else IDENTITY)):
        if (times := len(_indices(columns, each))) > 1:
            raise UsageError(
                f"its header names {shown(each)} {times} times; nothing of it is used\n  give one of these columns"
                " another name"
            )
    there = ", ".join(shown(each) for each in columns[:_SHOWN_COLUMNS]) or "nothing"
    others = "" if id_column else f"; columns {' and '.join(IDENTITY)} would do as well"
    raise UsageError(f"its header has no column {shown(name)}, but: {there}{others}\n  {_remedy(columns, id_column)}")


def _find_identity(columns: Sequence[str], id_column: str | None) -> tuple[int, int] | None:
    """Return the indices of namespace and id, each once; None where they are not, or another column is named."""
    namespaces, ids = (_indices(columns, name) for name in IDENTITY)
    return (namespaces[0], ids[0]) if id_column is None and len(namespaces) == len(ids) == 1 else None


def _remedy(columns: list[str], id_column: str | None) -> str:
    wanted = _alphanumeric(id_column or PROFILE_ID)
    by_spelling = {_alphanumeric(name): name for name in reversed(columns)}
    glued = [name for name in by_spelling if wanted in name and name != wanted]
    if len(columns) == 1 and glued:
        return "does another character stand between its columns? Name it with --delimiter"
    if meant := [wanted] * (wanted in by_spelling) or glued or get_close_matches(wanted, by_spelling):
        return f"is {shown(by_spelling[meant[0]])} meant? Then say --id-column {shown(by_spelling[meant[0]])}"
    return "the first line must name the columns; name the one that holds the profile ids with --id-column"


def _alphanumeric(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


def _at_ends(rows: Sequence[str]) -> str | None:
    """Return the delimiter that ends every row, if any: a header of one column does not show it."""
    judged = [row.rstrip("\r\n") for row in islice(rows, _JUDGED_ROWS) if row.strip()]
    return next((each for each in DELIMITERS if judged and all(row.endswith(each) for row in judged)), None)


def _usual_width(rows: Sequence[str], header: _Header, escape: str | None) -> int:
    """Return how many cells most rows have, of those with nothing beyond the header; without rows, the header's."""
    width = len(header.columns)
    widths = Counter(len(cells) for cells in _cells(rows, header.delimiter, escape) if not any(cells[width:]))
    return max(widths, key=lambda each: (widths[each], each == width), default=width)


def _cells(rows: Sequence[str], delimiter: str, escape: str | None) -> Iterator[list[str]]:
    reader = csv.reader(islice(rows, _JUDGED_ROWS), delimiter=delimiter, escapechar=escape)
    try:
        yield from (cells for cells in reader if any(cells))
    except csv.Error:
        return
