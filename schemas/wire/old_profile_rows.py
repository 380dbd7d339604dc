"""Read rows of format 3 as if their events had been applied by today's rules (I5, I7, I9), as far as they can tell.

They are written in today's format when their profile's next event is applied; an older version refuses those, and says
so.

    ids of the last events     without a source: of any
    names with `xdm:`          without it; a status, a time or an end of that spelling was no one's, and is left out
    empty ids and namespaces   are not there
    an exited entry's end      is not there

A membership that was read as realized because its status was called `xdm:status` stays so, as its consumers were told,
until an event on it says otherwise: then they are told, too.
"""

from typing import Any, Final

from schemas.event import kept_text
from schemas.profile import EXITED, Document, EntryFields, Identities, Memberships, Profile
from schemas.xdm import PREFIX, plain_members

FORMAT: Final = 3
_ANY_SOURCE: Final = ""
_READ: Final = frozenset({"status", "lastQualificationTime", "validUntil"})
_END: Final = "validUntil"


def renewed(profile: Profile, row: bytes) -> Profile:
    """Return the profile of a row of format 3; `row` is its text."""
    has_prefix = PREFIX.encode() in row
    memberships = _memberships(profile.memberships)
    return Profile(
        plain_members(profile.attributes) if has_prefix else profile.attributes,
        _identities(profile.identities, has_prefix),
        memberships,
        _entry_fields(profile.entry_fields, memberships, has_prefix),
        profile.version,
        tuple(each for event_id in profile.event_ids for each in (_ANY_SOURCE, kept_text(event_id))),
        profile.size_bound_bytes,
    )


def _memberships(stored: Memberships) -> Memberships:
    named = {
        namespace: {audience: entry for audience, entry in entries.items() if audience}
        for namespace, entries in stored.items()
        if namespace
    }
    return {namespace: entries for namespace, entries in named.items() if entries}


def _identities(stored: Identities, has_prefix: bool) -> Identities:
    named = {
        namespace: [plain_members(item) if has_prefix else item for item in identities if item["id"]]
        for namespace, identities in stored.items()
        if namespace
    }
    return {namespace: identities for namespace, identities in named.items() if identities}


def _entry_fields(stored: EntryFields, memberships: Memberships, has_prefix: bool) -> EntryFields:
    found: EntryFields = {}
    for namespace, entries in stored.items():
        for audience, fields in entries.items():
            entry = memberships.get(namespace, {}).get(audience)
            kept = {} if entry is None else _fields(fields, entry, has_prefix)
            if kept:
                found.setdefault(namespace, {})[audience] = kept
    return found


def _fields(fields: Document, entry: str, has_prefix: bool) -> Document:
    kept: dict[str, Any] = fields
    if has_prefix:
        kept = plain_members(
            {name: value for name, value in fields.items() if name.removeprefix(PREFIX) not in _READ or name == _END}
        )
    if entry[0] == EXITED:
        kept = {name: value for name, value in kept.items() if name != _END}
    return kept
