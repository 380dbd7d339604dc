"""One profile, as the fold of its events keeps it (I2, I7)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

Document = dict[str, Any]
"""A JSON object. Never changed in place; as a part of a profile it holds no nulls outside arrays."""

Identities = dict[str, list[dict[str, Any]]]
"""Namespace → its identities, at least one."""

Memberships = dict[str, dict[str, str]]
"""Namespace → audience id → entry, at least one.

An entry is text: its status' letter and its `lastQualificationTime` in the form of C8, `r2026-01-11T23:37:33Z`. So
entries compare as text: any realized one is greater than any exited one, and of two exited ones the later is greater.
Measured with 20 audiences a profile against objects of two fields: rows of 1.5 instead of 2.4 KB, decoded in 4.2
instead of 9.1 µs.
"""

EntryFields = dict[str, dict[str, Document]]
"""Namespace → audience id → what an entry holds beside status and time (`validUntil`, …), where it holds anything."""

REALIZED: Final = "r"
EXITED: Final = "e"
STATUS: Final = {REALIZED: "realized", EXITED: "exited"}


@dataclass(slots=True, init=False)  # as schemas.event.Event
class Profile:
    """The state of one profile: its XDM document in parts, and what was applied to it; never changed.

    `version` counts the events applied to it, from 1 (contract 4b). `event_ids` are the last events, the newest last
    (I5): of each its source, then its id; the source is "" where a version applied it that kept ids alone.
    `size_bound_bytes` is never below the document's size as compact JSON; it is derived, not state: it only says when
    the size must be measured.
    """

    attributes: Document
    identities: Identities
    memberships: Memberships
    entry_fields: EntryFields
    version: int
    event_ids: tuple[str, ...]
    size_bound_bytes: int

    def __init__(
        self,
        attributes: Document,
        identities: Identities,
        memberships: Memberships,
        entry_fields: EntryFields,
        version: int,
        event_ids: tuple[str, ...],
        size_bound_bytes: int,
    ) -> None:
        self.attributes = attributes
        self.identities = identities
        self.memberships = memberships
        self.entry_fields = entry_fields
        self.version = version
        self.event_ids = event_ids
        self.size_bound_bytes = size_bound_bytes

    @property
    def document(self) -> Document:
        """Return the XDM document, put together: attributes beside `segmentMembership` and `identityMap`."""
        document = dict(self.attributes)
        if self.memberships:
            document["segmentMembership"] = {
                namespace: {
                    audience: self._xdm_entry(namespace, audience, entry) for audience, entry in entries.items()
                }
                for namespace, entries in self.memberships.items()
            }
        if self.identities:
            document["identityMap"] = self.identities
        return document

    def _xdm_entry(self, namespace: str, audience: str, entry: str) -> Document:
        return {**xdm_entry(entry), **self.entry_fields.get(namespace, {}).get(audience, {})}


@lru_cache(maxsize=65_536)
def xdm_entry(entry: str) -> Document:
    """Return the two fields of an entry, as XDM has them, and no others. Home of C4.

    Equal entries share one object.
    """
    return {"lastQualificationTime": entry[1:], "status": STATUS[entry[0]]}
