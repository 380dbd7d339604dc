"""The membership events of an import. Pure."""

from typing import NamedTuple

import orjson

from schemas.event import EventType, cloud_event
from schemas.times import format_time

NAMESPACE = "CustomerAudienceUpload"
SOURCE = "/profile-exporter/audience-import"
DAY_SECONDS = 24 * 60 * 60


class Import(NamedTuple):
    """One import: its own name, of which audience, when (seconds since 1970), and how many days its memberships
    last.
    """

    name: str
    audience_id: str
    at: int
    ttl_days: int


def realized(of: Import, profile_id: str) -> bytes:
    """The profile is a member.

    Who was one already keeps when he became one: the time of qualification is not said (I3).
    """
    return _event(of, profile_id, {"status": "realized", "validUntil": format_time(of.at + of.ttl_days * DAY_SECONDS)})


def exited(of: Import, profile_id: str) -> bytes:
    """The profile is a member no more."""
    return _event(of, profile_id, {"status": "exited", "validUntil": None})


def _event(of: Import, profile_id: str, entry: dict[str, str | None]) -> bytes:
    data = {"segmentMembership": {NAMESPACE: {of.audience_id: entry}}}
    return orjson.dumps(
        cloud_event(f"{of.name}-{profile_id}", SOURCE, EventType.PATCHED, profile_id, format_time(of.at), data=data)
    )
