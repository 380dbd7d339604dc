"""State is a fold: one function applies one event to one profile (contract I1 to I8, F3, F4, F5). Nothing else changes a profile.

    fold(None | Profile, Event) ─► Change(before, after, transitions)
"""

from typing import Any, Final, NamedTuple

from processor.core.membership import Transition, Transitions, expired, merged, patched, replaced
from schemas.event import Event, EventType
from schemas.profile import Document, Profile

# A document grows by an event by at most this many bytes for each byte of the event: `"a":{}` (6 bytes) becomes an entry
# with both defaults (74), `1e15` (4 bytes) becomes 1000000000000000.0 (18).
_GROWTH_BOUND: Final = 16
_EMPTY: Final[Document] = {}


class Change(NamedTuple):
    """What an event did: the profile before and after (None: absent), and the audiences it entered or left."""

    event: Event
    before: Profile | None
    after: Profile | None
    transitions: list[Transition]

    @property
    def before_document(self) -> Document:
        """The document before, {} where the profile was absent."""
        return self.before.document if self.before is not None else _EMPTY

    @property
    def after_document(self) -> Document:
        """The document after, {} where the profile is absent."""
        return self.after.document if self.after is not None else _EMPTY

    @property
    def version(self) -> int:
        """The number of events applied to the profile, this one included; a deletion counts, and ends the count."""
        return (self.before.version if self.before is not None else 0) + 1


def fold(profile: Profile | None, event: Event, dedup_window: int) -> Change:
    """Apply a valid event that was not applied before. Shares what it does not touch with `profile`, changes nothing in place."""
    if event.type in (EventType.DELETED, EventType.MERGED) or (profile is None and event.type is EventType.EXPIRED):
        return Change(event, profile, None, [])
    transitions: Transitions = []
    before = profile.document if profile is not None else _EMPTY
    document = _FOLDS[event.type](before, event.data, event.time, transitions)
    return Change(event, profile, _next(profile, event, document, dedup_window), transitions)


def _next(profile: Profile | None, event: Event, document: Document, dedup_window: int) -> Profile:
    version, event_ids, bound = profile[1:] if profile is not None else (0, (), 2)
    if event.id is not None and event.type is not EventType.EXPIRED and dedup_window:
        event_ids = (*event_ids[1 - dedup_window :], event.id) if dedup_window > 1 else (event.id,)
    return Profile(document, version + 1, event_ids, bound + event.size_bytes * _GROWTH_BOUND)


def _patch(before: Document, data: dict[str, Any], now: str, transitions: Transitions) -> Document:
    if "segmentMembership" not in data:
        return merged(before, data)
    attributes = {name: value for name, value in data.items() if name != "segmentMembership"}
    document = merged(before, attributes)
    membership = patched(before.get("segmentMembership", {}), data["segmentMembership"], now, transitions)
    if membership or data["segmentMembership"] is not None:
        document["segmentMembership"] = membership
    else:
        document.pop("segmentMembership", None)
    return document


def _replace(before: Document, data: dict[str, Any], now: str, transitions: Transitions) -> Document:
    attributes = {name: value for name, value in data.items() if name != "segmentMembership"}
    document = merged({}, attributes)
    membership = replaced(before.get("segmentMembership", {}), data.get("segmentMembership"), now, transitions)
    if membership or data.get("segmentMembership") is not None:
        document["segmentMembership"] = membership
    return document


def _expire(before: Document, data: dict[str, Any], now: str, transitions: Transitions) -> Document:
    if "segmentMembership" not in before:
        return before
    return {**before, "segmentMembership": expired(before["segmentMembership"], data, now, transitions)}


_FOLDS: Final = {EventType.PATCHED: _patch, EventType.REPLACED: _replace, EventType.EXPIRED: _expire}
