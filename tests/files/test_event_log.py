"""Event logs as files: what a line is taken for (contract 4b, I4)."""

import json
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.files.event_log import encode_dead_letter_line, read_events, read_headers, read_lines
from processor.files.json_text import member_text
from processor.foundation.errors import UsageError
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.kafka import ReadRecord

BARE = b'{"specversion":"1.0","id":"e","source":"/u","type":"profile.patched","subject":"p-1","data":{}}'
KAFKA: dict[str, Any] = {"topic": "t", "partition": 3, "offset": 7, "timestamp": 5, "key": "p-1", "value": {}}


def read(*lines: bytes) -> list[ReadRecord | DeadLetter]:
    return list(read_events(lines))


def kafka(**changes: Any) -> bytes:
    return orjson.dumps({**KAFKA, **changes})


def faults(events: Iterable[ReadRecord | DeadLetter]) -> list[tuple[int, str]]:
    return [(event.offset, event.reason) for event in events if isinstance(event, DeadLetter)]


def test_4b_a_bare_event_is_keyed_by_its_subject_and_its_offset_is_its_line_counted_with_blank_ones() -> None:
    assert read(BARE + b"\r\n", b"  \n", BARE) == [
        ReadRecord("profile-events", 0, number, None, b"p-1", BARE) for number in (0, 2)
    ]


def test_4b_a_line_that_cannot_be_parsed_is_a_dead_letter_at_its_line_number() -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000

    events = read(b"\xff", b"{", b"null", b"[]", deep, BARE)

    assert faults(events) == [
        (0, "not_utf8"),
        (1, "not_json"),
        (2, "not_cloudevents"),
        (3, "not_cloudevents"),
        (4, "bad_shape"),
    ]
    assert events[0] == DeadLetter(
        "profile-events", 0, 0, None, b"\xff", DeadLetterReason.NOT_UTF8, "invalid start byte at byte 0", None
    )
    assert isinstance(events[-1], ReadRecord)


def test_i13_an_event_with_a_number_that_no_double_holds_is_a_record_in_its_place_and_a_torn_line_is_not() -> None:
    bare = b'{"specversion":"1.0","subject":"p-1","n":1e400}'

    good, torn = read(bare, bare[:-1])

    assert good == ReadRecord("profile-events", 0, 0, None, b"p-1", bare)
    assert (torn.offset, torn.reason) == (1, "not_json")


def test_4b_a_line_of_no_form_does_not_say_which_form_the_file_has() -> None:
    events = read(b'{"hello":"world"}', kafka(), kafka(offset=8))

    assert [event.offset for event in events] == [0, 7, 8]
    assert events[0].key is None
    assert faults(events) == []


@pytest.mark.parametrize(
    ("first", "second"), [(BARE, kafka()), (kafka(), BARE), (kafka(), b'{"topic":"t","offset":1,"payload":""}')]
)
def test_4b_a_line_of_another_form_than_the_file_is_a_dead_letter(first: bytes, second: bytes) -> None:
    assert faults(read(first, second)) == [(1, "bad_shape")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": -1},
        {"offset": "7"},
        {"offset": True},
        {"partition": None},
        {"topic": 5},
        {"key": 5},
        {"timestamp": 1.5},
        {"timestamp": "now"},
    ],
)
def test_4b_a_kafka_record_with_a_wrong_place_key_or_timestamp_is_a_dead_letter_of_its_line(
    wrong: dict[str, Any],
) -> None:
    assert faults(read(kafka(), kafka(**wrong))) == [(1, "bad_shape")]


def test_i4_a_kafka_record_without_a_key_or_a_timestamp_keeps_its_place() -> None:
    line = orjson.dumps({name: KAFKA[name] for name in ("topic", "partition", "offset", "value")})

    assert read(line) == [ReadRecord("t", 3, 7, None, None, b"{}")]


