"""Whether an event's `data` has the shape its type asks for (contract I1, I2, I4)."""

from typing import Any, Final

from processor.core.membership import entry_of
from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.event import EventType, IdentityPatch, MembershipPatch
from schemas.times import BadTimeError, normal_time

MAX_NESTING: Final = 200
"""Levels of maps and lists an event may have; orjson writes 254, and a record and a row add a few of their own."""

_MAP_BYTES: Final = len(b'{"":}')  # of a map around something
_STATUSES: Final = frozenset({"realized", "existing", "exited", "exiting"})
_NONE: Final[dict[str, Any]] = {}
_MAX_KEY_BYTES: Final = 512


def check_nesting(value: bytes, parsed: object) -> None:
    """Raises Unusable when `parsed`, read from `value`, is nested more than MAX_NESTING levels."""
    lists = value.count(b"[")
    if len(value) < _MAP_BYTES * (MAX_NESTING - lists):
        return  # too short for so many maps: spares every event of up to 1 KB a second count, 0.4 µs
    if lists + value.count(b"{") <= MAX_NESTING:
        return
    level: list[Any] = [parsed]
    for _ in range(MAX_NESTING):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise _bad_shape(f"nested deeper than {MAX_NESTING} levels")


def _children(item: object) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def check_data(event_type: EventType, data: object) -> dict[str, Any]:
    """`data` of an event that holds no document, known to be well-formed; raises Unusable."""
    if event_type is EventType.DELETED:
        return {}
    if type(data) is not dict:
        raise _no_object(event_type)
    if event_type is EventType.MERGED:
        _check_merge(data.get("into"))
    else:
        _check_expiry(data)
    return data


def take_apart(event_type: EventType, data: object) -> tuple[dict[str, Any], MembershipPatch, IdentityPatch]:
    """(attributes, memberships, identities) of a patch or a document, known to be well-formed; raises Unusable.

    Uses up `data`: the attributes are what remains of it.
    """
    if type(data) is not dict:
        raise _no_object(event_type)
    memberships = data.pop("segmentMembership", _NONE)
    identities = data.pop("identityMap", _NONE)
    if memberships is not None:
        _read_memberships(memberships)
    if identities is not None:
        _check_identities(identities)
    return data, memberships, identities


def _no_object(event_type: EventType) -> Unusable:
    return _bad_shape(f"data of {event_type} is not an object")


def _bad_shape(explanation: str) -> Unusable:
    return Unusable(DeadLetterReason.BAD_SHAPE, explanation)


def _check_merge(into: object) -> None:
    if type(into) is not str or not 1 <= len(into.encode()) <= _MAX_KEY_BYTES:
        raise _bad_shape("data.into is not a profile id (a string of 1 to 512 bytes)")


def _check_expiry(data: dict[str, Any]) -> None:
    for name in ("exit", "purge"):
        items = data.get(name, [])
        if type(items) is not list or not all(_is_audience(item) for item in items):
            raise _bad_shape(f"data.{name} is not a list of {{namespace, id}}")


def _is_audience(item: object) -> bool:
    return type(item) is dict and type(item.get("namespace")) is str and type(item.get("id")) is str


def _read_memberships(membership: object) -> None:
    """Check every entry, and put the text in which it is kept in the place of one that names both fields and no other."""
    if type(membership) is not dict:
        raise _bad_shape("segmentMembership is not an object")
    for namespace, entries in membership.items():
        if entries is None:
            continue
        if type(entries) is not dict:
            raise _bad_shape(f"segmentMembership.{namespace[:64]} is not an object")
        for audience, entry in entries.items():
            try:
                if len(entry) == 2:
                    entries[audience] = entry_of(entry["lastQualificationTime"], entry["status"])
                    continue
            except (TypeError, KeyError, BadTimeError):
                pass  # not plain, or not good: a closer look
            if entry is not None:
                _check_entry(namespace, audience, entry)


def _check_entry(namespace: str, audience: str, entry: object) -> None:
    if type(entry) is not dict:
        raise _bad_shape(f"segmentMembership.{namespace[:64]}.{audience[:64]} is not an object")
    get = entry.get
    status = get("status")
    if status is not None and (type(status) is not str or status not in _STATUSES):
        what = f"segmentMembership.{namespace[:64]}.{audience[:64]}.status"
        raise Unusable(DeadLetterReason.BAD_STATUS, f"{what} is none of {', '.join(sorted(_STATUSES))}")
    for field in ("lastQualificationTime", "validUntil"):
        time = get(field)
        if time is not None:
            _check_time(f"segmentMembership.{namespace[:64]}.{audience[:64]}.{field}", time)


def _check_time(what: str, time: object) -> None:
    if type(time) is not str:
        raise Unusable(DeadLetterReason.BAD_TIME, f"{what} is not a string")
    try:
        normal_time(time)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"{what}: {error}") from None


def _check_identities(identity_map: object) -> None:
    if type(identity_map) is not dict:
        raise _bad_shape("identityMap is not an object")
    for namespace, identities in identity_map.items():
        if identities is None:
            continue
        if type(identities) is not list:
            raise _bad_identities(namespace)
        for item in identities:
            if type(item) is not dict or type(item.get("id")) is not str or (len(item) > 1 and not _has_good_fields(item)):
                raise _bad_identities(namespace)


def _bad_identities(namespace: str) -> Unusable:
    return _bad_shape(f"identityMap.{namespace[:64]} is not a list of {{id, authenticatedState?, primary?}}")


def _has_good_fields(identity: dict[str, Any]) -> bool:
    return type(identity.get("authenticatedState")) in (str, type(None)) and type(identity.get("primary")) in (bool, type(None))
