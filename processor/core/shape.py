"""Check whether an event's `data` has the shape of its type, and leave out what is as not written (I1, I2, I4, I9)."""

from typing import Any, Final

from processor.core.json_values import MISSING
from processor.core.membership import entry_of, is_missing
from processor.core.numbers import LARGE, check_whole_numbers
from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.event import EventType, IdentityPatch, MembershipPatch
from schemas.times import BadTimeError, normal_time
from schemas.xdm import PREFIX, plain_members

MAX_NESTING: Final = 200
"""Levels of maps and lists an event may have; orjson writes 254, and a record and a row add a few of their own."""

_MAP_BYTES: Final = len(b'{"":}')  # of a map around something
_STATUSES: Final = frozenset({"realized", "existing", "exited", "exiting"})
_SEEMING_STATUS: Final = frozenset({"status", "state"})
_NONE: Final[dict[str, Any]] = {}
PREFIXED: Final = 1  # what was found, bit by bit: a name with the prefix `xdm:`
LARGE_NUMBER: Final = 2  # a double that may have been written as a whole number (I13)
EMPTY: Final = 4  # an identity whose id is empty
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
    if look_through(data) & PREFIXED:
        data = plain_members(data)
    if event_type is EventType.MERGED:
        _check_merge(data.get("into"))
    else:
        _check_expiry(data)
    return data


def take_apart(
    event_type: EventType, data: object, text: bytes, member: str = "data"
) -> tuple[dict[str, Any], MembershipPatch, IdentityPatch]:
    """Return (attributes, memberships, identities) of a patch or a document, known to be well-formed. Home of I9.

    Raises Unusable. Uses up `data`: the attributes are what remains of it. It was read from the member `member` of the
    JSON object `text`, or from `text` itself where `member` is "".
    """
    if not isinstance(data, dict):
        raise _no_object(event_type)
    attributes: dict[str, Any] = data
    memberships = attributes.pop("segmentMembership", MISSING)
    identities = attributes.pop("identityMap", MISSING)
    found = look_through(attributes)
    if found & PREFIXED:
        memberships = _other_spelling(attributes, "segmentMembership", memberships)
        identities = _other_spelling(attributes, "identityMap", identities)
        attributes = plain_members(attributes)
    if memberships is MISSING:
        memberships = _NONE
    elif memberships is not None:
        found |= _read_memberships(memberships)
    if identities is MISSING:
        identities = _NONE
    elif identities is not None:
        found |= _read_identities(identities)
    if found & LARGE_NUMBER:
        check_whole_numbers(text, member)
    return attributes, memberships, identities


def _other_spelling(attributes: dict[str, Any], name: str, value: object) -> object:
    """Take what stands under the prefixed name out of the attributes, and return it where the plain one has nothing."""
    prefixed = attributes.pop(PREFIX + name, MISSING)
    return prefixed if value is MISSING else value


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


def _read_memberships(membership: object) -> int:
    """Check every entry, and return what was found in them.

    Puts the text in which an entry is kept in the place of one that names both fields and no other.
    """
    if not isinstance(
        membership, dict
    ):  # which compiled code turns into a dict's own operations, as it does not `type(…) is`
        raise _bad_shape("segmentMembership is not an object")
    found = 0
    if "" in membership:
        del membership[""]  # as not written (I9)
    for namespace, entries in membership.items():
        if entries is None:
            continue
        if not isinstance(entries, dict):
            raise _bad_shape(f"segmentMembership.{namespace[:64]} is not an object")
        if "" in entries:
            raise _bad_shape(f"segmentMembership.{namespace[:64]} holds an entry whose audience id is empty")
        for audience, entry in entries.items():
            try:
                if len(entry) == 2:
                    entries[audience] = entry_of(entry["lastQualificationTime"], entry["status"])
                    continue
            except (TypeError, KeyError, BadTimeError):
                pass  # not plain, or not good: a closer look
            if entry is not None:
                found |= _read_entry(namespace, audience, entries)
    return found


def _read_entry(namespace: str, audience: str, entries: dict[str, Any]) -> int:
    """Check one entry, and put it in plain spelling in its place; return what was found in it.

    A time that is as missing is left out (I9).
    """
    entry: Any = entries[audience]
    if not isinstance(entry, dict):
        raise _bad_shape(f"segmentMembership.{namespace[:64]}.{audience[:64]} is not an object")
    found = look_through(entry)
    if found & PREFIXED:
        entry = entries[audience] = plain_members(entry)
    _check_status(namespace, audience, entry)
    time = entry.get("lastQualificationTime")
    if time is not None and is_missing(
        _read_time(f"segmentMembership.{namespace[:64]}.{audience[:64]}.lastQualificationTime", time)
    ):
        del entry["lastQualificationTime"]
    end = entry.get("validUntil")
    if end is not None:
        _read_time(f"segmentMembership.{namespace[:64]}.{audience[:64]}.validUntil", end)
    return found


