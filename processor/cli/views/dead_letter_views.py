"""Dead letters as people and programs see them.

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
    "letter",
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


def summary_object(letter: StoredDeadLetter, marker: RedriveMarker | None) -> dict[str, Any]:
    """A line of `list --json`."""
    was = letter.was
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": was.reason,
        "flow": letter.flow_id,
        "recordId": letter.record_id,
        "profile": _text(was.key),
        "source": {"topic": was.topic, "partition": was.partition, "offset": was.offset},
        "time": was.time,
        "explanation": was.explanation,
        "attempts": letter.attempts,
        "bytes": len(was.value or b""),
        "redriven": None if marker is None else marker._asdict(),
    }


def whole_object(letter: StoredDeadLetter, marker: RedriveMarker | None) -> dict[str, Any]:
    """What `show --json` writes."""
    headers = {name: _text(value) for name, value in letter.headers}
    return {**summary_object(letter, marker), "headers": headers, **_value(letter.was.value)}


def row(letter: StoredDeadLetter, marker: RedriveMarker | None) -> list[str]:
    """One line of the table, by COLUMNS."""
    was = letter.was
    return [
        letter.place,
        was.time or "",
        was.reason.value,
        letter.flow_id or "",
        _cut(_text(was.key) or ""),
        f"{was.topic} {was.partition}:{was.offset}",
        "" if letter.attempts is None else str(letter.attempts),
        f"{len(was.value or b''):,}",
        "no" if marker is None else marker.time,
        _cut(was.explanation),
    ]


def fields_table(letter: StoredDeadLetter, marker: RedriveMarker | None) -> Table:
    """Everything but the value."""
    rows = [
        [name, "" if value is None else str(value)] for name, value in _flat(summary_object(letter, marker)).items()
    ]
    rows += [[f"header {name}", _text(value) or ""] for name, value in letter.headers]
    return Table(f"dead letter {letter.place}", ["what", "value"], rows)


def counts_table(title: str, counts: Iterable[FlowReasonCount]) -> Table:
    """Counts by flow and reason."""
    rows = [[each.flow or _EVENTS, each.reason, f"{each.letters:,}", f"{each.redriven:,}"] for each in counts]
    return Table(title, ["flow", "reason", "letters", "redriven"], rows)


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
