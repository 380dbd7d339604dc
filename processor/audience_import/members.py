"""Two sets of profile ids, on disk: who is in the file, and who was a member before.

SQLite keeps them, in a file that goes with the process.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

_CACHE_KIB: Final = 32 * 1024  # of pages in memory; a million ids have as many


class Members:
    """The profiles that enter and leave the audience, until the end of a `with`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file, removed when it is closed
        self._db.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back: who fails begins again
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("CREATE TABLE named (id TEXT PRIMARY KEY, is_known INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID")
        self._db.execute("CREATE TABLE before (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, profile_ids: Iterable[str]) -> None:
        """Add profiles that are in the file."""
        self._db.execute("BEGIN")
        self._many("INSERT OR IGNORE INTO named (id) VALUES (?)", profile_ids)
        self._db.execute("COMMIT")

    def add_known(self, profile_ids: Iterable[str]) -> None:
        """Add profiles that are in the file by an identity, and so are known."""
        self._db.execute("BEGIN")
        self._many("INSERT INTO named VALUES (?, 1) ON CONFLICT DO UPDATE SET is_known = 1", profile_ids)
        self._db.execute("COMMIT")

    def apply_changes(self, changes: Iterable[tuple[str, bool | None]]) -> None:
        """Apply in order who was a member (True), a profile that is none (False), or no profile any more (None)."""
        last = dict(changes)
        self._db.execute("BEGIN")
        self._many(
            "UPDATE named SET is_known = 1 WHERE id = ? AND NOT is_known",
            (each for each, is_member in last.items() if is_member is not None),
        )
        self._many(
            "UPDATE named SET is_known = 0 WHERE id = ? AND is_known",
            (each for each, is_member in last.items() if is_member is None),
        )
        self._many("INSERT OR IGNORE INTO before VALUES (?)", (each for each, is_member in last.items() if is_member))
        self._many("DELETE FROM before WHERE id = ?", (each for each, is_member in last.items() if not is_member))
        self._db.execute("COMMIT")

    def entering(self) -> Iterator[str]:
        """Yield who is in the file, each once."""
        return (profile_id for (profile_id,) in self._db.execute("SELECT id FROM named"))

    def leaving(self) -> Iterator[str]:
        """Yield who was a member, and is not in the file."""
        return (
            profile_id
            for (profile_id,) in self._db.execute("SELECT id FROM before WHERE id NOT IN (SELECT id FROM named)")
        )

    def count_entering(self) -> int:
        """Count the profiles in the file."""
        return self._count("SELECT count(*) FROM named")

    def count_known(self) -> int:
        """Count those in the file that were profiles before."""
        return self._count("SELECT count(*) FROM named WHERE is_known")

    def count_leaving(self) -> int:
        """Count those who were members, and are not in the file."""
        return self._count("SELECT count(*) FROM before WHERE id NOT IN (SELECT id FROM named)")

    def _count(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])

    def _many(self, statement: str, profile_ids: Iterable[str]) -> None:
        rows = ((profile_id,) for profile_id in sorted(profile_ids))  # sorted: a page of the table is touched once
        self._db.executemany(statement, rows)
