"""The benchmark's flow in plain Python: JSON merge, three mapped audiences, two mapped attributes.

`benchmarks.events.FLOWS` is the same flow.

Imports nothing of ours but `benchmarks.events`: it runs in the venv of each Python peer.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from benchmarks.events import AUDIENCES

Json = dict[str, Any]
MAPPED = AUDIENCES[:3]
LISTED_DAYS = 30


class Seen(NamedTuple):
    """The part of a profile that decides: its mapped audiences, mapped attributes and identities."""

    realized: tuple[bool, ...]
    first_name: Any
    address: Any
    identities: Json


def look(profile: Json) -> Seen:
    """The profile as the decision sees it; unharmed when the profile is changed in place."""
    entries = profile.get("segmentMembership", {}).get("ups", {})
    return Seen(
        tuple([_is_realized(entries.get(audience)) for audience in MAPPED]),
        profile.get("person", {}).get("name", {}).get("firstName"),
        profile.get("personalEmail", {}).get("address"),
        dict(profile.get("identityMap", {})),
    )


def apply(profile: Json, event: Json) -> Json | None:
    """Merge the event into `profile`, in place; the record that leaves, None where none does."""
    before = look(profile)
    merge(profile, event["data"])
    after = look(profile)
    entered_or_left = before.realized != after.realized
    if not entered_or_left and (before[1:] == after[1:] or not any(after.realized)):
        return None
    return _render(profile, before, after, event["time"])


def merge(target: Json, patch: Json) -> None:
    """JSON Merge Patch (RFC 7396), in place."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif type(value) is dict:
            inside = target.get(name)
            if type(inside) is not dict:
                inside = target[name] = {}
            merge(inside, value)
        else:
            target[name] = value


def _render(profile: Json, before: Seen, after: Seen, time: str) -> Json:
    record: Json = {}
    if after.first_name is not None:
        record["person"] = {"name": {"firstName": after.first_name}}
    if after.address is not None:
        record["personalEmail"] = {"address": after.address}
    since = listed_since(time)
    moved = {audience for audience, old, new in zip(MAPPED, before.realized, after.realized, strict=True) if old != new}
    record["segmentMembership"] = {
        "ups": {
            audience: entry
            for audience, entry in profile["segmentMembership"]["ups"].items()
            if entry["status"] == "realized"
            or (audience in MAPPED and (entry["lastQualificationTime"] >= since or audience in moved))
        }
    }
    record["identityMap"] = {
        namespace: [{"id": item["id"]} for item in items] for namespace, items in after.identities.items()
    }
    return record


@lru_cache(maxsize=1024)
def listed_since(time: str) -> str:
    """Entries of audiences that the profile left before this are not listed."""
    return (datetime.fromisoformat(time) - timedelta(days=LISTED_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_realized(entry: Json | None) -> bool:
    return entry is not None and entry["status"] == "realized"
