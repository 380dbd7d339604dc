"""Files of audiences that a test makes, and what is read from them."""

from pathlib import Path

from processor.audience_import.rejected import Reason, Rejected
from processor.audience_import.rows import ReadOptions, Rows


def rows_of(folder: Path, content: str | bytes, options: ReadOptions = ReadOptions()) -> Rows:  # noqa: B008  # it never changes
    file = folder / "members.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Rows(file, options)


def read(folder: Path, content: str | bytes, options: ReadOptions = ReadOptions()) -> tuple[list[str], list[tuple[int, Reason]]]:  # noqa: B008
    """(the members, the rejected rows by line and reason)."""
    found = list(rows_of(folder, content, options))
    members = [row for row in found if isinstance(row, str)]
    return members, [(row.line, row.reason) for row in found if isinstance(row, Rejected)]
