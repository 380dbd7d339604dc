"""The profiles of one partition as of the newest decided event: on disk, cached, or decided and not yet committed.

    load ─► decided on top? ── yes ─► that row, decoded
               │ no
            cached row? ── yes ─► decoded
               │ no
            ProfileRows.get_many

Rows are kept as bytes, also those that are decided and not committed: the memory is what the setting says, the
collector has nothing to walk, and a decoded profile (4 to 5 KB in some forty objects) dies while it is still in the
processor's cache. Decoding one again costs no more than a miss of that cache (measured: 15.3 against 14.3 µs an
event).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final

from processor.pipeline.ports import ProfileRows
from schemas.wire.profiles_changelog import PROFILE, Row, decode_row, encode_row, profile_key

_PROFILE: Final = PROFILE[0]

_Decided = tuple[int, bytes | None]
"""(sequence, the row as it will be stored); None: the profile ended."""


class Profiles:
    """Profiles by id, with what is decided on top of the disk; what was put last is what `load` gives.

    `sequence` numbers rise with every call of `put`.
    """

    def __init__(self, rows: ProfileRows, cache_bytes: int) -> None:
        self._rows = rows
        self._decided: dict[bytes, _Decided] = {}
        self._cache = _RowCache(cache_bytes)

    def load(self, keys: Iterable[bytes]) -> dict[bytes, Row | None]:
        """Return the newest row of each profile id; None: there is no such profile. Raise UnreadableRow."""
        loaded: dict[bytes, Row | None] = {}
        missing: list[bytes] = []
        decided, cached = self._decided, self._cache
        for key in keys:
            stored_key = profile_key(key)
            if stored_key in decided:
                value = decided[stored_key][1]
                loaded[key] = None if value is None else decode_row(value)
            elif (value := cached.get(stored_key)) is not None:
                loaded[key] = decode_row(value)
            else:
                missing.append(stored_key)
        if missing:
            for stored_key, value in zip(missing, self._rows.get_many(missing), strict=True):
                loaded[stored_key[1:]] = None if value is None else decode_row(value)
        return loaded

    def is_empty(self) -> bool:
        """Return whether there is no profile, neither on disk nor decided."""
        with closing(self._rows.scan_from(PROFILE)) as rows:
            return not self._decided and next(rows, None) is None

    def newest(self, stored_key: bytes, on_disk: bytes | None) -> bytes | None:
        """Return the newest value of a row, of whatever kind, that is `on_disk` on disk."""
        newest = self._decided.get(stored_key)
        return on_disk if newest is None else newest[1]

    def value(self, stored_key: bytes) -> bytes | None:
        """Return the newest value of a row, of whatever kind."""
        newest = self._decided.get(stored_key)
        return self._rows.get_many([stored_key])[0] if newest is None else newest[1]

    def decided_keys(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys of a kind of rows that are decided and not on disk yet, but removals."""
        return (key for key, (_, value) in self._decided.items() if value is not None and key.startswith(prefix))

    def put(
        self,
        sequence: int,
        changed: Mapping[bytes, Row | None],
        index_rows: Mapping[bytes, bytes | None],
        *,
        profiles_first: bool = False,
    ) -> dict[bytes, bytes | None]:
        """Note decided profiles (None: ended) and their index rows; return all rows as they are to be written.

        The rows are in the order in which a log without transactions may tear (docs/architecture.md): an event that is
        decided again is passed over where the profile's row has it already, so its index rows come before.
        `profiles_first`: no event made the profiles' rows.
        """
        rows: dict[bytes, bytes | None] = {} if profiles_first else dict(index_rows)
        for key, row in changed.items():
            rows[profile_key(key)] = (
                None if row is None else encode_row(row.profile, row.offset, row.deadline, row.announced)
            )
        if profiles_first:
            rows.update(index_rows)
        decided = self._decided
        for stored_key, value in rows.items():
            decided[stored_key] = (sequence, value)
        return rows

    def applied(self, sequence: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Forget what was put up to `sequence`: it is on disk now, as `rows` (the source position's among them)."""
        decided, cached = self._decided, self._cache
        for stored_key, value in rows.items():
            newest = decided.get(stored_key)
            if newest is None:
                continue  # the source position's row, or a job's
            if newest[0] <= sequence:
                del decided[stored_key]
            if stored_key[0] == _PROFILE:
                cached.put(stored_key, value)


class _RowCache:
    """Rows by stored key, at most `limit_bytes` of keys and values.

    Two generations in plain dicts: what is written goes into the young one; when that holds half of the limit it
    becomes the old one, and what the old one held is dropped. What is read is nearly always written soon after, so
    reading moves nothing.

    It keeps copies: orjson makes a row in a buffer of kilobytes, and the rest of that stays unused beside a row that is
    kept (measured: 400,000 rows of 190 bytes took 1,440 MB of memory; as copies 120, and 10 % less time).
    """

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0

    def get(self, key: bytes) -> bytes | None:
        value = self._young.get(key)
        return value if value is not None else self._old.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        young = self._young
        before = young.get(key)
        if before is not None:
            self._young_bytes -= len(key) + len(before)
        if value is None:
            young.pop(key, None)
            self._old.pop(key, None)
            return
        young[key] = bytes(memoryview(value))
        self._young_bytes += len(key) + len(value)
        if self._young_bytes > self._half:
            self._old, self._young, self._young_bytes = young, {}, 0
