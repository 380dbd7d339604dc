"""From the bytes of a Kafka record to a valid event, or the reason why not (contract I1 to I4)."""

from typing import Any, Final

import orjson

from processor.core.numbers import is_json
from processor.core.shape import check_data, check_nesting, take_apart
from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.event import LONGEST_KEPT, Event, EventType, IdentityPatch, MembershipPatch, Source, kept_text
from schemas.times import BadTimeError, format_time, normal_time

MAX_KEY_BYTES: Final = 512
_TOO_DEEP: Final = frozenset({"depth limit exceeded", "Recursion limit reached"})  # orjson's, of 3.13 and before, at more than 1,024 levels
_TOO_LARGE_A_NUMBER: Final = "number is infinity when parsed as double"  # orjson's, of `1e400`
MAX_ATTRIBUTE_BYTES: Final = 1024
"""Of `id` and `source`, in UTF-8."""
_TYPES: Final = {member.value: member for member in EventType}
_OF_DOCUMENTS: Final = (EventType.PATCHED, EventType.REPLACED)
_MERGED: Final = EventType.MERGED
_NONE: Final[dict[str, Any]] = {}


def parse_event(record: Source) -> Event:
    """The event in `record`; raises Unusable. A null value is a deletion (I1).

    Of several faults the first in the order of I4 is told: the value's before the key's, since a bare line's key is its
    subject, and what is no CloudEvent has none (4b).
    """
    value = record.value
    if value is None:
        return Event(None, EventType.DELETED, _profile_id(record.key), _kafka_time(record), {}, {}, {}, 0)
    envelope = _load(value)
    event_id, source, type_name, subject = _attributes(envelope)
    event_type = _TYPES.get(type_name)
    if event_type is None:
        raise Unusable(DeadLetterReason.UNKNOWN_TYPE, f"type {type_name[:64]!r} is none of {', '.join(_TYPES)}")
    if len(event_id) > LONGEST_KEPT or len(source) > LONGEST_KEPT:
        _check_length("id", event_id)
        _check_length("source", source)
        event_id, source = kept_text(event_id), kept_text(source)
    time = _event_time(envelope.get("time"), record)
    memberships: MembershipPatch = _NONE
    identities: IdentityPatch = _NONE
    if event_type in _OF_DOCUMENTS:
        data, memberships, identities = take_apart(event_type, envelope.get("data"), value)
    else:
        data = check_data(event_type, envelope.get("data"))
    key = _profile_id(record.key)
    if subject != key and subject is not None:
        raise _wrong_subject(subject, key)
    if event_type is _MERGED and data["into"] == key:
        raise Unusable(DeadLetterReason.BAD_SHAPE, "data.into names the profile itself")
    trace = (envelope["traceparent"], envelope.get("tracestate")) if "traceparent" in envelope else None
    return Event(event_id, event_type, key, time, data, memberships, identities, len(value), trace, source)


def why_not_json(value: bytes, error: orjson.JSONDecodeError) -> Unusable:
    """What is wrong with bytes that orjson refused with `error`."""
    try:
        value.decode()
    except UnicodeDecodeError as not_utf8:
        return Unusable(DeadLetterReason.NOT_UTF8, f"{not_utf8.reason} at byte {not_utf8.start}")
    if error.msg in _TOO_DEEP:
        return Unusable(DeadLetterReason.BAD_SHAPE, f"nested too deeply: {error.msg}")
    if error.msg == _TOO_LARGE_A_NUMBER and is_json(value):
        where = f"line {error.lineno}, column {error.colno}"
        return Unusable(DeadLetterReason.BAD_NUMBER, f"a number is too large for a double ({where}): write it as a string")
    return Unusable(DeadLetterReason.NOT_JSON, f"{error.msg} (line {error.lineno}, column {error.colno})")


def _wrong_subject(subject: str, key: str) -> Unusable:
    if not subject:
        return Unusable(DeadLetterReason.NOT_CLOUDEVENTS, "subject is empty")
    return Unusable(DeadLetterReason.SUBJECT_MISMATCH, f"subject {subject[:64]!r} is not the key {key[:64]!r}")


def _profile_id(key: bytes | None) -> str:
    if not key:
        raise Unusable(DeadLetterReason.BAD_KEY, "the record has no key: it must be the profile id")
    if len(key) > MAX_KEY_BYTES:
        raise Unusable(DeadLetterReason.BAD_KEY, f"the key has {len(key)} bytes, {MAX_KEY_BYTES} at most are allowed")
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise Unusable(DeadLetterReason.BAD_KEY, f"the key is not UTF-8: {error.reason} at {error.start}") from None


def _load(value: bytes) -> dict[str, Any]:
    try:
        envelope = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise why_not_json(value, error) from None
    if type(envelope) is not dict:
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, "the value is JSON but not an object")
    check_nesting(value, envelope)
    return envelope


def _attributes(envelope: dict[str, Any]) -> tuple[str, str, str, str | None]:
    """(id, source, type, subject) of a CloudEvents 1.0 object; an attribute that is null counts as absent."""
    get = envelope.get
    event_id, source, type_name, subject = get("id"), get("source"), get("type"), get("subject")
    if not (
        get("specversion") == "1.0"
        and (type(event_id) is str and event_id)
        and (type(source) is str and source)
        and (type(type_name) is str and type_name)
        and (subject is None or type(subject) is str)
    ):
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, _why_no_cloud_event(envelope))
    return event_id, source, type_name, subject


def _check_length(name: str, value: str) -> None:
    size = len(value.encode())
    if size > MAX_ATTRIBUTE_BYTES:
        raise Unusable(DeadLetterReason.BAD_SHAPE, f"{name} has {size} bytes, {MAX_ATTRIBUTE_BYTES} at most are allowed")


def _why_no_cloud_event(envelope: dict[str, Any]) -> str:
    if envelope.get("specversion") != "1.0":
        return 'specversion is not "1.0"'
    for name in ("id", "source", "type"):
        value = envelope.get(name)
        if type(value) is not str or not value:
            return f"{name} is missing, empty or not a string"
    return "subject is not a string"


def _event_time(time: object, record: Source) -> str:
    if time is None:
        return _kafka_time(record)
    if type(time) is not str:
        raise Unusable(DeadLetterReason.BAD_TIME, "time is not a string")
    try:
        return normal_time(time)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"time: {error}") from None


def _kafka_time(record: Source) -> str:
    if record.timestamp is None or record.timestamp < 0:
        raise Unusable(DeadLetterReason.BAD_TIME, "the event has no time and the Kafka record no timestamp")
    try:
        return format_time(record.timestamp // 1000)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"Kafka timestamp: {error}") from None
