"""Two sets of profile ids, on disk: who is in the file, and who was a member before. SQLite, in a file that goes with the process."""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self


class Members:
    """Until the end of a `with`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file, removed when it is closed
        for table in ("named", "known"):
            self._db.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._db.close()

    def name(self, profile_ids: Iterable[str]) -> None:
        """These are in the file."""
        self._many("INSERT OR IGNORE INTO named VALUES (?)", profile_ids)

    def note(self, changes: Iterable[tuple[str, bool]]) -> None:
        """In this order: who was a member, or was not any more."""
        self._db.execute("BEGIN")
        for profile_id, is_member in changes:
            statement = "INSERT OR IGNORE INTO known VALUES (?)" if is_member else "DELETE FROM known WHERE id = ?"
            self._db.execute(statement, (profile_id,))
        self._db.execute("COMMIT")

    def named(self) -> Iterator[str]:
        """Who is in the file, each once."""
        return (profile_id for (profile_id,) in self._db.execute("SELECT id FROM named"))

    def gone(self) -> Iterator[str]:
        """Who was a member, and is not in the file."""
        return (profile_id for (profile_id,) in self._db.execute("SELECT id FROM known WHERE id NOT IN (SELECT id FROM named)"))

    def count_named(self) -> int:
        """How many are in the file."""
        return int(self._db.execute("SELECT count(*) FROM named").fetchone()[0])

    def count_gone(self) -> int:
        """How many are not in it any more."""
        return int(self._db.execute("SELECT count(*) FROM known WHERE id NOT IN (SELECT id FROM named)").fetchone()[0])

    def _many(self, statement: str, profile_ids: Iterable[str]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(statement, ((profile_id,) for profile_id in profile_ids))
        self._db.execute("COMMIT")
