"""The file of rejected rows: line, reason, explanation and row, made only where a row is rejected."""

import csv
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from processor.audience_import.rejected import RejectedCounts, RejectedRow
from processor.foundation.errors import UsageError


class RejectedRows:
    """Rows that name no member, until the end of a `with`: counted, and written to a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = ExitStack()
        self._write: Callable[[Iterable[RejectedRow]], None] | None = None
        self.counts = RejectedCounts()

    def add(self, rows: Sequence[RejectedRow]) -> None:
        """Count and write rejected rows. Raises UsageError where they cannot be written."""
        for row in rows:
            self.counts.count(row)
        if rows and self._path is not None:
            self._write = self._write or _open_rejected(self._path, self._stack)
            self._write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _open_rejected(path: Path, stack: ExitStack) -> Callable[[Iterable[RejectedRow]], None]:
    """Begin the file of rejected rows; return what writes some into it."""
    try:
        file = stack.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
    except OSError as error:
        raise UsageError(
            f"{path}: rejected rows cannot be written there: {error.strerror}\n  name another file with --rejected"
        ) from None
    writer = csv.writer(file)
    writer.writerow(RejectedRow._fields)
    return writer.writerows
