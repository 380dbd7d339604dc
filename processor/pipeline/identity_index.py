"""The index of identities of one partition: kept by events, built by chunks where it is not whole (contract M6).

    event on a profile ─► identities that came and went ─► index rows beside the profile's, in its transaction

    the copy says, when the partition is taken over                      what is done, chunk by chunk between events
    nothing, not even a source position                                  COMPLETE at once
    no index: an older version wrote what there is                       BUILDING: every profile is looked at once
    as far as the source position                                        it goes on where it was
    below the source position: somebody applied events without it        CLEARING: its rows go; then BUILDING
    it is switched off, and there are rows                               REMOVING: its rows go; then nothing

While rows go, events take away what they end and write nothing, so nothing is left behind the cleanup, and no row
outlives its profile (F3). While it is built, events write what changes: a row is never false, and whole is what lies
below the cursor. The rows: schemas/wire/identity_index.py.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from schemas.profile import Identities
from schemas.wire.identity_index import (
    IDENTITY,
    INDEX_KEY,
    IndexProgress,
    IndexState,
    decode_progress,
    identity_key,
    identity_value,
)
from schemas.wire.profiles_changelog import PROFILE, decode_row, profile_key

NOBODY: Final[Identities] = {}
_log = structlog.get_logger(__name__)

IndexRows = dict[bytes, bytes | None]
"""Rows to write beside those of profiles; None: the row goes."""


class IndexUpkeep(NamedTuple):
    """The way in which events change the index; `adds` False: they take rows away and write none."""

    adds: bool


def index_changes(key: bytes, before: Identities, after: Identities, index_rows: IndexRows, adds: bool) -> None:
    """Put into `index_rows` what an event on a profile changes in the index."""
    was, now = _pairs(before, after), _pairs(after, before)
    for namespace, identity_id in was - now:
        index_rows[identity_key(namespace, identity_id, key)] = None
    if adds:
        for namespace, identity_id in now - was:
            index_rows[identity_key(namespace, identity_id, key)] = identity_value(namespace)


def _pairs(of: Identities, other: Identities) -> set[tuple[str, str]]:
    """The identities in namespaces that are not the same object in the other."""
    return {
        (namespace, identity["id"])
        for namespace, identities in of.items()
        if other.get(namespace) is not identities
        for identity in identities
    }


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Settings of the index; not `enabled`, what there is of it goes.

    The other settings bound a slice, which takes about a millisecond, and a chunk. `live_chunk_rows`: while events
    come, they wait for a chunk that is being committed.
    """

    enabled: bool = True
    slice_profiles: int = 100
    slice_rows: int = 1_000
    chunk_profiles: int = 20_000
    chunk_rows: int = 5_000
    live_chunk_rows: int = 500


class IdentityIndex:
    """Belongs to the loop that decides the partition.

    `progress`: as decided; None: there is no index, and no row of one.
    """

    def __init__(self, rows: ProfileRows, profiles: Profiles, settings: IndexSettings) -> None:
        self._rows, self._profiles, self._settings = rows, profiles, settings
        self._cleaned = b""  # rows up to and with this one are gone
        self.progress = self._begin()

    def _begin(self) -> IndexProgress | None:
        (stored,) = self._rows.get_many([INDEX_KEY])
        has_rows = stored is not None or self._has_any(IDENTITY)
        known, position = decode_progress(stored), self._rows.source_position
        if not self._settings.enabled:
            return IndexProgress(IndexState.REMOVING) if has_rows else None
        if not has_rows:
            return IndexProgress(
                IndexState.BUILDING if position is not None or self._has_any(PROFILE) else IndexState.COMPLETE
            )
        if (
            known is None
            or known.state is IndexState.REMOVING
            or position is None
            or known.next_offset < position.next_offset
        ):
            return IndexProgress(IndexState.CLEARING)
        return known

    def _has_any(self, prefix: bytes) -> bool:
        with closing(self._rows.scan_from(prefix)) as found:
            return next(found, None) is not None

    @property
    def upkeep(self) -> IndexUpkeep | None:
        """Return how applied events change the index; None: there is none."""
        if self.progress is None:
            return None
        return IndexUpkeep(self.progress.state in (IndexState.BUILDING, IndexState.COMPLETE))

    @property
    def has_work(self) -> bool:
        """Return whether there is a chunk to do."""
        return self.progress is not None and self.progress.state is not IndexState.COMPLETE

    def new_chunk(self, *, events_come: bool) -> "IndexChunk":
        """Return a chunk with nothing in it."""
        settings = self._settings
        return IndexChunk(settings.chunk_profiles, settings.live_chunk_rows if events_come else settings.chunk_rows)

    def do_slice(self, chunk: "IndexChunk") -> None:
        """Do a slice of a chunk: about a millisecond."""
        assert self.progress is not None
        if self.progress.state is IndexState.BUILDING:
            self._build(chunk, self.progress)
        else:
            self._clean_up(chunk, self.progress)

    def _build(self, chunk: "IndexChunk", progress: IndexProgress) -> None:
        looked, last, ended = 0, profile_key(progress.cursor.encode()), False
        with closing(self._rows.scan_from(PROFILE, last)) as stored:
            for last, on_disk in stored:  # where it ended is needed below
                looked += 1
                value = self._profiles.newest(last, on_disk)
                if value is not None:
                    index_changes(last[len(PROFILE) :], NOBODY, decode_row(value).profile.identities, chunk.rows, True)
                if looked >= self._settings.slice_profiles or len(chunk.rows) >= chunk.most_rows:
                    break
            else:
                ended = True
        chunk.looked += looked
        seen = progress.seen + looked
        if ended:
            self._end(chunk, IndexProgress(IndexState.COMPLETE, seen=seen))
        else:
            self.progress = progress._replace(cursor=last[len(PROFILE) :].decode(), seen=seen)

    def _clean_up(self, chunk: "IndexChunk", progress: IndexProgress) -> None:
        """Take away the next rows.

        Each slice begins where the last one ended: RocksDB would step over all that is removed and not compacted yet.
        """
        cleaned = 0
        with closing(self._rows.scan_from(IDENTITY, self._cleaned)) as stored:
            for key, _ in stored:
                chunk.rows[key], self._cleaned = None, key
                cleaned += 1
                if cleaned >= self._settings.slice_rows or len(chunk.rows) >= chunk.most_rows:
                    return
        self._end(chunk, IndexProgress(IndexState.BUILDING) if progress.state is IndexState.CLEARING else None)

    def _end(self, chunk: "IndexChunk", progress: IndexProgress | None) -> None:
        chunk.ended, self.progress = True, progress
        if progress is None:
            chunk.rows[INDEX_KEY] = None
        _log.info(
            "identity_index",
            state="off" if progress is None else progress.state.value,
            profiles=None if progress is None else progress.seen,
        )


class IndexChunk:
    """One chunk of work on the index: bounded, so that events wait for milliseconds, and a crash repeats little."""

    def __init__(self, most_profiles: int, most_rows: int) -> None:
        self.most_profiles, self.most_rows = most_profiles, most_rows
        self.rows: IndexRows = {}
        self.looked = 0
        self.ended = False

    @property
    def is_full(self) -> bool:
        """Return whether the chunk is to be committed before more is done."""
        return self.ended or self.looked >= self.most_profiles or len(self.rows) >= self.most_rows
