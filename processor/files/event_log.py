"""Read event logs in the three forms of contract 4b, and write records and dead letters, a line at a time.

The first line that is of one of the forms says which one the file has. A line that cannot be parsed, or is of another
form, is a dead letter of `profile-events`, partition 0, its line number (from 0); blank lines are skipped but counted.
A byte order mark before a line is passed over (I10). A file that is no text in UTF-8 at all is refused as a whole.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

import orjson

from processor.core.parse import load_json, without_marks
from processor.core.unusable import Unusable
from processor.core.wrappers import wrapper_of_file, wrapper_of_json
from processor.files.json_text import member_text
from processor.foundation.errors import UsageError
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.export import ExportRecord
from schemas.kafka import Headers, ReadRecord

DEFAULT_TOPIC: Final = "profile-events"
Form = Callable[[dict[str, Any], bytes, int], ReadRecord]
_MARK_BYTES: Final = 64  # of a file's beginning, blank lines included: more than any mark has
_MOST_DIGITS: Final = 19  # of a whole number that is surely within 64 bits
_BLANKS: Final = b" \t\r\n"
_ONE_ARRAY: Final = "the file looks like one JSON array: make it JSON lines, one event a line: jq -c '.[]' FILE"
_ONE_OBJECT: Final = "an event must stand in one line: jq -c . FILE"


def read_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of a file of events; raise UsageError for one in UTF-16 or compressed (I10)."""
    lines, beginning = iter(file), list[bytes]()
    for line in lines:
        beginning.append(line)
        if sum(map(len, beginning)) >= _MARK_BYTES:
            break
    if what := wrapper_of_file(b"".join(beginning)):
        raise UsageError(f"{getattr(file, 'name', 'the file of events')} is not JSON lines in UTF-8: {what}")
    return chain(beginning, lines)


def read_events(lines: Iterable[bytes]) -> Iterator[ReadRecord | DeadLetter]:
    """Yield the records of a file in its order, and a dead letter for each line that is none."""
    form: Form | None = None
    for number, ended in enumerate(lines):
        line = (without_marks(ended) if number == 0 else ended).strip(_BLANKS)
        if not without_marks(line):
            continue
        try:
            parsed = _load(line)
            form = form or _form_of(parsed)
            yield (form or _bare_event)(parsed, line, number)
        except Unusable as unusable:
            yield DeadLetter(DEFAULT_TOPIC, 0, number, None, line, unusable.reason, unusable.explanation, None)


def _load(line: bytes) -> dict[str, Any]:
    try:
        parsed = load_json(line)
    except Unusable as unusable:
        text = without_marks(line)
        if unusable.reason is not DeadLetterReason.BAD_NUMBER:
            raise Unusable(unusable.reason, f"{unusable.explanation}{_explain_several_lines(text)}") from None
        parsed = _with_a_number_too_large(text)
    if type(parsed) is not dict:
        what = _ONE_ARRAY if type(parsed) is list else wrapper_of_json(parsed)
        raise Unusable(DeadLetterReason.NOT_CLOUDEVENTS, f"the line is JSON but not an object{what and f'; {what}'}")
    return parsed


def _with_a_number_too_large(text: bytes) -> Any:
    """Parse a line that orjson refused for a number that no double holds: the number may stand in its event (I13)."""
    parsed = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS else float(digits))
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise Unusable(
            DeadLetterReason.NOT_JSON, "half of a surrogate pair is no text, or it is nested too deeply"
        ) from None
    return parsed


def _explain_several_lines(line: bytes) -> str:
    """Explain a line that is no JSON by its file: people pretty-print events, or export them as one array."""
    if line in (b"[", b"]", b"[{") or line.endswith((b"},", b"}]")):
        return f"; {_ONE_ARRAY}"
    return f"; {_ONE_OBJECT}" if line in (b"{", b"}") else ""


def _form_of(parsed: dict[str, Any]) -> Form | None:
    """Return the form that the line has; None for none of the three, which says nothing about the file's."""
    if "specversion" in parsed:
        return _bare_event
    if "offset" not in parsed:
        return None
    return _kcat_record if "payload" in parsed else _kafka_record if "value" in parsed else None


