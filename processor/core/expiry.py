"""Tell the deadlines of a profile, and make the events that say that memberships ended (F5).

Pure; the clock is whoever asks.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from processor.core.deadline import LAST_TIME, NEVER, deadline_of, has_ended, purge_deadline
from processor.core.fold import fold
from schemas.audience import OWN_NAMESPACE
from schemas.event import Event, EventType, cloud_event
from schemas.profile import EXITED, Document, EntryFields, Memberships, Profile

SOURCE: Final = "/profile-exporter"
_ENOUGH_CHARACTERS: Final = 100_000
"""Of namespaces and audience ids in the events of a profile at a time; a character has 6 bytes at most as JSON, and
Kafka takes 1 MiB.
"""
_NONE_EXITED: Final = EXITED + LAST_TIME  # none was so later
_NO_ENTRIES: Final[dict[str, str]] = {}
_NO_FIELDS: Final[dict[str, Document]] = {}


def next_deadline(profile: Profile) -> str:
    """Return the earliest deadline of a profile in the form of C8; NEVER where it has none."""
    earliest = NEVER
    for namespace, entries in profile.memberships.items():
        fields = profile.entry_fields.get(namespace, _NO_FIELDS)
        for audience, entry in entries.items():
            deadline = deadline_of(namespace, entry, fields.get(audience))
            if deadline and (not earliest or deadline < earliest):
                earliest = deadline
    return earliest


def new_deadline(before: Profile | None, after: Profile) -> str:
    """Return the earliest deadline that an event made.

    It is of entries that are new or different, or of all where the event changed what they hold.
    """
    if before is None or after.entry_fields is not before.entry_fields:
        return next_deadline(after)
    if after.memberships is before.memberships:
        return NEVER
    return _of_changed(before.memberships, after.memberships, after.entry_fields)


def _of_changed(old: Memberships, new: Memberships, fields: EntryFields) -> str:
    """Times compare as text (C8), so of entries that were exited only the one that was first is looked at."""
    earliest, exited = NEVER, _NONE_EXITED
    for namespace, entries in new.items():
        was = old.get(namespace, _NO_ENTRIES)
        if entries is was:
            continue
        inside = fields.get(namespace, _NO_FIELDS)
        endless = namespace == OWN_NAMESPACE and not inside  # of most entries nothing ends
        for audience, entry in entries.items():
            if was.get(audience) == entry:
                continue
            if entry[0] == EXITED:
                exited = entry if entry < exited else exited  # a call takes three times as long
            elif not endless:
                earliest = _earlier(earliest, deadline_of(namespace, entry, inside.get(audience)))
    return earliest if exited is _NONE_EXITED else _earlier(earliest, purge_deadline(exited))


def _earlier(one: str, other: str) -> str:
    return other if other and (not one or other < one) else one


def expiries(profile_id: str, profile: Profile, now: str) -> tuple[list[bytes], str]:
    """Make the events of every deadline of a profile up to `now`, in their order. Home of F5.

    Returns them with the last of these deadlines; ([], NEVER) where there is none.

    What one of them makes counts for the next: after a long time a membership that ended is purged as well. Each is a
    CloudEvent. Not more than Kafka takes: what is left is due when the last of them is applied, also of its own
    deadline.
    """
    events, last, size = [], NEVER, 0
    for deadline, data, is_whole in _due(profile_id, profile, now):
        events.append(_event(profile_id, deadline, data))
        last, size = deadline, size + len(events[-1])
        if size >= _ENOUGH_CHARACTERS or not is_whole:
            break
    return events, last


def _due(profile_id: str, profile: Profile, now: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    deadline = next_deadline(profile)
    while deadline and deadline <= now:
        data, is_whole = _data(profile, deadline)
        yield deadline, data, is_whole
        change = fold(profile, Event(None, EventType.EXPIRED, profile_id, deadline, data, {}, {}, 0), 0)
        assert change.after is not None
        profile = change.after
        deadline = next_deadline(profile)


def _data(profile: Profile, deadline: str) -> tuple[dict[str, Any], bool]:
    """Return what ends at a deadline, and whether that is all of it.

    Each item names its namespace again, which an event gave in any length.
    """
    data: dict[str, Any] = {"exit": [], "purge": []}
    size = 0
    for namespace, entries in profile.memberships.items():
        fields = profile.entry_fields.get(namespace, _NO_FIELDS)
        for audience, entry in entries.items():
            if has_ended(namespace, entry, fields.get(audience), deadline):
                if size >= _ENOUGH_CHARACTERS:
                    return _named(data), False
                size += len(namespace) + len(audience)
                data["purge" if entry[0] == EXITED else "exit"].append({"namespace": namespace, "id": audience})
    return _named(data), True


def _named(data: dict[str, Any]) -> dict[str, Any]:
    return {name: named for name, named in data.items() if named}


def _event(profile_id: str, deadline: str, data: dict[str, Any]) -> bytes:
    return orjson.dumps(
        cloud_event(f"expiry-{profile_id}-{deadline}", SOURCE, EventType.EXPIRED, profile_id, deadline, data=data)
    )
