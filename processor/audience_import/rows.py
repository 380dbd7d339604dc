"""The rows of a CSV file as people make them: encoding and delimiter are found, what cannot be used is told with its line."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from charset_normalizer import from_bytes

from processor.audience_import.identities import Identity
from processor.errors import UsageError

SAMPLE_BYTES: Final = 256 * 1024
SHOWN_CHARACTERS: Final = 1_000  # of a rejected row
DELIMITERS: Final = ",;\t|"
PROFILE_ID: Final = "profileId"
IDENTITY: Final = ("namespace", "id")
MAX_ID_BYTES: Final = 512  # contract 1: of a key
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Dialect(NamedTuple):
    """How the file is written."""

    encoding: str
    delimiter: str


class Rejected(NamedTuple):
    """A row that is no member: its line in the file (from 1), why, and its text."""

    line: int
    reason: str
    row: str


class Rows:
    """The rows of one file. `bytes_read` grows while they are read."""

    def __init__(self, path: Path, encoding: str | None = None, delimiter: str | None = None) -> None:
        """Raises UsageError for a file that cannot be read, or whose header does not fit."""
        sample = _sample(path)
        self.path = path
        _require_known(path, encoding, delimiter)
        self.dialect = Dialect(encoding or _encoding(sample, path), delimiter or "")
        self.dialect = self.dialect._replace(delimiter=delimiter or _delimiter(sample, self.dialect.encoding))
        self.bytes_read = 0
        with self._open() as file:
            self.columns = [name.strip() for name in self._next(self._reader(file)) or []]
        self._column, self._identity = _columns(self.columns, path)
        used = {self._column, *(self._identity or ())}
        self.ignored = [name for index, name in enumerate(self.columns) if index not in used]

    @property
    def names_identities(self) -> bool:
        """Whether rows may name a member by an identity."""
        return self._identity is not None

    def __iter__(self) -> Iterator[str | Identity | Rejected]:
        """Each member's profile id, or the identity that names it, or why a row is none; blank lines are passed over.

        Where a row has both, its profile id wins.

        Raises UsageError where the file is no CSV any more: a quote that is never closed would swallow whoever follows.
        """
        with self._open() as file:
            reader = self._reader(file)
            self._next(reader)
            while (row := self._next(reader)) is not None:
                self.bytes_read = file.buffer.tell()
                if any(cell.strip() for cell in row):
                    yield self._read(row, reader.line_num)

    def _next(self, reader: Any) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            raise UsageError(f"{self.path}: line {reader.line_num}: {error}: is a quote not closed? Nothing of the file is used") from None
        except UnicodeError:
            what = f"after line {reader.line_num} it is not {self.dialect.encoding}"
            raise UsageError(f"{self.path}: {what}; name its encoding with --encoding") from None

    def _read(self, row: list[str], line: int) -> str | Identity | Rejected:
        text = self.dialect.delimiter.join(row)[:SHOWN_CHARACTERS]
        if len(row) != len(self.columns):
            return Rejected(line, f"it has {len(row)} columns, the header has {len(self.columns)}", text)
        profile_id = "" if self._column is None else row[self._column].strip()
        if not profile_id and self._identity is not None:
            return self._read_identity(row, line, text)
        if not profile_id:
            return Rejected(line, f"{PROFILE_ID} is empty", text)
        try:
            size = len(profile_id.encode())
        except UnicodeEncodeError:
            return Rejected(line, f"it is not {self.dialect.encoding}", text)
        if size > MAX_ID_BYTES:
            return Rejected(line, f"{PROFILE_ID} has {size} bytes, {MAX_ID_BYTES} are allowed", text)
        return profile_id

    def _read_identity(self, row: list[str], line: int, text: str) -> Identity | Rejected:
        assert self._identity is not None
        namespace, identity_id = (row[column].strip() for column in self._identity)
        for name, cell in zip(IDENTITY, (namespace, identity_id), strict=True):
            if not cell:
                return Rejected(line, f"{name} is empty" if self._column is None else f"{PROFILE_ID} and {name} are empty", text)
            try:
                cell.encode()
            except UnicodeEncodeError:
                return Rejected(line, f"it is not {self.dialect.encoding}", text)
        return Identity(line, namespace, identity_id, text)

    def _open(self) -> TextIO:
        return self.path.open(encoding=self.dialect.encoding, errors="surrogateescape", newline="")

    def _reader(self, file: TextIO) -> Any:
        return csv.reader(file, delimiter=self.dialect.delimiter, strict=True)


def _require_known(path: Path, encoding: str | None, delimiter: str | None) -> None:
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"{path}: the delimiter {delimiter!r} is not one character")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise UsageError(f"{path}: the encoding {encoding} is not known; as utf-8, windows-1252, utf-16") from None


def _sample(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if not sample.strip():
        raise UsageError(f"{path}: is empty; its first line must name the columns, {PROFILE_ID} among them")
    return sample


def _encoding(sample: bytes, path: Path) -> str:
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    whole = sample if len(sample) < SAMPLE_BYTES else sample[: sample.rfind(b"\n") + 1]
    try:
        whole.decode()
    except UnicodeDecodeError:
        best = from_bytes(whole).best()
        if best is None:
            raise UsageError(f"{path}: its encoding cannot be found; name it with --encoding") from None
        return best.encoding
    return "utf-8"


def _delimiter(sample: bytes, encoding: str) -> str:
    """Of the header: of the delimiters in it the one that stands there most often; a comma where it is one column."""
    header = sample.decode(encoding, errors="replace").lstrip("\ufeff").partition("\n")[0]
    return max(DELIMITERS, key=lambda delimiter: (header.count(delimiter), delimiter == ","))


def _columns(columns: list[str], path: Path) -> tuple[int | None, tuple[int, int] | None]:
    """Where the profile id stands, and where namespace and id of an identity do; one of them at least."""
    lower = [name.lower() for name in columns]
    column = lower.index(PROFILE_ID.lower()) if PROFILE_ID.lower() in lower else None
    identity = (lower.index(IDENTITY[0]), lower.index(IDENTITY[1])) if all(name in lower for name in IDENTITY) else None
    if column is None and identity is None:
        named = ", ".join(columns) or "nothing"
        raise UsageError(f"{path}: its header has no column {PROFILE_ID}, but: {named}; columns {' and '.join(IDENTITY)} would do as well")
    return column, identity
