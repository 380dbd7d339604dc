"""Read a valid event from a Kafka record, or say why it cannot be used (I1 to I4, I10).

structured mode   the value is the event, as nearly always: no header is looked at twice
binary mode       headers are its attributes, the value its data: put together to the event that structured mode has
"""

from base64 import b64decode
from typing import Any, Final

import orjson

from processor.core.content_mode import Head, is_json_type, media_type_of, other_content_type, read_head
from processor.core.numbers import is_json
from processor.core.profile_id import read_profile_id
from processor.core.shape import check_data, check_nesting, take_apart
from processor.core.unusable import Unusable
from processor.core.wrappers import wrapper_of_bytes, wrapper_of_data, wrapper_of_json, wrapper_of_value
from schemas.dead_letter import DeadLetterReason
from schemas.event import LONGEST_KEPT, Event, EventType, IdentityPatch, MembershipPatch, kept_text
from schemas.kafka import ConsumerRecord
from schemas.times import BadTimeError, format_time, normal_time

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MARK_BYTES: Final = 3
_TOO_DEEP: Final = frozenset(
    {"depth limit exceeded", "Recursion limit reached"}
)  # orjson's, of 3.13 and before, at more than 1,024 levels
_TOO_LARGE_A_NUMBER: Final = "number is infinity when parsed as double"  # orjson's, of `1e400`
MAX_ATTRIBUTE_BYTES: Final = 1024
"""Of `id` and `source`, in UTF-8."""
_TYPES: Final = {member.value: member for member in EventType}
_OF_DOCUMENTS: Final = (EventType.PATCHED, EventType.REPLACED)
_DELETED: Final = EventType.DELETED
_MERGED: Final = EventType.MERGED
_NONE: Final[dict[str, Any]] = {}


def parse_event(record: ConsumerRecord) -> Event:
    """Return the event in `record`; raise Unusable where it has none. Home of I1.

    A null value without attributes in headers is a deletion.

    Of several faults the first in the order of I4 is told: the value's before the key's, since a bare line's key is its
    subject, and what is no CloudEvent has none (4b).
    """
    headers = record.headers
    if headers:
        head = read_head(headers)
        if head is not None:
            return _read_by_head(record, head)
    value = record.value
    if value is None:
        return _tombstone(record)
    return _event(record, _load(value), value)


def _tombstone(record: ConsumerRecord) -> Event:
    return Event(None, EventType.DELETED, read_profile_id(record.key), _kafka_time(record), {}, {}, {}, 0)


def _event(record: ConsumerRecord, envelope: dict[str, Any], text: bytes, member: str = "data") -> Event:
    """Return the event of an envelope, with the defaults that its record has for it. Home of I3.

    Its data were read from the member `member` of the JSON object `text`, or from `text` itself where that is "".
    """
    event_id, source, type_name, subject = _attributes(envelope)
    event_type = _TYPES.get(type_name)
    if event_type is None:
        raise Unusable(DeadLetterReason.UNKNOWN_TYPE, f"type {type_name[:64]!r} is none of {', '.join(_TYPES)}")
    if len(event_id) > LONGEST_KEPT or len(source) > LONGEST_KEPT:
        _check_length("id", event_id)
        _check_length("source", source)
        event_id, source = kept_text(event_id), kept_text(source)
    time = _event_time(envelope.get("time"), record)
    given = envelope.get("data")
    if (type(given) is str or "data_base64" in envelope) and event_type is not _DELETED:
        given, decoded = _unwrapped(envelope)
        if decoded:
            text, member = decoded, ""
    memberships: MembershipPatch = _NONE
    identities: IdentityPatch = _NONE
    if event_type in _OF_DOCUMENTS:
        data, memberships, identities = take_apart(event_type, given, text, member)
    else:
        data = check_data(event_type, given)
    key = read_profile_id(record.key)
    if subject != key and subject is not None:
        raise _wrong_subject(subject, key)
    if event_type is _MERGED and data["into"] == key:
        raise Unusable(DeadLetterReason.BAD_SHAPE, "data.into names the profile itself")
    trace = (envelope["traceparent"], envelope.get("tracestate")) if "traceparent" in envelope else None
    return Event(event_id, event_type, key, time, data, memberships, identities, len(text), trace, source)


