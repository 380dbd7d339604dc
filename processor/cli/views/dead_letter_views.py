"""Show dead letters as people and programs read them.

A line of `list --json`:
    {"partition", "offset", "reason", "flow" (null: it was a profile event), "recordId", "profile", "source": {"topic",
    "partition", "offset"},
     "time", "explanation", "attempts" (null: it was a profile event), "bytes", "redriven": {"time", "topic"} (null: it
     was not sent again)}
`show --json` has besides "headers": {name: text}, and "value": the text as it was (`valueBase64` where it is not UTF-8,
null where it was null).
"""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final

from processor.cli.views.tables import Table
from processor.dead_letters.counts import FlowReasonCount
from schemas.dead_letter import StoredDeadLetter
from schemas.wire.dead_letters_redriven import RedriveMarker

COLUMNS: Final = [
    "dead letter",
    "time",
    "reason",
    "flow",
    "profile",
    "source",
    "attempts",
    "bytes",
    "redriven",
    "explanation",
]
_SHOWN_CHARACTERS: Final = 60
_EVENTS: Final = "(profile events)"


def summary_object(dead_letter: StoredDeadLetter, marker: RedriveMarker | None) -> dict[str, Any]:
    """Return a line of `list --json`."""
    was = dead_letter.was
    return {
        "partition": dead_letter.partition,
        "offset": dead_letter.offset,
        "reason": was.reason,
        "flow": dead_letter.flow_id,
        "recordId": dead_letter.record_id,
        "profile": _text(was.key),
        "source": {"topic": was.topic, "partition": was.partition, "offset": was.offset},
        "time": was.time,
        "explanation": was.explanation,
        "attempts": dead_letter.attempts,
        "bytes": len(was.value or b""),
        "redriven": None if marker is None else marker._asdict(),
    }


def whole_object(dead_letter: StoredDeadLetter, marker: RedriveMarker | None) -> dict[str, Any]:
    """Return the object that `show --json` writes."""
    headers = {name: _text(value) for name, value in dead_letter.headers}
    return {**summary_object(dead_letter, marker), "headers": headers, **_value(dead_letter.was.value)}


def row(dead_letter: StoredDeadLetter, marker: RedriveMarker | None) -> list[str]:
    """Return a row of the table, by COLUMNS."""
    was = dead_letter.was
    return [
        dead_letter.position,
        was.time or "",
        was.reason.value,
        dead_letter.flow_id or "",
        _cut(_text(was.key) or ""),
        f"{was.topic} {was.partition}:{was.offset}",
        "" if dead_letter.attempts is None else str(dead_letter.attempts),
        f"{len(was.value or b''):,}",
        "no" if marker is None else marker.time,
        _cut(was.explanation),
    ]


def fields_table(dead_letter: StoredDeadLetter, marker: RedriveMarker | None) -> Table:
    """Return a table of everything but the value."""
    rows = [
        [name, "" if value is None else str(value)]
        for name, value in _flat(summary_object(dead_letter, marker)).items()
    ]
    rows += [[f"header {name}", _text(value) or ""] for name, value in dead_letter.headers]
    return Table(f"dead letter {dead_letter.position}", ["what", "value"], rows)


def counts_table(title: str, counts: Iterable[FlowReasonCount]) -> Table:
    """Return a table of counts by flow and reason."""
    rows = [[each.flow or _EVENTS, each.reason, f"{each.letters:,}", f"{each.redriven:,}"] for each in counts]
    return Table(title, ["flow", "reason", "dead letters", "redriven"], rows)


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= {f"{name} {inner}": each for inner, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _value(value: bytes | None) -> dict[str, str | None]:
    try:
        return {"value": None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {"valueBase64": b64encode(value or b"").decode()}


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode(errors="replace")


def _cut(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
