"""What arrives: a Kafka record as read, and the profile event it carries (contract section 1)."""

from enum import StrEnum
from typing import Any, NamedTuple


class SourceRecord(NamedTuple):
    """One record of the source topic, bytes as they were. `timestamp` is Kafka's, in milliseconds; None: it has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None


class EventType(StrEnum):
    """The CloudEvents `type` of a profile event (contract I1)."""

    PATCHED = "profile.patched"
    REPLACED = "profile.replaced"
    DELETED = "profile.deleted"
    MERGED = "profile.merged"
    EXPIRED = "membership.expired"


class Event(NamedTuple):
    """A valid event. `id` is None for a tombstone; `time` is in the form of C8; `data` is {} where it is ignored.

    `size_bytes` is the length of the value it was read from.
    """

    id: str | None
    type: EventType
    key: str
    time: str
    data: dict[str, Any]
    size_bytes: int