def _bare_event(parsed: dict[str, Any], line: bytes, number: int) -> ReadRecord:
    if _form_of(parsed) not in (_bare_event, None):
        raise _malformed("a Kafka record, but the file's first line is a CloudEvent")
    subject = parsed.get("subject")
    key = subject.encode() if type(subject) is str else None
    return ReadRecord(DEFAULT_TOPIC, 0, number, None, key, line)


def _kafka_record(parsed: dict[str, Any], line: bytes, _number: int) -> ReadRecord:
    value = _field(parsed, "value", object)
    return _record(parsed, "timestamp", None if value is None else _as_written(value, line))


def read_headers(written: object) -> Headers:
    """Read the headers of a record as people and tools write them; none where their form is not known.

        {"name": "text"}                                an object, a list of texts for a header that stands twice
        [["name", "text"], …]                           pairs
        [{"key": "name", "value": "text"}, …]           objects
        ["name", "text", …]                             as kcat prints them

    A value is a text, or null; any other is its JSON text.
    """
    if isinstance(written, dict):
        pairs: list[Any] = [
            (name, each) for name, value in written.items() for each in (value if isinstance(value, list) else [value])
        ]
    elif not isinstance(written, list):
        return ()
    elif all(isinstance(each, list) and len(each) == 2 for each in written):
        pairs = written
    elif all(isinstance(each, dict) for each in written):
        pairs = [(each.get("key", each.get("name")), each.get("value")) for each in written]
    else:
        pairs = list(zip(written[::2], written[1::2], strict=False))
    return tuple([(name, _header_bytes(value)) for name, value in pairs if isinstance(name, str)])


def _header_bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode()
    try:
        # whatever its numbers: orjson writes 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except RecursionError:
        return None


def _as_written(value: Any, line: bytes) -> bytes:
    """Return the text of the member `value`, spelling and all, which a dead letter keeps (I4)."""
    try:
        compact = orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return member_text(line, "value")
    # mostly it is compact, and no scan is needed
    return compact if b'"value":' + compact in line else member_text(line, "value")


def _kcat_record(parsed: dict[str, Any], _line: bytes, _number: int) -> ReadRecord:
    payload = _field(parsed, "payload", str | None)
    return _record(parsed, "ts", None if payload is None else payload.encode())


def _record(parsed: dict[str, Any], timestamp_field: str, value: bytes | None) -> ReadRecord:
    key = parsed.get("key")
    if not isinstance(key, str | None):
        raise _malformed("key is not a text")
    timestamp = parsed.get(timestamp_field)
    if type(timestamp) not in (int, type(None)):
        raise _malformed(f"{timestamp_field} is not a whole number of milliseconds")
    topic, partition, offset = (
        _field(parsed, "topic", str),
        _number_from_0(parsed, "partition"),
        _number_from_0(parsed, "offset"),
    )
    headers = read_headers(parsed.get("headers"))
    return ReadRecord(topic, partition, offset, timestamp, None if key is None else key.encode(), value, headers)


def _number_from_0(parsed: dict[str, Any], name: str) -> int:
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
    """Return the error of a line that is a JSON object, but not of the file's form."""
    return Unusable(DeadLetterReason.BAD_SHAPE, explanation)


def encode_record_line(record: ExportRecord) -> bytes:
    """Write one line of replay's output."""
    fields = {
        "id": record.id,
        "flow": record.flow_id,
        "key": record.key,
        "time": record.time,
        "version": record.version,
    }
    return orjson.dumps(
        {**fields, "causes": record.causes, "data": orjson.Fragment(record.data)}, option=orjson.OPT_APPEND_NEWLINE
    )


def encode_dead_letter_line(dead_letter: DeadLetter) -> bytes:
    """Write one line of the dead letters; `valueBase64` where the value is not UTF-8."""
    fields: dict[str, Any] = {
        "topic": dead_letter.topic,
        "partition": dead_letter.partition,
        "offset": dead_letter.offset,
    }
    fields["key"] = None if dead_letter.key is None else dead_letter.key.decode(errors="replace")
    fields |= {"reason": dead_letter.reason, "explanation": dead_letter.explanation, "time": dead_letter.time}
    try:
        fields["value"] = None if dead_letter.value is None else dead_letter.value.decode()
    except UnicodeDecodeError:
        fields["valueBase64"] = b64encode(dead_letter.value or b"").decode()
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