def _read_by_head(record: ConsumerRecord, head: Head) -> Event:
    """Return the event of a record whose headers say what its value is. Home of I10.

    A value that is a whole event is one, whatever the content type.
    """
    value = record.value
    if value is None:
        if not head.has_attributes:
            return _tombstone(record)
        head.require_attributes()
        return _event(record, head.attributes, b"")
    if head.has_attributes and not head.is_structured:
        envelope = _binary(head, value)
        return _event(record, envelope, value, "" if envelope is head.attributes else "data")
    try:
        return _event(record, _load(value), value)
    except Unusable as unusable:
        raise head.explained(unusable) from None


def _binary(head: Head, value: bytes) -> dict[str, Any]:
    """Return the event of binary mode as structured mode has it.

    A value that is itself a whole event stays one: headers may repeat its attributes.
    """
    try:
        data = load_json(value)
    except Unusable as unusable:
        if not head.names_json:
            raise other_content_type(head.media_type, unusable.explanation) from None
        if head.attributes.get("type") != _DELETED:
            raise
        data = None  # which is ignored (I1)
    if type(data) is dict and "specversion" in data and not _why_no_cloud_event(data):
        check_nesting(value, data)
        return data
    if not head.names_json:
        raise other_content_type(head.media_type, "if the value is JSON, say so in the header content-type")
    head.require_attributes()
    if (
        (type(data) is not dict or "payload" in data)
        and (wrapper := wrapper_of_value(data))
        and head.attributes["type"] != _DELETED
    ):
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, f"the value: {wrapper}")
    _check_depth_of_data(value, data)
    head.attributes["data"] = data
    return head.attributes


def _unwrapped(envelope: dict[str, Any]) -> tuple[object, bytes]:
    """Return the data that stand in `data_base64` and the JSON they were read from, or data that are a text, and b"".

    Raises Unusable where a text is what another tool made of JSON.
    """
    data, encoded, text = envelope.get("data"), envelope.get("data_base64"), b""
    if encoded is not None:
        if data is not None:
            raise Unusable(
                DeadLetterReason.NOT_CLOUDEVENTS, "data and data_base64 stand side by side: an event has one of them"
            )
        content_type = envelope.get("datacontenttype")
        if type(content_type) is str and not is_json_type(media_type_of(content_type)):
            raise other_content_type(
                media_type_of(content_type), "if data_base64 holds JSON, say so in datacontenttype"
            )
        data, text = _from_base64(encoded)
    wrapper = wrapper_of_data(data)
    if wrapper:
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, f"data: {wrapper}")
    return data, text


def _from_base64(encoded: object) -> tuple[object, bytes]:
    if type(encoded) is not str:
        raise Unusable(DeadLetterReason.BAD_SHAPE, "data_base64 is not a string")
    try:
        text = b64decode(encoded, validate=True)
    except ValueError as error:
        raise Unusable(
            DeadLetterReason.BAD_SHAPE, f"data_base64 is not base64 (RFC 4648, section 4): {error}"
        ) from None
    try:
        data = load_json(text)
    except Unusable as unusable:
        raise Unusable(unusable.reason, f"data_base64, decoded: {unusable.explanation}") from None
    _check_depth_of_data(text, data)
    return data, text


