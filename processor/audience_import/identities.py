"""Find whose the identities of a file are, by the index of identities in the changelog. On disk, as `Members`.

    file ─► add_rows ─► asked: a row of the file each                  ─► profile ids, where exactly one profile has it
    changelog ─► read_record ─► owners of the ids asked for, in any    ─► RejectedRow, with the reason, where none
                                namespace                                 or several have

Namespaces are compared as they are stored. One that differs only in case is no match, and is named in the reason.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from processor.audience_import.identity_index import IdentityChange, IdentityRows
from processor.audience_import.rejected import RejectedRow, RejectReason, RowFault
from schemas.kafka import ReadRecord
from schemas.wire.identity_index import hash_id, hash_namespace

SHOWN_CHARACTERS: Final = 200  # of an identity, in a reason
_BATCH: Final = 10_000

_TABLES: Final = """
    CREATE TABLE asked (id_hash BLOB, line INTEGER, namespace_hash BLOB, namespace TEXT, id TEXT, row TEXT,
        PRIMARY KEY (id_hash, line))
    WITHOUT ROWID;
    CREATE TABLE owners (id_hash BLOB, namespace_hash BLOB, partition INTEGER, profile TEXT, namespace TEXT,
    PRIMARY KEY (id_hash, namespace_hash, partition, profile)) WITHOUT ROWID;
    CREATE TABLE owned (id_hash BLOB, namespace_hash BLOB, namespace TEXT, profiles INTEGER, first TEXT, last TEXT,
        partitions TEXT,
    PRIMARY KEY (id_hash, namespace_hash)) WITHOUT ROWID;
"""
_OWNS: Final = (
    "INSERT OR REPLACE INTO owners SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM asked WHERE id_hash = ?1)"
)
_OWNS_NO_MORE: Final = (
    "DELETE FROM owners WHERE id_hash = ?1 AND namespace_hash = ?2 AND partition = ?3 AND profile = ?4"
)
_COUNT_OWNERS: Final = """
    INSERT INTO owned SELECT id_hash, namespace_hash, min(namespace), count(DISTINCT profile), min(profile),
        max(profile),
    group_concat(DISTINCT partition)
    FROM owners GROUP BY id_hash, namespace_hash
"""
_FOUND: Final = """
    SELECT line, asked.namespace, id, asked.id_hash, row, coalesce(profiles, 0), first, last, partitions
    FROM asked LEFT JOIN owned ON owned.id_hash = asked.id_hash AND owned.namespace_hash = asked.namespace_hash
    ORDER BY line
"""
_ELSEWHERE: Final = "SELECT namespace, first FROM owned WHERE id_hash = ?"


class IdentityRow(NamedTuple):
    """A row that names a member by an identity: its line in the file (from 1), namespace and id, and its text."""

    line: int
    namespace: str
    id: str
    row: str


class FoundProfile(NamedTuple):
    """A row whose identity leads to one profile: line, profile, the partitions where the index has it, and text."""

    line: int
    profile_id: str
    partitions: frozenset[int]
    row: str


class Identities:
    """The identities of a file and their owners, until the end of a `with`; `asked` rows name an identity."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file, removed when it is closed
        self._db.executescript(_TABLES)
        self._rows = IdentityRows()
        self._changes: list[IdentityChange] = []
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add_rows(self, identities: Iterable[IdentityRow]) -> None:
        """Add rows of the file that name an identity."""
        rows = [
            (hash_id(each.id), each.line, hash_namespace(each.namespace), each.namespace, each.id, each.row)
            for each in identities
        ]
        self._in_one_go(lambda: self._db.executemany("INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?)", rows))
        self.asked += len(rows)

    def read_record(self, record: ReadRecord) -> None:
        """Read a record of the changelog, in the order of its partition. Raises UnreadableRow."""
        change = self._rows.read_record(record)
        if change is not None:
            self._changes.append(change)
            if len(self._changes) >= _BATCH:
                self._write_changes()

    def why_incomplete(self) -> str | None:
        """Explain why the index does not show whose an identity is, with the remedy; None: it does.

        Call it when the changelog is read.
        """
        return self._rows.why_incomplete()

    def find_profiles(self) -> Iterator[FoundProfile | RejectedRow]:
        """Yield the profile of each row, or why it has none, in the order of the file.

        Call it once, when the changelog is read.
        """
        self._write_changes()
        self._in_one_go(lambda: self._db.execute(_COUNT_OWNERS))
        for line, namespace, identity_id, id_hash, row, profiles, first, last, partitions in self._db.execute(_FOUND):
            if profiles == 1:
                yield FoundProfile(line, first, frozenset(map(int, partitions.split(","))), row)
                continue
            what = f"{_short(identity_id)} of the namespace {_short(namespace)}"
            fault = _several(what, profiles, first, last) if profiles else self._no_profile(what, id_hash, namespace)
            yield RejectedRow.because(fault, line, row)

    def _no_profile(self, what: str, id_hash: bytes, namespace: str) -> RowFault:
        elsewhere = self._in_another_case(id_hash, namespace)
        reason = RejectReason.NAMESPACE_CASE if elsewhere else RejectReason.NO_PROFILE
        return RowFault(reason, f"no profile has the identity {what}{elsewhere}")

    def _in_another_case(self, id_hash: bytes, namespace: str) -> str:
        for stored, profile in self._db.execute(_ELSEWHERE, (id_hash,)):
            if stored.casefold() == namespace.casefold():
                return (
                    f"; {profile} has it in {_short(stored)}: write the namespace as it is stored, upper and lower case"
                    " count"
                )
        return ""

    def _write_changes(self) -> None:
        """Write the changes one after the other: of two changes of a row the later counts."""
        self._in_one_go(self._apply_changes)
        self._changes.clear()

    def _apply_changes(self) -> None:
        for change in self._changes:
            self._db.execute(_OWNS if change.namespace is not None else _OWNS_NO_MORE, _columns(change))

    def _in_one_go(self, write: Callable[[], Any]) -> None:
        self._db.execute("BEGIN")
        write()
        self._db.execute("COMMIT")


def _several(what: str, profiles: int, first: str, last: str) -> RowFault:
    more = f" (and {profiles - 2} more)" if profiles > 2 else ""
    return RowFault(
        RejectReason.SEVERAL_PROFILES, f"{profiles} profiles have the identity {what}: {first} and {last}{more}"
    )


def _columns(change: IdentityChange) -> tuple[object, ...]:
    columns = (change.id_hash, change.namespace_hash, change.partition, change.profile_id)
    return columns if change.namespace is None else (*columns, change.namespace)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