def _check_status(namespace: str, audience: str, entry: dict[str, Any]) -> None:
    """A status that is spelled otherwise must not become `realized`, which an entry without one is."""
    what = f"segmentMembership.{namespace[:64]}.{audience[:64]}"
    if "status" in entry:
        status = entry["status"]
        if type(status) is not str or status not in _STATUSES:
            found = "null: leave it out, or write one" if status is None else "none"
            raise Unusable(DeadLetterReason.BAD_STATUS, f"{what}.status is {found} of {', '.join(sorted(_STATUSES))}")
        return
    for name in entry:
        if name.strip().casefold() in _SEEMING_STATUS:
            raise Unusable(DeadLetterReason.BAD_STATUS, f"{what} has no status, but {name!r}: write it as 'status'")


def _read_time(what: str, time: object) -> str:
    if type(time) is not str:
        raise Unusable(DeadLetterReason.BAD_TIME, f"{what} is not a string")
    try:
        return normal_time(time)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"{what}: {error}") from None


def _read_identities(identity_map: object) -> int:
    """Check every identity, and take out what is as not written (I9); return what was found in them."""
    if not isinstance(identity_map, dict):
        raise _bad_shape("identityMap is not an object")
    found = 0
    if "" in identity_map:
        del identity_map[""]
    for namespace, identities in identity_map.items():
        if identities is None:
            continue
        if not isinstance(identities, list):
            raise _bad_identities(namespace)
        seen = 0
        for place, item in enumerate(identities):
            if not isinstance(item, dict):
                raise _bad_identities(namespace)
            item_id = item.get("id")
            if isinstance(item_id, str) and item_id and (len(item) == 1 or _has_known_fields(item)):
                continue
            seen |= _read_identity(namespace, place, identities)
        if seen & EMPTY:
            identities[:] = [item for item in identities if item["id"]]
        found |= seen
    return found


def _has_known_fields(identity: dict[str, Any]) -> bool:
    """Return whether an identity has nothing beside its id but the two fields that XDM names, as they should be.

    Nearly all have no others.
    """
    size = len(identity)
    if isinstance(identity.get("authenticatedState"), str):
        size -= 1
    if isinstance(identity.get("primary"), bool):
        size -= 1
    return size == 1


def _read_identity(namespace: str, place: int, identities: list[Any]) -> int:
    """Check one identity, and put it in plain spelling in its place; return what was found in it."""
    item: dict[str, Any] = identities[place]
    found = look_through(item)
    if found & PREFIXED:
        item = identities[place] = plain_members(item)
    item_id = item.get("id")
    if type(item_id) is not str:
        raise _bad_identities(namespace)
    if not item_id:
        return found | EMPTY  # whatever it says beside
    if not _has_good_fields(item):
        raise _bad_identities(namespace)
    return found


def _bad_identities(namespace: str) -> Unusable:
    return _bad_shape(f"identityMap.{namespace[:64]} is not a list of {{id, authenticatedState?, primary?}}")


def _has_good_fields(identity: dict[str, Any]) -> bool:
    return type(identity.get("authenticatedState")) in (str, type(None)) and type(identity.get("primary")) in (
        bool,
        type(None),
    )


def look_through(members: dict[str, Any]) -> int:
    """Look for names with the prefix `xdm:` and for large doubles in an object and below it.

    Returns which of them (PREFIXED, LARGE_NUMBER) there are.
    """
    found = 0
    for name, value in members.items():
        if name.startswith(PREFIX):
            found |= PREFIXED
        if isinstance(value, str):
            continue
        if isinstance(value, dict):
            found |= look_through(value)
        elif isinstance(value, list):
            found |= _look_through_list(value)
        elif isinstance(value, float) and not -LARGE < value < LARGE:
            found |= LARGE_NUMBER
    return found


def _look_through_list(items: list[Any]) -> int:
    found = 0
    for value in items:
        if isinstance(value, dict):
            found |= look_through(value)
        elif isinstance(value, list):
            found |= _look_through_list(value)
        elif isinstance(value, float) and not -LARGE < value < LARGE:
            found |= LARGE_NUMBER
    return found