def load_json(text: bytes) -> Any:
    """Return the JSON value of a text; byte order marks before it are passed over (I10). Raises Unusable."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text[:_MARK_BYTES] != BYTE_ORDER_MARK:
            raise why_not_json(text, error) from None
    marked = without_marks(text)
    try:
        return orjson.loads(marked)
    except orjson.JSONDecodeError as error:
        raise why_not_json(marked, error) from None


def without_marks(text: bytes) -> bytes:
    """Return a text without the byte order marks that it begins with: files that were joined have several."""
    begin = 0
    while text[begin : begin + _MARK_BYTES] == BYTE_ORDER_MARK:
        begin += _MARK_BYTES
    return text[begin:]


def why_not_json(value: bytes, error: orjson.JSONDecodeError) -> Unusable:
    """Explain bytes that orjson refused with `error`."""
    if error.msg in _TOO_DEEP:
        reason, fault = DeadLetterReason.BAD_SHAPE, f"nested too deeply: {error.msg}"
    elif error.msg == _TOO_LARGE_A_NUMBER and is_json(value):
        where = f"line {error.lineno}, column {error.colno}"
        reason, fault = (
            DeadLetterReason.BAD_NUMBER,
            f"a number is too large for a double ({where}): write it as a string",
        )
    else:
        reason, fault = DeadLetterReason.NOT_JSON, f"{error.msg} (line {error.lineno}, column {error.colno})"
    try:
        value.decode()
    except UnicodeDecodeError as not_utf8:
        reason, fault = DeadLetterReason.NOT_UTF8, f"{not_utf8.reason} at byte {not_utf8.start}"
    return Unusable(reason, _told(fault, wrapper_of_bytes(value)))


def _told(fault: str, wrapper: str) -> str:
    return f"{fault}; {wrapper}" if wrapper else fault


def _wrong_subject(subject: str, key: str) -> Unusable:
    if not subject:
        return Unusable(DeadLetterReason.NOT_CLOUDEVENTS, "subject is empty")
    return Unusable(DeadLetterReason.SUBJECT_MISMATCH, f"subject {subject[:64]!r} is not the key {key[:64]!r}")


def _load(value: bytes) -> dict[str, Any]:
    """Return the object in `value`, of which the whole event is to be made."""
    envelope = load_json(value)
    if type(envelope) is not dict:
        raise Unusable(
            DeadLetterReason.NOT_CLOUDEVENTS, _told("the value is JSON but not an object", wrapper_of_json(envelope))
        )
    check_nesting(value, envelope)
    return envelope


def _check_depth_of_data(text: bytes, data: object) -> None:
    """As `check_nesting`, of data that stand one level below their event."""
    check_nesting(b'{"data":' + text + b"}", {"data": data})


def _attributes(envelope: dict[str, Any]) -> tuple[str, str, str, str | None]:
    """Return (id, source, type, subject) of a CloudEvents 1.0 object; an attribute that is null counts as absent."""
    get = envelope.get
    event_id, source, type_name, subject = get("id"), get("source"), get("type"), get("subject")
    if not (
        get("specversion") == "1.0"
        and (type(event_id) is str and event_id)
        and (type(source) is str and source)
        and (type(type_name) is str and type_name)
        and (subject is None or type(subject) is str)
    ):
        raise Unusable(
            DeadLetterReason.NOT_CLOUDEVENTS, _told(_why_no_cloud_event(envelope), wrapper_of_json(envelope))
        )
    return event_id, source, type_name, subject


def _check_length(name: str, value: str) -> None:
    size = len(value.encode())
    if size > MAX_ATTRIBUTE_BYTES:
        raise Unusable(
            DeadLetterReason.BAD_SHAPE, f"{name} has {size} bytes, {MAX_ATTRIBUTE_BYTES} at most are allowed"
        )


def _why_no_cloud_event(envelope: dict[str, Any]) -> str:
    """Return what keeps an object from being an event; "" for one that is."""
    if envelope.get("specversion") != "1.0":
        return 'specversion is not "1.0"'
    for name in ("id", "source", "type"):
        value = envelope.get(name)
        if type(value) is not str or not value:
            return f"{name} is missing, empty or not a string"
    return "" if type(envelope.get("subject")) in (str, type(None)) else "subject is not a string"


def _event_time(time: object, record: ConsumerRecord) -> str:
    if time is None:
        return _kafka_time(record)
    if type(time) is not str:
        raise Unusable(DeadLetterReason.BAD_TIME, "time is not a string")
    try:
        return normal_time(time)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"time: {error}") from None


def _kafka_time(record: ConsumerRecord) -> str:
    if record.timestamp is None or record.timestamp < 0:
        raise Unusable(DeadLetterReason.BAD_TIME, "the event has no time and the Kafka record no timestamp")
    try:
        return format_time(record.timestamp // 1000)
    except BadTimeError as error:
        raise Unusable(DeadLetterReason.BAD_TIME, f"Kafka timestamp: {error}") from None
