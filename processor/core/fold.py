"""Fold events into a profile: one function applies one event to one profile (I1 to I8, F3, F4, F5).

Nothing else changes a profile.

fold(None | Profile, Event) ─► Change(before, after, transitions, identities)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from processor.core import identities as identity_map
from processor.core.json_values import merge_patch
from processor.core.membership import Transitions, expire_memberships, patch_memberships, replace_memberships
from schemas.event import Event, EventType
from schemas.profile import Document, Profile

NO_PROFILE: Final = Profile({}, {}, {}, {}, 0, (), 2)

# A document grows by an event by at most this many bytes for each byte of the event: `"a":{}` (6 bytes) becomes an
# entry with both defaults (74), `1e15` (4 bytes) becomes 1000000000000000.0 (18).
_GROWTH_BOUND: Final = 16
_ANY_SOURCE: Final = ""  # of an event that was applied by a version that kept ids alone
_PATCHED: Final = EventType.PATCHED  # a look-up on the class takes 0.1 µs
_EXPIRED: Final = EventType.EXPIRED
_ENDS: Final = (EventType.DELETED, EventType.MERGED)


@dataclass(slots=True, init=False)  # as Event
class Change:
    """The change that an event made; itself never changed.

    `before` is NO_PROFILE, `after` None where the profile was or is absent. `transitions` are the audiences it entered
    or left, `identities` the namespaces whose identities changed (A5).
    """

    event: Event
    before: Profile
    after: Profile | None
    transitions: Transitions
    identities: Sequence[str]

    def __init__(
        self,
        event: Event,
        before: Profile,
        after: Profile | None,
        transitions: Transitions,
        identities: Sequence[str],
    ) -> None:
        self.event = event
        self.before = before
        self.after = after
        self.transitions = transitions
        self.identities = identities

    @property
    def after_attributes(self) -> Document:
        """Return the attributes after, {} where the profile is absent."""
        return self.after.attributes if self.after is not None else {}

    @property
    def version(self) -> int:
        """The number of events applied to the profile, this one included; a deletion counts, and ends the count."""
        return self.before.version + 1


def fold(profile: Profile | None, event: Event, dedup_window: int) -> Change:
    """Apply a valid event that was not applied before, in the order of the log. Home of I6.

    Shares what it does not touch with `profile`, changes nothing in place.
    """
    before = NO_PROFILE if profile is None else profile
    transitions: Transitions = []
    old = (before.memberships, before.entry_fields)
    if event.type is _PATCHED:
        attributes = merge_patch(before.attributes, event.data)
        identities = identity_map.patch_identities(before.identities, event.identities)
        memberships, fields = patch_memberships(old, event.memberships, event.time, transitions)
    elif event.type in _ENDS or (profile is None and event.type is _EXPIRED):
        return Change(event, before, None, [], ())
    elif event.type is _EXPIRED:
        attributes, identities = before.attributes, before.identities
        memberships, fields = expire_memberships(old, event.data, event.time, transitions)
    else:
        attributes = merge_patch({}, event.data)
        identities = identity_map.patch_identities({}, event.identities)
        memberships, fields = replace_memberships(old, event.memberships, event.time, transitions)
    after = Profile(
        attributes,
        identities,
        memberships,
        fields,
        before.version + 1,
        _remembered(before.event_ids, event, dedup_window),
        before.size_bound_bytes + event.size_bytes * _GROWTH_BOUND,
    )
    changed = (
        () if identities is before.identities else identity_map.find_changed_identities(before.identities, identities)
    )
    return Change(event, before, after, transitions, changed)


def is_remembered(profile: Profile, event: Event) -> bool:
    """Return whether an event of this source and id is among the last ones applied to the profile (I5)."""
    kept = profile.event_ids
    sources = [kept[place] for place in range(0, len(kept), 2) if kept[place + 1] == event.id]
    return event.source in sources or _ANY_SOURCE in sources


def _remembered(event_ids: tuple[str, ...], event: Event, dedup_window: int) -> tuple[str, ...]:
    """Return the sources and ids of the last events, this one included (I5); an expiry is none of them (F5)."""
    if event.id is None or not dedup_window or event.type is _EXPIRED:
        return event_ids
    return (
        (*event_ids[2 - 2 * dedup_window :], event.source, event.id) if dedup_window > 1 else (event.source, event.id)
    )
