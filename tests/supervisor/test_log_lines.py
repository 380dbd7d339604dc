"""Lines of processes: split as they come, marked with the process, and one JSON object each where logs are JSON."""

import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.supervisor.log_lines import MAX_LINE_BYTES, LineSplitter, mark_line, tell_dropped

NOW = 1_768_174_653.0
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def mark(line: bytes, *, as_json: bool) -> bytes:
    return mark_line(line, 2, as_json=as_json, wall_clock=lambda: NOW)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_are_the_same_however_the_bytes_come(data: bytes, cuts: list[int]) -> None:
    splitter, lines = LineSplitter(), []
    edges = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    for begin, end in pairwise(edges):
        lines += splitter.split(data[begin:end])
    lines += splitter.finish()

    *whole, rest = data.split(b"\n")
    assert lines == (whole if rest == b"" else [*whole, rest])


def test_a_line_that_does_not_end_is_passed_on_in_pieces() -> None:
    splitter = LineSplitter()

    pieces = [piece for _ in range(300) for piece in splitter.split(b"x" * 10_000)]

    assert pieces
    assert max(map(len, pieces)) <= MAX_LINE_BYTES + 10_000


def test_a_line_for_people_has_the_process_before_it() -> None:
    assert mark(b"2026-01-11T23:37:33Z [info] started\r", as_json=False) == (
        b"process 2 | 2026-01-11T23:37:33Z [info] started\n"
    )


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(-(2**63), 2**63), st.none(), st.lists(NUMBERS))))
def test_a_json_line_stays_what_it_is_with_the_process_as_a_field(fields: dict[str, object]) -> None:
    fields.pop("process", None)

    line = mark(json.dumps(fields).encode(), as_json=True)

    assert line.endswith(b"\n")
    told = orjson.loads(line)
    assert told.pop("process") == 2
    assert told == fields


@pytest.mark.parametrize(
    "line",
    [
        b"Fatal Python error: Aborted",
        b"{'a': 1}",
        b"{",
        b"",
        b"[1]",
        b"17",
        b'"text"',
        b"{} {}",
        b"\xff\x00",
    ],
)
def test_what_is_no_json_object_is_the_text_of_one(line: bytes) -> None:
    told = orjson.loads(mark(line, as_json=True))

    assert told == {
        "process": 2,
        "event": "printed",
        "level": "info",
        "text": line.decode(errors="replace"),
        "timestamp": "2026-01-11T23:37:33Z",
    }


def test_lines_that_were_dropped_are_counted_in_the_form_of_the_log() -> None:
    told = orjson.loads(tell_dropped(7, as_json=True, wall_clock=lambda: NOW))

    assert (told["event"], told["level"], told["lines"]) == ("lines_dropped", "warning", 7)
    assert b"lines_dropped" in tell_dropped(7, as_json=False, wall_clock=lambda: NOW)
