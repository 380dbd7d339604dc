"""How an event changes `segmentMembership` (contract I2, I3, I7, F5): the entries after it, and the transitions it made.

An entry is kept as `{lastQualificationTime, status, …}`: status `realized` or `exited`, the time in the form of C8.
Nothing is changed in place. A plain entry (those two fields only) is one shared object for equal values: few distinct
ones exist, so a profile of twenty memberships costs twenty references.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.audience import OWN_NAMESPACE
from schemas.times import normal_time, parse_time, plus_days

REALIZED: Final = "realized"
EXITED: Final = "exited"
EXPIRY_DAYS: Final = 30  # contract F5

Entry = dict[str, Any]
Entries = dict[str, Entry]
Membership = dict[str, Entries]

_READ_AS: Final = {"realized": REALIZED, "existing": REALIZED, "exited": EXITED, "exiting": EXITED}
_PLAIN_FIELDS: Final = 2


class Transition(NamedTuple):
    """One audience that the profile entered (`realized`) or left (`exited`); any other change is none (A2, A3)."""

    namespace: str
    audience: str
    status: str


Transitions = list[Transition]


@lru_cache(maxsize=65_536)
def plain_entry(last_qualification_time: str, status: str) -> Entry:
    """The shared entry of these two values; never to be changed."""
    return {"lastQualificationTime": last_qualification_time, "status": status}


def patched(old: Membership, patch: dict[str, Any] | None, now: str, transitions: Transitions) -> Membership:
    """`old` after a merge patch; `now` is the event's time. Appends to `transitions`."""
    if patch is None:
        patch = dict.fromkeys(old)
    result = dict(old)
    for namespace, entries in patch.items():
        stored = old.get(namespace)
        if entries is None:
            remaining = _left(namespace, stored or {}, now, transitions)
            _put(result, namespace, remaining)
        else:
            result[namespace] = _patched_entries(namespace, stored or {}, entries, now, transitions)
    return result


def _put(result: Membership, namespace: str, remaining: Entries) -> None:
    if remaining:
        result[namespace] = remaining
    else:
        result.pop(namespace, None)


def _patched_entries(
    namespace: str, stored: Entries, patch: dict[str, Any], now: str, transitions: Transitions
) -> Entries:
    result = dict(stored)
    for audience, entry in patch.items():
        old = stored.get(audience)
        if entry is None:
            if old is None or old["status"] == EXITED:
                result.pop(audience, None)
                continue
            new = plain_entry(now, EXITED)
        else:
            new = _merged_entry(old, entry, now)
        result[audience] = new
        _note(namespace, audience, old, new, transitions)
    return result


def _note(namespace: str, audience: str, old: Entry | None, new: Entry, transitions: Transitions) -> None:
    status = new["status"]
    if status == REALIZED:
        if old is None or old["status"] != REALIZED:
            transitions.append(Transition(namespace, audience, REALIZED))
    elif old is not None and old["status"] == REALIZED:
        transitions.append(Transition(namespace, audience, EXITED))


def _left(namespace: str, stored: Entries, now: str, transitions: Transitions) -> Entries:
    """What stays of entries that were removed: those that were realized, exited now (I7)."""
    left = [audience for audience, entry in stored.items() if entry["status"] == REALIZED]
    transitions.extend(Transition(namespace, audience, EXITED) for audience in left)
    return dict.fromkeys(left, plain_entry(now, EXITED)) if left else {}


def _merged_entry(old: Entry | None, patch: dict[str, Any], now: str) -> Entry:
    """The entry after a merge patch, with the defaults of I3 filled in."""
    named_status, named_time = patch.get("status"), patch.get("lastQualificationTime")
    kept_status = old["status"] if old is not None and "status" not in patch else REALIZED
    status = _READ_AS[named_status] if named_status is not None else kept_status
    if named_time is not None:
        time = normal_time(named_time)
    elif old is None or "lastQualificationTime" in patch or status != old["status"]:
        time = now
    else:
        time = old["lastQualificationTime"]
    extras = _extras(old, patch)
    return {"lastQualificationTime": time, "status": status, **extras} if extras else plain_entry(time, status)


def _extras(old: Entry | None, patch: dict[str, Any]) -> Entry:
    """The fields beside the two, merged."""
    extras = old if old is not None and len(old) > _PLAIN_FIELDS else {}
    changed = [name for name in patch if name not in ("status", "lastQualificationTime")]
    if extras or changed:
        extras = merged(extras, {name: patch[name] for name in changed})
        return {name: value for name, value in extras.items() if name not in ("status", "lastQualificationTime")}
    return extras


def replaced(old: Membership, new: dict[str, Any] | None, now: str, transitions: Transitions) -> Membership:
    """The memberships of a whole new document: what it leaves out and was realized is exited now (I7)."""
    result: Membership = {}
    for namespace, entries in (new or {}).items():
        if entries is not None:
            stored = old.get(namespace, {})
            fresh = {audience: _merged_entry(None, entry, now) for audience, entry in entries.items() if entry is not None}
            result[namespace] = fresh
            for audience, entry in fresh.items():
                _note(namespace, audience, stored.get(audience), entry, transitions)
    for namespace, stored in old.items():
        present = result.get(namespace, {})
        gone = {audience: entry for audience, entry in stored.items() if audience not in present}
        left = _left(namespace, gone, now, transitions)
        if left:
            result[namespace] = {**present, **left}
    return result


def expired(old: Membership, data: dict[str, Any], deadline: str, transitions: Transitions) -> Membership:
    """`old` after a `membership.expired` event (F5); what no longer holds at the deadline is passed over."""
    result = dict(old)
    for item in data.get("exit", ()):
        namespace, audience = item["namespace"], item["id"]
        entry = result.get(namespace, {}).get(audience)
        if entry is not None and entry["status"] == REALIZED and _ends(namespace, entry, deadline):
            result[namespace] = {**result[namespace], audience: plain_entry(deadline, EXITED)}
            transitions.append(Transition(namespace, audience, EXITED))
    for item in data.get("purge", ()):
        namespace, audience = item["namespace"], item["id"]
        entry = result.get(namespace, {}).get(audience)
        if entry is not None and entry["status"] == EXITED and _is_stale(entry, deadline):
            _put(result, namespace, {key: value for key, value in result[namespace].items() if key != audience})
    return result


def _ends(namespace: str, entry: Entry, deadline: str) -> bool:
    valid_until = entry.get("validUntil")
    if valid_until is not None:
        return parse_time(valid_until) <= parse_time(deadline)
    return namespace != OWN_NAMESPACE and plus_days(entry["lastQualificationTime"], EXPIRY_DAYS) <= deadline


def _is_stale(entry: Entry, deadline: str) -> bool:
    return parse_time(deadline) - parse_time(entry["lastQualificationTime"]) > EXPIRY_DAYS * 86_400


def merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`target` after a JSON Merge Patch (RFC 7396), sharing what the patch does not touch."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif type(value) is dict:
            old = result.get(name)
            result[name] = merged(old if type(old) is dict else {}, value)
        else:
            result[name] = value
    return result
