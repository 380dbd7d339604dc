"""Read the rows of a CSV file, as people make such files: each names a member, or why it names none (M6).

The order: what kind of file it is (`kinds`), its encoding (`encoding`), its layout (`layout`), its records
(`records`), and of each record the id (`ids`). A file that cannot be used raises UsageError, and nothing of it is used.
"""

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from processor.audience_import.encoding import explain_bytes, find_encoding, may_be_utf8, require_named
from processor.audience_import.identities import IdentityRow
from processor.audience_import.ids import WORD_FOR_NOTHING, read_id, read_identity_part
from processor.audience_import.kinds import require_csv
from processor.audience_import.layout import IDENTITY, PROFILE_ID, Dialect, find_layout, one_character
from processor.audience_import.records import Records
from processor.audience_import.rejected import SHOWN_CHARACTERS, RejectedRow, RejectReason, RowFault
from processor.foundation.errors import UsageError

SAMPLE_BYTES: Final = 256 * 1024

Member = str
"""The profile id that a row names. A row that names an identity is an `IdentityRow`, which a look-up turns into one."""


class ReadOptions(NamedTuple):
    """The options for reading a file; None: as the file shows itself.

    `any_id` takes ids that look as if a spreadsheet or an export had spoilt them.
    """

    encoding: str | None = None
    delimiter: str | None = None
    escape: str | None = None
    id_column: str | None = None
    any_id: bool = False


_AS_IT_IS: Final = ReadOptions()
_NO_PROFILE_ID: Final = RowFault(RejectReason.NO_ID, "the id is empty")


