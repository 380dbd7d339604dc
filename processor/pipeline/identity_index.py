"""The index of identities of one partition: kept by events, built by pages where it is not whole (contract M6; rows:
schemas/wire/identity_index.py).

    event on a profile ─► identities that came and went ─► rows beside the profile's, in its transaction

    the copy says, when the partition is taken over                      what is done, page by page between events
    nothing, not even a watermark                                        COMPLETE at once
    no index: an older version wrote what there is                       BUILDING: every profile is looked at once
    as far as the watermark                                              it goes on where it was
    below the watermark: somebody applied events without it              CLEARING: its rows go; then BUILDING
    it is switched off, and there are rows                               REMOVING: its rows go; then nothing

While rows go, events take away what they end and write nothing, so nothing is left behind the sweep, and no row
outlives its profile (F3). While it is built, events write what changes: a row is never false, and whole is what lies
below the cursor.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import Final

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

Beside = dict[bytes, bytes | None]
"""Rows to write beside those of profiles."""


def index_changes(key: bytes, before: Identities, after: Identities, beside: Beside, adds: bool) -> None:
    """Put into `beside` what an event on a profile changes in the index."""
    was, now = _pairs(before, after), _pairs(after, before)
    for namespace, identity_id in was - now:
        beside[identity_key(namespace, identity_id, key)] = None
    if adds:
        for namespace, identity_id in now - was:
            beside[identity_key(namespace, identity_id, key)] = identity_value(namespace)


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
    """`enabled`: keep the index; off, what there is of it goes.

    The others bound a piece of work, about a millisecond, and a page.

    `live_page_rows`: while events come, they wait for a page that is being committed.
    """

    enabled: bool = True
    slice_profiles: int = 100
    slice_rows: int = 1_000
    page_profiles: int = 20_000
    page_rows: int = 5_000
    live_page_rows: int = 500


class IdentityIndex:
    """Belongs to the loop that decides the partition.

    `progress`: as decided; None: there is no index, and no row of one.
    """

    def __init__(self, rows: ProfileRows, profiles: Profiles, settings: IndexSettings) -> None:
        self._rows, self._profiles, self._settings = rows, profiles, settings
        self._swept = b""  # rows up to and with this one are gone
        self.progress = self._begin()

    def _begin(self) -> IndexProgress | None:
        (stored,) = self._rows.get_many([INDEX_KEY])
        has_rows = stored is not None or self._has_any(IDENTITY)
        known, watermark = decode_progress(stored), self._rows.source_position
        if not self._settings.enabled:
            return IndexProgress(IndexState.REMOVING) if has_rows else None
        if not has_rows:
            return IndexProgress(
                IndexState.BUILDING if watermark is not None or self._has_any(PROFILE) else IndexState.COMPLETE
            )
        if (
            known is None
            or known.state is IndexState.REMOVING
            or watermark is None
            or known.next_offset < watermark.next_offset
        ):
            return IndexProgress(IndexState.CLEARING)
        return known

    def _has_any(self, prefix: bytes) -> bool:
        with closing(self._rows.scan_from(prefix)) as found:
            return next(found, None) is not None

    @property
    def is_kept(self) -> bool:
        """Whether `note` must be called for applied events."""
        return self.progress is not None

    @property
    def has_work(self) -> bool:
        """Whether there is a page to do."""
        return self.progress is not None and self.progress.state is not IndexState.COMPLETE

    def note(self, key: bytes, before: Identities, after: Identities, beside: Beside) -> None:
        """An event was applied to a profile and changed its identities: put into `beside` what that changes.

        An absent profile has none.
        """
        index_changes(key, before, after, beside, self._adds)

    @property
    def _adds(self) -> bool:
        return self.progress is not None and self.progress.state in (IndexState.BUILDING, IndexState.COMPLETE)

    def new_page(self, *, events_come: bool) -> "IndexPage":
        """A page with nothing in it."""
        settings = self._settings
        return IndexPage(settings.page_profiles, settings.live_page_rows if events_come else settings.page_rows)

    def slice(self, page: "IndexPage") -> None:
        """Do a piece of a page: about a millisecond."""
        assert self.progress is not None
        if self.progress.state is IndexState.BUILDING:
            self._build(page, self.progress)
        else:
            self._sweep(page, self.progress)

    def _build(self, page: "IndexPage", progress: IndexProgress) -> None:
        looked, last, ended = 0, profile_key(progress.cursor.encode()), False
        with closing(self._rows.scan_from(PROFILE, last)) as stored:
            for last, on_disk in stored:  # where it ended is needed below
                looked += 1
                value = self._profiles.newest(last, on_disk)
                if value is not None:
                    index_changes(last[len(PROFILE) :], NOBODY, decode_row(value).profile.identities, page.rows, True)
                if looked >= self._settings.slice_profiles or len(page.rows) >= page.most_rows:
                    break
            else:
                ended = True
        page.looked += looked
        seen = progress.seen + looked
        if ended:
            self._end(page, IndexProgress(IndexState.COMPLETE, seen=seen))
        else:
            self.progress = progress._replace(cursor=last[len(PROFILE) :].decode(), seen=seen)

    def _sweep(self, page: "IndexPage", progress: IndexProgress) -> None:
        """Each piece begins where the last one ended: RocksDB would step over all that is removed and not compacted
        yet.
        """
        swept = 0
        with closing(self._rows.scan_from(IDENTITY, self._swept)) as stored:
            for key, _ in stored:
                page.rows[key], self._swept = None, key
                swept += 1
                if swept >= self._settings.slice_rows or len(page.rows) >= page.most_rows:
                    return
        self._end(page, IndexProgress(IndexState.BUILDING) if progress.state is IndexState.CLEARING else None)

    def _end(self, page: "IndexPage", progress: IndexProgress | None) -> None:
        page.ended, self.progress = True, progress
        if progress is None:
            page.rows[INDEX_KEY] = None
        _log.info(
            "identity_index",
            state="off" if progress is None else progress.state.value,
            profiles=None if progress is None else progress.seen,
        )


class IndexPage:
    """One piece of work on the index: bounded, so that what comes meanwhile waits for milliseconds, and a crash repeats
    little.
    """

    def __init__(self, most_profiles: int, most_rows: int) -> None:
        self.most_profiles, self.most_rows = most_profiles, most_rows
        self.rows: Beside = {}
        self.looked = 0
        self.ended = False

    @property
    def is_full(self) -> bool:
        """Whether it is to be committed before more is done."""
        return self.ended or self.looked >= self.most_profiles or len(self.rows) >= self.most_rows
