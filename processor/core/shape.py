"""Whether an event's `data` has the shape its type asks for (contract I1, I2, I4). Checks everything, changes nothing."""

from typing import Any, Final

from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.event import EventType
from schemas.times import BadTimeError, normal_time

MAX_NESTING: Final = 200
"""Levels of maps and lists an event may have; orjson writes 254, and a record and a row add a few of their own."""

_STATUSES: Final = frozenset({"realized", "existing", "exited", "exiting"})
_MAX_KEY_BYTES: Final = 512


def check_nesting(value: bytes, parsed: object) -> None:
    """Raises Unusable when `parsed`, read from `value`, is nested more than MAX_NESTING levels."""
    if value.count(b"{") + value.count(b"[") <= MAX_NESTING:
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
    """`data` of an event of this type, known to be well-formed; raises Unusable."""
    if event_type is EventType.DELETED:
        return {}
    if type(data) is not dict:
        raise _bad_shape(f"data of {event_type} is not an object")
    if event_type is EventType.MERGED:
        _check_merge(data.get("into"))
    elif event_type is EventType.EXPIRED:
        _check_expiry(data)
    else:
        _check_membership(data.get("segmentMembership"))
        _check_identities(data.get("identityMap"))
    return data


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


def _check_membership(membership: object) -> None:
    if membership is None:
        return
    if type(membership) is not dict:
        raise _bad_shape("segmentMembership is not an object")
    for namespace, entries in membership.items():
        if entries is None:
            continue
        if type(entries) is not dict:
            raise _bad_shape(f"segmentMembership.{namespace[:64]} is not an object")
        for audience, entry in entries.items():
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
    if identity_map is None:
        return
    if type(identity_map) is not dict:
        raise _bad_shape("identityMap is not an object")
    for namespace, identities in identity_map.items():
        if identities is None:
            continue
        if type(identities) is not list or not all(_is_identity(item) for item in identities):
            raise _bad_shape(f"identityMap.{namespace[:64]} is not a list of {{id, authenticatedState?, primary?}}")


def _is_identity(item: object) -> bool:
    return (
        type(item) is dict
        and type(item.get("id")) is str
        and type(item.get("authenticatedState")) in (str, type(None))
        and type(item.get("primary")) in (bool, type(None))
    )
