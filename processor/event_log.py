"""Event logs as files: the three forms of contract 4b read, records and dead letters written. One line at a time.

The first line that is of one of the forms says which one the file has. A line that cannot be parsed, or is of another
form, is a dead letter of `profile-events`, partition 0, its line number (from 0); blank lines are skipped but counted.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from processor.core.parse import why_not_json
from processor.core.unusable import Unusable
from processor.json_text import member_text
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.event import SourceRecord
from schemas.record import ExportRecord

DEFAULT_TOPIC: Final = "profile-events"
Form = Callable[[dict[str, Any], bytes, int], SourceRecord]


def read_events(lines: Iterable[bytes]) -> Iterator[SourceRecord | DeadLetter]:
    """The records of a file, in its order."""
    form: Form | None = None
    for number, ended in enumerate(lines):
        line = ended.strip(b" \t\r\n")
        if not line:
            continue
        try:
            parsed = _load(line)
            form = form or _form_of(parsed)
            yield (form or _bare_event)(parsed, line, number)
        except Unusable as unusable:
            yield DeadLetter(DEFAULT_TOPIC, 0, number, None, line, unusable.reason, unusable.explanation, None)


def _load(line: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        unusable = why_not_json(line, error)
        if unusable.reason is not DeadLetterReason.BAD_NUMBER:
            raise unusable from None
        parsed = json.loads(line)  # a good line: only the event in it holds a number that no double does (I13)
    if type(parsed) is not dict:
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, "the line is JSON but not an object")
    return parsed


def _form_of(parsed: dict[str, Any]) -> Form | None:
    """The form that the line has; None: none of the three, which says nothing about the file's."""
    if "specversion" in parsed:
        return _bare_event
    if "offset" not in parsed:
        return None
    return _kcat_record if "payload" in parsed else _kafka_record if "value" in parsed else None


def _bare_event(parsed: dict[str, Any], line: bytes, number: int) -> SourceRecord:
    if _form_of(parsed) not in (_bare_event, None):
        raise _malformed("a Kafka record, but the file's first line is a CloudEvent")
    subject = parsed.get("subject")
    key = subject.encode() if type(subject) is str else None
    return SourceRecord(DEFAULT_TOPIC, 0, number, None, key, line)


def _kafka_record(parsed: dict[str, Any], line: bytes, _number: int) -> SourceRecord:
    value = _field(parsed, "value", object)
    return _record(parsed, "timestamp", None if value is None else _as_written(value, line))


def _as_written(value: Any, line: bytes) -> bytes:
    """The text of the member `value`: a dead letter keeps it, spelling and all (I4)."""
    try:
        compact = orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return member_text(line, "value")
    return compact if b'"value":' + compact in line else member_text(line, "value")  # mostly it is compact, and no scan is needed


def _kcat_record(parsed: dict[str, Any], _line: bytes, _number: int) -> SourceRecord:
    payload = _field(parsed, "payload", str | None)
    return _record(parsed, "ts", None if payload is None else payload.encode())


def _record(parsed: dict[str, Any], timestamp_field: str, value: bytes | None) -> SourceRecord:
    key = parsed.get("key")
    if not isinstance(key, str | None):
        raise _malformed("key is not a text")
    timestamp = parsed.get(timestamp_field)
    if type(timestamp) not in (int, type(None)):
        raise _malformed(f"{timestamp_field} is not a whole number of milliseconds")
    topic, partition, offset = _field(parsed, "topic", str), _place(parsed, "partition"), _place(parsed, "offset")
    return SourceRecord(topic, partition, offset, timestamp, None if key is None else key.encode(), value)


def _place(parsed: dict[str, Any], name: str) -> int:
    number: int = _field(parsed, name, int)
    if isinstance(number, bool) or number < 0:
        raise _malformed(f"{name} is not a number from 0")
    return number


def _field(parsed: dict[str, Any], name: str, kind: Any) -> Any:
    if name not in parsed:
        raise _malformed(f"{name} is missing: it is not a line of this file's form")
    value = parsed[name]
    if not isinstance(value, kind):
        raise _malformed(f"{name} has the wrong type")
    return value


def _malformed(explanation: str) -> Unusable:
    """The line is a JSON object, but not of the file's form."""
    return Unusable(DeadLetterReason.BAD_SHAPE, explanation)


def record_line(record: ExportRecord) -> bytes:
    """One line of replay's output."""
    fields = {"id": record.id, "flow": record.flow_id, "key": record.key, "time": record.time, "version": record.version}
    return orjson.dumps({**fields, "causes": record.causes, "data": orjson.Fragment(record.data)}, option=orjson.OPT_APPEND_NEWLINE)


def dead_letter_line(letter: DeadLetter) -> bytes:
    """One line of the dead letters; `valueBase64` where the value is not UTF-8."""
    fields: dict[str, Any] = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}
    fields["key"] = None if letter.key is None else letter.key.decode(errors="replace")
    fields |= {"reason": letter.reason, "explanation": letter.explanation, "time": letter.time}
    try:
        fields["value"] = None if letter.value is None else letter.value.decode()
    except UnicodeDecodeError:
        fields["valueBase64"] = b64encode(letter.value or b"").decode()
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
