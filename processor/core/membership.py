"""Change `segmentMembership` by an event: the entries after it, and the transitions it made (I2, I3, I7, F5).

Nothing is changed in place. An absent entry is as one that was exited: neither becomes `exited` by a transition (A2,
A3).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from processor.core.deadline import VALID_UNTIL, has_ended
from processor.core.json_values import merge_patch
from schemas.event import MembershipPatch
from schemas.profile import EXITED, REALIZED, Document, EntryFields, Memberships
from schemas.times import LONGEST_CACHED, BadTimeError, normal_time

Transition = tuple[str, str, str]
"""(namespace, audience id, letter of the status): an audience that the profile entered or left; any other change is
none.
"""

Transitions = list[Transition]
Membership = tuple[Memberships, EntryFields]
"""What is kept of `segmentMembership`."""

_ABSENT: Final = EXITED
_LETTERS: Final = {"realized": REALIZED, "existing": REALIZED, "exited": EXITED, "exiting": EXITED}
_NAMED: Final = ("status", "lastQualificationTime")
_FIRST_TIME: Final = "1970-01-01T00:00:00Z"
_NO_ENTRIES: Final[dict[str, str]] = {}
_NO_FIELDS: Final[dict[str, Document]] = {}


def entry_of(last_qualification_time: str, status: str) -> str:
    """Return the entry of these two values as an event writes them.

    Raises KeyError for a status outside the list, BadTimeError for a bad time and for one that is as missing.
    """
    if len(last_qualification_time) > LONGEST_CACHED:
        return _entry(last_qualification_time, status)
    return _cached_entry(last_qualification_time, status)


@lru_cache(maxsize=65_536)
def _cached_entry(last_qualification_time: str, status: str) -> str:
    return _entry(last_qualification_time, status)


def _entry(last_qualification_time: str, status: str) -> str:
    time = normal_time(last_qualification_time)
    if is_missing(time):
        raise BadTimeError("lies before 1970")
    return _LETTERS[status] + time


def is_missing(last_qualification_time: str) -> bool:
    """Return whether a `lastQualificationTime` in the form of C8 is as missing (I9).

    A time before 1970 is the zero time of Go or .NET, nobody's.
    """
    return last_qualification_time < _FIRST_TIME


def patch_memberships(old: Membership, patch: MembershipPatch, now: str, transitions: Transitions) -> Membership:
    """Return `old` after a merge patch, and append its transitions to `transitions`. Home of A3.

    `now` is the event's time.
    """
    memberships, fields = old
    if patch is None:
        patch = dict.fromkeys(memberships)
    if not patch:
        return old
    result = dict(memberships)
    for namespace, given in patch.items():
        stored = memberships.get(namespace, _NO_ENTRIES)
        entries = dict(stored)
        for audience, written in (given if given is not None else dict.fromkeys(stored)).items():
            before = stored.get(audience, _ABSENT)
            if isinstance(written, str):
                entry: str | None = written
                if fields and written[0] != before[0]:
                    fields = _without_end(fields, namespace, audience)
            else:
                entry = _patched_entry(before, written, now)
                fields = _patched_fields(fields, namespace, audience, written, before, entry)
            if entry is None:
                entries.pop(audience, None)
                continue
            entries[audience] = entry
            if entry[0] != before[0]:
                transitions.append((namespace, audience, entry[0]))
        _put(result, namespace, entries)
    return result, fields


def _put(result: dict[str, Any], name: str, value: dict[str, Any]) -> None:
    if value:
        result[name] = value
    else:
        result.pop(name, None)


def _patched_entry(before: str, patch: dict[str, Any] | None, now: str) -> str | None:
    """Return the entry after a patch of some fields, with the defaults of I3; None: it is gone. Home of I7."""
    if patch is None:
        return EXITED + now if before[0] == REALIZED else None
    status, time = patch.get("status"), patch.get("lastQualificationTime")
    was_there = before != _ABSENT
    letter = before[0] if was_there else REALIZED
    if status is not None:
        letter = _LETTERS[status]
    if time is not None:
        return letter + normal_time(time)
    keeps_time = was_there and "lastQualificationTime" not in patch and letter == before[0]
    return before if keeps_time else letter + now


def _patched_fields(
    fields: EntryFields, namespace: str, audience: str, patch: dict[str, Any] | None, before: str, entry: str | None
) -> EntryFields:
    """Return `fields` after a patch of one entry from `before` to `entry`.

    An entry that is removed keeps none, one that is exited no end (I7).
    """
    if patch is None or entry is None:
        return _without_fields(fields, namespace, audience)
    if fields and entry[0] != before[0]:
        fields = _without_end(fields, namespace, audience)
    others = {
        name: value
        for name, value in patch.items()
        if name not in _NAMED and not (name == VALID_UNTIL and entry[0] == EXITED)
    }
    if not others:
        return fields
    return _with_fields(
        fields, namespace, audience, merge_patch(fields.get(namespace, _NO_FIELDS).get(audience, {}), others)
    )


def _without_end(fields: EntryFields, namespace: str, audience: str) -> EntryFields:
    """Return `fields` after an entry changed its status: an end belongs to the membership it was said of (I7)."""
    of_entry = fields.get(namespace, _NO_FIELDS).get(audience)
    if of_entry is None or VALID_UNTIL not in of_entry:
        return fields
    return _with_fields(
        fields, namespace, audience, {name: value for name, value in of_entry.items() if name != VALID_UNTIL}
    )


def _without_fields(fields: EntryFields, namespace: str, audience: str) -> EntryFields:
    return _with_fields(fields, namespace, audience, {}) if audience in fields.get(namespace, _NO_FIELDS) else fields


def _with_fields(fields: EntryFields, namespace: str, audience: str, of_entry: Document) -> EntryFields:
    inside = dict(fields.get(namespace, _NO_FIELDS))
    _put(inside, audience, of_entry)
    result = dict(fields)
    _put(result, namespace, inside)
    return result


def replace_memberships(old: Membership, document: MembershipPatch, now: str, transitions: Transitions) -> Membership:
    """Return the memberships of a whole new document: what it leaves out and was realized is exited now (I7)."""
    memberships, _ = old
    absent: Membership = ({}, {})
    result, fields = patch_memberships(absent, document, now, [])
    for namespace, audience, entry in _entries(memberships):
        if entry[0] == REALIZED and audience not in result.get(namespace, _NO_ENTRIES):
            result.setdefault(namespace, {})[audience] = EXITED + now
    transitions.extend(
        (namespace, audience, entry[0])
        for namespace, audience, entry in _entries(result)
        if entry[0] != memberships.get(namespace, _NO_ENTRIES).get(audience, _ABSENT)[0]
    )
    return result, fields


def _entries(memberships: Memberships) -> Iterator[tuple[str, str, str]]:
    return (
        (namespace, audience, entry)
        for namespace, entries in memberships.items()
        for audience, entry in entries.items()
    )


def expire_memberships(old: Membership, data: dict[str, Any], deadline: str, transitions: Transitions) -> Membership:
    """Return `old` after a `membership.expired` event (F5); what no longer holds at the deadline is passed over."""
    memberships, fields = old
    result = {namespace: dict(entries) for namespace, entries in memberships.items()}
    for namespace, audience in _named(data, "exit"):
        entry = result.get(namespace, _NO_ENTRIES).get(audience, _ABSENT)
        of_entry = fields.get(namespace, _NO_FIELDS).get(audience)
        if entry[0] == REALIZED and has_ended(namespace, entry, of_entry, deadline):
            result[namespace][audience] = EXITED + deadline
            fields = _without_fields(fields, namespace, audience)
            transitions.append((namespace, audience, EXITED))
    for namespace, audience in _named(data, "purge"):
        entry = result.get(namespace, _NO_ENTRIES).get(audience, REALIZED)
        if entry[0] == EXITED and has_ended(namespace, entry, None, deadline):
            del result[namespace][audience]
            fields = _without_fields(fields, namespace, audience)
    return {namespace: entries for namespace, entries in result.items() if entries}, fields


def _named(data: dict[str, Any], what: str) -> Iterator[tuple[str, str]]:
    return ((item["namespace"], item["id"]) for item in data.get(what, ()))
