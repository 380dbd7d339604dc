"""Write the membership events of an import. Pure."""

from typing import NamedTuple

import orjson

from schemas.event import EventType, cloud_event
from schemas.times import format_time

NAMESPACE = "CustomerAudienceUpload"
SOURCE = "/profile-exporter/audience-import"
DAY_SECONDS = 24 * 60 * 60


class ImportRun(NamedTuple):
    """An import's own name, its audience, its time (seconds since 1970), and how many days its memberships last."""

    name: str
    audience_id: str
    at: int
    ttl_days: int


def realized_event(run: ImportRun, profile_id: str) -> bytes:
    """Return the event of a profile that is a member.

    A member of before keeps its time of qualification, which the event does not name (I3).
    """
    return _event(
        run, profile_id, {"status": "realized", "validUntil": format_time(run.at + run.ttl_days * DAY_SECONDS)}
    )


def exited_event(run: ImportRun, profile_id: str) -> bytes:
    """Return the event of a profile that is a member no more."""
    return _event(run, profile_id, {"status": "exited", "validUntil": None})


def _event(run: ImportRun, profile_id: str, entry: dict[str, str | None]) -> bytes:
    data = {"segmentMembership": {NAMESPACE: {run.audience_id: entry}}}
    return orjson.dumps(
        cloud_event(f"{run.name}-{profile_id}", SOURCE, EventType.PATCHED, profile_id, format_time(run.at), data=data)
    )
