"""Files of audiences that a test makes, and what is read from them."""

from pathlib import Path

from processor.audience_import.rejected import RejectedRow, RejectReason
from processor.audience_import.rows import ReadOptions, Rows

AS_IT_IS = ReadOptions()


def rows_of(folder: Path, content: str | bytes, options: ReadOptions = AS_IT_IS) -> Rows:
    file = folder / "members.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Rows(file, options)


def read(
    folder: Path, content: str | bytes, options: ReadOptions = AS_IT_IS
) -> tuple[list[str], list[tuple[int, RejectReason]]]:
    """(the members, the rejected rows by line and reason)."""
    found = list(rows_of(folder, content, options))
    members = [row for row in found if isinstance(row, str)]
    return members, [(row.line, row.reason) for row in found if isinstance(row, RejectedRow)]