@pytest.mark.parametrize(
    "value",
    [
        b'{ "n" : 1.50, "n":1e2 }',
        b"[%d]" % (2**64),
        b"[1e400]",
        b'{"text":"\\u00e9 \\"}{,:["}',
        b"[]",
        b'"text"',
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
    ids=["spaces", "large", "larger", "escapes", "list", "text", "deep"],
)
def test_i4_the_value_of_a_kafka_record_keeps_the_spelling_of_its_line(value: bytes) -> None:
    lines = [
        b'{"value" : %s, "topic":"t","partition":0,"offset":%d,"key":"value"}' % (value, offset) for offset in range(2)
    ]

    assert [event.value for event in read(*lines)] == [value, value]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["value", '"', "\\", "{}[],:"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "a", 'b"']), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.dictionaries(st.sampled_from(["value", "a", 'b"']), json_values, min_size=1),
    st.sampled_from([(",", ":"), (" , ", " : ")]),
    st.booleans(),
)
def test_law_the_text_of_a_member_is_the_text_that_was_written(
    members: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(members, separators=separators, ensure_ascii=ascii_only).encode()

    for name, value in members.items():
        assert member_text(text, name) == json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()


def test_4b_a_dead_letter_shows_its_text_or_its_bytes_in_base64() -> None:
    letter = DeadLetter("t", 3, 7, b"p-1", b"x", DeadLetterReason.NOT_JSON, "why", "2026-01-01T00:00:00Z")

    shown = [orjson.loads(encode_dead_letter_line(letter._replace(value=value))) for value in (b"x", None, b"\xff")]

    fields = {
        "topic": "t",
        "partition": 3,
        "offset": 7,
        "key": "p-1",
        "reason": "not_json",
        "explanation": "why",
        "time": "2026-01-01T00:00:00Z",
    }
    assert shown == [{**fields, "value": "x"}, {**fields, "value": None}, {**fields, "valueBase64": "/w=="}]


MARK = b"\xef\xbb\xbf"


def test_i10_a_byte_order_mark_before_a_file_or_a_line_is_passed_over_and_the_line_keeps_it() -> None:
    events = read(MARK + BARE, MARK + BARE, MARK + b"\r\n", MARK, BARE)

    assert events == [
        ReadRecord("profile-events", 0, number, None, b"p-1", value)
        for number, value in [(0, BARE), (1, MARK + BARE), (4, BARE)]
    ]
    assert [event.offset for event in read(MARK + kafka(offset=8), MARK + kafka(offset=9))] == [8, 9]
    (letter,) = read(MARK + b"\n", MARK + b"{")
    assert (letter.offset, letter.value) == (1, MARK + b"{")


def explanation(*lines: bytes) -> str:
    (letter,) = read(*lines)
    assert isinstance(letter, DeadLetter)
    return letter.explanation


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"[" + BARE + b"," + BARE + b"]", "one JSON array"),
        (b"[", "jq -c '.[]' FILE"),
        (BARE + b",", "jq -c '.[]' FILE"),
        (b"{", "jq -c . FILE"),
        (orjson.dumps(BARE.decode()), "encoded twice"),
        (b"\0\0\0\0\7" + BARE, "schema registry framing"),
    ],
)
def test_i10_a_line_that_another_tool_wrote_is_named(line: bytes, told: str) -> None:
    assert told in explanation(line)


def test_i10_a_file_that_is_one_array_on_several_lines_is_named_and_events_alone_in_a_line_are_read() -> None:
    events = read(b"[\n", BARE + b",\n", BARE + b"\n", b"]\n")

    assert faults(events) == [(0, "not_json"), (1, "not_json"), (3, "not_json")]
    assert all("one JSON array" in event.explanation for event in events if isinstance(event, DeadLetter))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (BARE.decode().encode("utf-16"), "UTF-16"),
        (BARE.decode().encode("utf-16-le"), "UTF-16"),
        (BARE.decode().encode("utf-16-be"), "UTF-16"),
        ("{ ключ".encode("utf-16-le"), "UTF-16"),
        (BARE.decode().encode("utf-32"), "UTF-32"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"BZh91AY&SY", "bzip2"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_i10_a_file_that_is_no_text_in_utf_8_is_refused_as_a_whole(written: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=f"the file of events is not JSON lines in UTF-8: .*{told}"):
        read_lines(written.splitlines(keepends=True))


@pytest.mark.parametrize("lines", [[], [b"\n"], [b"\xff\x00\n", BARE], [b"\0\0\0\0\7{}\n"], [b"{}"], [MARK + BARE]])
def test_i4_any_other_file_is_read_line_by_line(lines: list[bytes]) -> None:
    assert list(read_lines(lines)) == lines


@pytest.mark.parametrize(
    "written",
    [
        {"a": "1", "b": None},
        [["a", "1"], ["b", None]],
        [{"key": "a", "value": "1"}, {"key": "b", "value": None}],
        [{"name": "a", "value": "1"}, {"name": "b"}],
        ["a", "1", "b", None],
    ],
)
def test_i10_headers_of_a_record_are_read_in_each_form(written: Any) -> None:
    assert read_headers(written) == (("a", b"1"), ("b", None))
    assert read(kafka(headers=written)) == [ReadRecord("t", 3, 7, 5, b"p-1", b"{}", (("a", b"1"), ("b", None)))]


def test_i10_values_of_headers_that_are_no_texts_are_their_json_and_one_that_stands_twice_is_kept_twice() -> None:
    assert read_headers({"n": 1, "o": {"a": [True]}, "twice": ["x", "y"]}) == (
        ("n", b"1"),
        ("o", b'{"a":[true]}'),
        ("twice", b"x"),
        ("twice", b"y"),
    )
    assert read_headers(["a", "é", "a", 2]) == (("a", "é".encode()), ("a", b"2"))


@pytest.mark.parametrize("written", [None, 5, "a=1", True, [], {}, [1, 2], [[1, "a"]], ["a"], [{"x": 1}]])
def test_i4_headers_of_no_form_are_none_and_the_record_is_read_as_before(written: Any) -> None:
    assert read(kafka(headers=written)) == [ReadRecord("t", 3, 7, 5, b"p-1", b"{}")]


def test_i10_a_line_of_kcat_has_its_headers_as_kcat_prints_them() -> None:
    line = (
        b'{"topic":"t","partition":0,"offset":1,"ts":5,"headers":["ce_id","1","ce_id",null],'
        b'"key":"p","payload":"\\ufeff{}"}'
    )

    assert read(line) == [ReadRecord("t", 0, 1, 5, b"p", MARK + b"{}", (("ce_id", b"1"), ("ce_id", None)))]
