"""The profile event that a Kafka record carries (contract section 1)."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

EntryPatch = str | dict[str, Any] | None
"""An entry as a patch names it: both fields and no other, as the text in which it is kept; else the patch; null."""

MembershipPatch = dict[str, dict[str, EntryPatch] | None] | None
"""`segmentMembership` of an event, {} where it names none."""

IdentityPatch = dict[str, list[dict[str, Any]] | None] | None
"""`identityMap` of an event, {} where it names none."""

TraceAttributes = tuple[Any, Any] | None
"""`traceparent` and `tracestate` as an event's attributes have them, unchecked; None: it names no `traceparent`."""


class EventType(StrEnum):
    """The CloudEvents `type` of a profile event (contract I1)."""

    PATCHED = "profile.patched"
    REPLACED = "profile.replaced"
    DELETED = "profile.deleted"
    MERGED = "profile.merged"
    EXPIRED = "membership.expired"


LONGEST_KEPT: Final = 63
"""Characters of an event's source or id that a profile keeps as they are."""


def kept_text(text: str) -> str:
    """Return the source or the id of an event as a profile keeps it (I5): itself, or its SHA-256 where that is shorter.

    So the size of a row is bounded, whatever the events hold: no text of 64 characters is kept as it is.
    """
    return text if len(text) <= LONGEST_KEPT else sha256(text.encode()).hexdigest()


# Of what is made once an event: a dataclass that is not frozen, with an __init__ of its own. Compiled it takes 0.04 µs
# to make, 0.26 with the __init__ that dataclasses writes, which stays interpreted, 0.33 as a NamedTuple, 1.1 frozen
# (measured).
@dataclass(slots=True, init=False)
class Event:
    """A valid event; never changed.

    `id` and `source` as a profile keeps them (I5); None and "" for a tombstone. `time` is in the form of C8.

    Of a patch or a document, `data` is the attributes, beside `memberships` and `identities`; it is {} where it is
    ignored. `size_bytes` is the length of the JSON that its data were read from, mostly the value.
    """

    id: str | None
    type: EventType
    key: str
    time: str
    data: dict[str, Any]
    memberships: MembershipPatch
    identities: IdentityPatch
    size_bytes: int
    trace: TraceAttributes
    source: str

    def __init__(  # noqa: PLR0913, PLR0917  # an argument a field
        self,
        id: str | None,  # noqa: A002  # CloudEvents' own names
        type: EventType,  # noqa: A002
        key: str,
        time: str,
        data: dict[str, Any],
        memberships: MembershipPatch,
        identities: IdentityPatch,
        size_bytes: int,
        trace: TraceAttributes = None,
        source: str = "",
    ) -> None:
        self.id = id
        self.type = type
        self.key = key
        self.time = time
        self.data = data
        self.memberships = memberships
        self.identities = identities
        self.size_bytes = size_bytes
        self.trace = trace
        self.source = source


def cloud_event(
    event_id: str, source: str, event_type: EventType, subject: str, time: str, **data: Any
) -> dict[str, Any]:
    """Return an event of our own as CloudEvents 1.0 has it; `data=…` where it carries some."""
    head = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": event_type.value,
        "subject": subject,
        "time": time,
    }
    return {**head, **data}
