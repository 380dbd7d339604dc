"""The index of deadlines of one partition: where each profile stands in it, and what is due (contract F5).

A profile stands in the index at its earliest deadline, or before it: a deadline that moves away, as most do, moves
nothing; one that comes nearer is written. When its moment comes the profile is looked at, and its events are written to
the log, or it is moved on. So what an event costs is a look at the entries that it changed, and nobody ever looks for
deadlines among all profiles.

    an event changes the profile   ─► it stands in the index at its earliest deadline, or before it
    that moment comes              ─► membership.expired goes to profile-events, and the profile far back in the index:
                                      one transaction, so once a deadline, whatever crashes
    membership.expired is applied  ─► it stands in the index at its next deadline
"""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from processor.core.expiry import expiries, new_deadline, next_deadline
from processor.core.step import Step
from processor.foundation.clocks import Clock, WallClock
from processor.pipeline.ports import ProfileRows
from processor.pipeline.profiles import Profiles
from processor.pipeline.work_unit import NEVER
from schemas.kafka import ProducerRecord
from schemas.profile import Profile
from schemas.times import format_time, plus_days
from schemas.wire.profiles_changelog import DEADLINE, DEADLINE_CHARACTERS, Row, deadline_key

CHUNK_PROFILES: Final = 100
"""Profiles that are looked at in one chunk: after days of downtime there may be millions, and live events go between.
"""
_STANDS: Final = b"1"
_PROFILE_ID: Final = len(DEADLINE) + DEADLINE_CHARACTERS

IndexRows = dict[bytes, bytes | None]
"""Rows to write beside those of profiles; None: the row goes."""


def next_row(key: bytes, before: Row | None, step: Step, offset: int, index_rows: IndexRows) -> Row | None:
    """Return the row of a profile after an applied event; put into `index_rows` what the event changes in the index."""
    profile = step.profile
    if profile is None:
        if before is not None and before.deadline:
            index_rows[deadline_key(before.deadline, key)] = None
        return None
    if before is None:
        return _placed(key, profile, offset, "", next_deadline(profile), index_rows)
    if before.announced:
        if step.expired < before.announced:
            return Row(profile, offset, before.deadline, before.announced)
        return _placed(key, profile, offset, before.deadline, next_deadline(profile), index_rows)
    was, now = before.deadline, new_deadline(before.profile, profile)
    if not now or (was and was <= now):
        return Row(profile, offset, was, "")
    return _placed(key, profile, offset, was, now, index_rows)


def _placed(key: bytes, profile: Profile, offset: int, was: str, now: str, index_rows: IndexRows) -> Row:
    """Return the row at another place in the index, and put into `index_rows` the old and the new place."""
    if was:
        index_rows[deadline_key(was, key)] = None
    if now:
        index_rows[deadline_key(now, key)] = _STANDS
    return Row(profile, offset, now, "")


@dataclass(frozen=True, slots=True)
class DeadlineSettings:
    """Settings of memberships that end by themselves; not `enabled`, no events are written, the index is kept.

    `wall_clock` is the time by which they end. `look_seconds`: how often an owner looks for what is due, so an event is
    on the log within seconds of its deadline. After `again_days` a written event that is not applied yet is written
    again: it is gone from the log (Kafka's `retention.ms`), and somebody accepted that it is. Of two of them, the
    second finds nothing to end.
    """

    enabled: bool = False
    wall_clock: WallClock = time.time
    look_seconds: float = 5.0
    again_days: int = 7


@dataclass(frozen=True, slots=True)
class Due:
    """The outcome of a look at what is due: events, the changed rows of profiles, the changes of the index."""

    events: list[ProducerRecord]
    profiles: dict[bytes, Row | None]
    index_rows: IndexRows


class Deadlines:
    """The index of deadlines of one partition; belongs to the loop that decides it. `next_at`: when to look again.

    `_low`: nothing stands in the index at or below it, neither on disk nor decided. A look begins there: RocksDB steps
    over every entry that was removed and is not compacted yet (measured: 100 profiles a look, 300,000 due, from 1.6 to
    90 ms a look otherwise).
    """

    def __init__(self, rows: ProfileRows, profiles: Profiles, settings: DeadlineSettings, clock: Clock) -> None:
        self._rows, self._profiles, self._settings, self._clock = rows, profiles, settings, clock
        self.next_at = clock() if settings.enabled else NEVER
        self._low = b""

    def note_rows(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Take notice of decided rows: entries among them may stand lower than any before."""
        for key, value in rows.items():
            if key <= self._low and value is not None and key.startswith(DEADLINE):
                self._low = key[:_PROFILE_ID]

    def take_due(self) -> Due:
        """Return what is due now, of some profiles; the caller commits it before it calls again."""
        now = format_time(int(self._settings.wall_clock()))
        due, looked, low = Due([], {}, {}), 0, deadline_key(now, b"")
        with closing(self._rows.scan_from(DEADLINE, self._low)) as index:
            for place, on_disk in index:
                if place[len(DEADLINE) : _PROFILE_ID].decode() > now:
                    low = place[:_PROFILE_ID]
                    break
                if looked >= CHUNK_PROFILES:
                    break
                if self._profiles.newest(place, on_disk) is not None:
                    self._look(place, now, due)
                    looked += 1
                low = place
        self._low = min([low, *(place[:_PROFILE_ID] for place in self._profiles.decided_keys(DEADLINE))])
        if looked < CHUNK_PROFILES:
            self.next_at = self._clock() + self._settings.look_seconds
        self.note_rows(due.index_rows)
        return due

    def _look(self, place: bytes, now: str, due: Due) -> None:
        key = place[_PROFILE_ID:]
        row = self._profiles.load([key])[key]
        due.index_rows[place] = None
        if row is None or deadline_key(row.deadline, key) != place:
            return  # it moved, and this is what it left behind
        events, last = expiries(key.decode(), row.profile, now)
        due.events.extend(ProducerRecord(key, event) for event in events)
        stands = plus_days(now, self._settings.again_days) if events else next_deadline(row.profile)
        if stands:
            due.index_rows[deadline_key(stands, key)] = _STANDS
        due.profiles[key] = Row(row.profile, row.offset, stands, last)