class Rows:
    """The rows of one file. Home of M6."""

    def __init__(
        self, path: Path, options: ReadOptions = _AS_IT_IS, fault_of: Callable[[str], RowFault | None] = lambda _: None
    ) -> None:
        """Raise UsageError for a file that cannot be read, or is no CSV, or whose header does not fit.

        `fault_of` explains why nobody can write for a profile id.
        """
        self.path = path
        self._fault_of = fault_of
        self._any_id = options.any_id
        self._file: TextIO | None = None
        self._bytes_read = 0
        with _naming_file(path):
            sample = _read_sample(path)
            require_csv(sample)
            if options.encoding is not None:
                require_named(sample, options.encoding)
            encoding = options.encoding or find_encoding(sample)
            escape = one_character("--escape", options.escape)
            delimiter = one_character("--delimiter", options.delimiter)
            self._layout = find_layout(_decode(path, sample, encoding), delimiter, escape, options.id_column)
        self.dialect = Dialect(encoding, self._layout.delimiter, escape)
        self.columns = self._layout.columns
        self.ignored = self._layout.ignored
        self._header = "" if self._layout.column is None else self.columns[self._layout.column].lower()
        self.warnings = list(_warnings(sample, options.encoding))

    @property
    def names_identities(self) -> bool:
        """Return whether rows may name a member by an identity."""
        return self._layout.identity is not None

    @property
    def bytes_read(self) -> int:
        """Return how many bytes of the file are read."""
        return self._bytes_read if self._file is None else self._file.buffer.tell()

    def __iter__(self) -> Iterator[Member | IdentityRow | RejectedRow]:
        """Yield what each row names, or why it names nobody; blank lines are passed over.

        Where a row has both, its profile id wins.

        Raises UsageError where the file is not in its encoding, or a quote that is never closed would swallow whoever
        follows.
        """
        with self.path.open(encoding=self.dialect.encoding, newline="") as file, _naming_file(self.path):
            self._file = file
            records = Records(file, self._layout, self.dialect.escape)
            try:
                for _ in range(self._layout.lines_above):
                    file.readline()
                yield from self._read_records(records)
            except UnicodeError:
                raise explain_bytes(self.path, self.dialect.encoding) from None
            finally:
                self._bytes_read, self._file = self.bytes_read, None

    def _read_records(self, records: Records) -> Iterator[Member | IdentityRow | RejectedRow]:
        width = len(self.columns)
        for cells in records:
            if isinstance(cells, RejectedRow):
                yield cells
                continue
            fault = None if len(cells) == width else self._fault_of_width(cells, records)
            if records.is_doubtful and fault is None:
                fault = records.why_doubtful(is_whole=len(cells) in self._layout.whole_widths)
            if fault is None:
                named = self._member_in(cells, records)
                if not isinstance(named, RowFault):
                    yield named
                    continue
                fault = named
            if any(cell.strip() for cell in cells):
                yield RejectedRow.because(fault, records.line, records.text)

    def _member_in(self, cells: list[str], records: Records) -> Member | IdentityRow | RowFault:
        """Return the profile id of a record, its identity where that is empty, or why it names nobody."""
        column = self._layout.column
        named: str | RowFault = _NO_PROFILE_ID
        if column is not None and column < len(cells):
            named = read_id(cells[column], self._header, any_id=self._any_id)
        if isinstance(named, str):
            fault = WORD_FOR_NOTHING if self._is_escaped_nothing(named, records) else self._fault_of(named)
            return fault or named
        if named.reason is not RejectReason.NO_ID or self._layout.identity is None:
            return named
        return self._read_identity(cells, self._layout.identity, records)

    def _read_identity(self, cells: list[str], indices: tuple[int, int], records: Records) -> IdentityRow | RowFault:
        parts: list[str] = []
        for name, index in zip(IDENTITY, indices, strict=True):
            part = read_identity_part(cells[index] if index < len(cells) else "", name, any_id=self._any_id)
            if isinstance(part, RowFault):
                both_empty = part.reason is RejectReason.NO_ID and self._layout.column is not None
                return RowFault(RejectReason.NO_ID, f"{PROFILE_ID} and {name} are empty") if both_empty else part
            if self._is_escaped_nothing(part, records):
                return WORD_FOR_NOTHING
            parts.append(part)
        namespace, identity_id = parts
        return IdentityRow(records.line, namespace, identity_id, records.text[:SHOWN_CHARACTERS])

    def _is_escaped_nothing(self, text: str, records: Records) -> bool:
        r"""Return whether a cell is `\N`, which reads as N where the backslash is the escape."""
        escape = self.dialect.escape
        return escape is not None and text == "N" and not self._any_id and f"{escape}N" in records.text

    def _fault_of_width(self, cells: list[str], records: Records) -> RowFault | None:
        """Explain why a record of more or fewer cells than the header cannot be used.

        Short ones may have the id, and long ones end in empty cells.

        Where another column stands before the id, a longer row may have a delimiter in a value without quotes: then
        another cell stands where the id should.
        """
        width, naming = len(self.columns), self._layout.naming
        if len(cells) <= width:
            last = min(max(indices) for indices in self._layout.ways)
            return (
                None
                if last < len(cells)
                else RowFault(
                    RejectReason.NO_ID, f"it has {len(cells)} columns, and the id stands in column {last + 1}"
                )
            )
        if any(cell.strip() for cell in cells[width:]) or (
            max(naming) >= len(naming) and len(cells) > max(self._layout.whole_widths)
        ):
            records.require_no_escapes()
            return RowFault(
                RejectReason.TOO_MANY_COLUMNS,
                f"it has {len(cells)} columns, the header has {width}: {self._why_many(records.text)}",
            )
        return None

    def _why_many(self, text: str) -> str:
        if "\\" + self.dialect.delimiter in text and self.dialect.escape is None:
            return "is the backslash in it an escape? --escape '\\' reads it"
        return "is a delimiter in a value that is not in quotes?"


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    """Name the file in each UsageError."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _read_sample(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if not file.seekable():
                raise UsageError("it is a pipe, and is read more than once\n  give a file")
            sample = file.read(SAMPLE_BYTES)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}") from None
    if not sample.strip():
        raise UsageError(f"is empty; its first line must name the columns, {PROFILE_ID} among them")
    return sample


def _decode(path: Path, sample: bytes, encoding: str) -> str:
    """Return the text of the file's beginning; a character that the sample cuts is left out."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return decoder.decode(sample, final=len(sample) < SAMPLE_BYTES)
    except UnicodeError:
        raise explain_bytes(path, encoding) from None


def _warnings(sample: bytes, encoding: str | None) -> Iterator[str]:
    if encoding is not None and not codecs.lookup(encoding).name.startswith("utf") and may_be_utf8(sample):
        yield f"the file reads as UTF-8 too: is {encoding} right?"
