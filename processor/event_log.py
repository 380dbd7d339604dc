"""Event logs as files: the three forms of contract 4b read, records and dead letters written. One line at a time.

A line that cannot be parsed, or is of another form than the file's first one, is a dead letter of `profile-events`,
partition 0, its line number (from 0); blank lines are skipped but counted.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.event import SourceRecord
from schemas.record import ExportRecord

DEFAULT_TOPIC: Final = "profile-events"
Form = Callable[[dict[str, Any], bytes, int], SourceRecord]


class _Malformed(Exception):
    """The line is JSON, but not of the file's form."""


def read_events(lines: Iterable[bytes]) -> Iterator[SourceRecord | DeadLetter]:
    """The records of a file, in its order."""
    form: Form | None = None
    for number, ended in enumerate(lines):
        line = ended.strip(b" \t\r\n")
        if not line:
            continue
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield _unreadable(line, number, error)
            continue
        try:
            if type(parsed) is not dict:
                raise _Malformed("the line is JSON but not an object")
            form = form or _form_of(parsed)
            yield form(parsed, line, number)
        except _Malformed as malformed:
            yield _put_aside(line, number, DeadLetterReason.BAD_SHAPE, str(malformed))


def _unreadable(line: bytes, number: int, error: orjson.JSONDecodeError) -> DeadLetter:
    try:
        line.decode()
    except UnicodeDecodeError as not_utf8:
        return _put_aside(line, number, DeadLetterReason.NOT_UTF8, f"{not_utf8.reason} at byte {not_utf8.start}")
    return _put_aside(line, number, DeadLetterReason.NOT_JSON, error.msg)


def _put_aside(line: bytes, number: int, reason: DeadLetterReason, explanation: str) -> DeadLetter:
    return DeadLetter(DEFAULT_TOPIC, 0, number, None, line, reason, explanation, None)


def _form_of(parsed: dict[str, Any]) -> Form:
    if "specversion" in parsed or "offset" not in parsed:
        return _bare_event
    return _kcat_record if "payload" in parsed else _kafka_record


def _bare_event(parsed: dict[str, Any], line: bytes, number: int) -> SourceRecord:
    subject = parsed.get("subject")
    key = subject.encode() if type(subject) is str else None
    return SourceRecord(DEFAULT_TOPIC, 0, number, None, key, line)


def _kafka_record(parsed: dict[str, Any], _line: bytes, _number: int) -> SourceRecord:
    value = _field(parsed, "value", object)
    return _record(parsed, "timestamp", None if value is None else _dumped(value))


def _kcat_record(parsed: dict[str, Any], _line: bytes, _number: int) -> SourceRecord:
    payload = _field(parsed, "payload", str | None)
    return _record(parsed, "ts", None if payload is None else payload.encode())


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise _Malformed(f"value is nested too deeply: {error}") from None


def _record(parsed: dict[str, Any], timestamp_field: str, value: bytes | None) -> SourceRecord:
    key = _field(parsed, "key", str | None)
    timestamp = parsed.get(timestamp_field)
    if type(timestamp) not in (int, type(None)):
        raise _Malformed(f"{timestamp_field} is not a whole number of milliseconds")
    topic, partition, offset = _field(parsed, "topic", str), _field(parsed, "partition", int), _field(parsed, "offset", int)
    return SourceRecord(topic, partition, offset, timestamp, None if key is None else key.encode(), value)


def _field(parsed: dict[str, Any], name: str, kind: Any) -> Any:
    if name not in parsed:
        raise _Malformed(f"{name} is missing: it is not a line of this file's form")
    value = parsed[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise _Malformed(f"{name} has the wrong type")
    return value


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
