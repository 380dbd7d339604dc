"""CloudEvents' content modes, and what other tools wrap around an event (contract I10)."""

import json
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given

from processor.core.parse import parse_event
from processor.core.step import EventSkip, Step
from processor.core.unusable import Unusable
from schemas.event import Event
from schemas.kafka import ReadRecord
from tests.core import strategies
from tests.kit.builders import BEFORE, NOW, Headers, History, flow, member, only
from tests.kit.examples import law

ATTRIBUTES = {"specversion": "1.0", "id": "x", "source": "/crm", "type": "profile.patched", "time": NOW}
EVENT = {**ATTRIBUTES, "data": {"a": 1}}
VALUE = orjson.dumps(EVENT)
PLACE = ("profile-events", 0, 0, 1_767_225_600_000, b"p-1")


def head(*more: tuple[str, bytes | None], **attributes: str | None) -> Headers:
    """The headers of binary mode; an attribute that is None is left out."""
    told = {**ATTRIBUTES, **attributes}
    return (*((f"ce_{name}", text.encode()) for name, text in told.items() if text is not None), *more)


def binary(value: bytes | None, *more: tuple[str, bytes | None], **attributes: str | None) -> Step:
    return History(flow("ups/a", attributes=("a",), membershipGate="none")).raw(
        value, headers=head(*more, **attributes)
    )


def of(step: Step) -> tuple[str, str]:
    """Reason and explanation of a dead letter."""
    assert step.dead_letter is not None, step
    return step.dead_letter.reason.value, step.dead_letter.explanation


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        "text/json",
        "application/vnd.acme.profile+json",
        " application/json ;v=1",
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_i10_binary_mode_with_a_json_content_type_or_none_is_the_event(name: str, content_type: str) -> None:
    more = [(name, content_type.encode())] if content_type else []

    assert only(binary(b'{"a": 5}', *more))["a"] == 5
    assert only(binary(b'\xef\xbb\xbf{"a": 5}', *more))["a"] == 5


def test_i10_names_of_headers_are_read_in_any_case_and_may_stand_twice_if_they_say_the_same() -> None:
    headers = tuple((name.upper(), value) for name, value in head()) + head()

    assert History().raw(b"{}", headers=headers).dead_letter is None


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/avro", "application/octet-stream", "application/x-protobuf", "json"]
)
def test_i10_another_content_type_is_not_cloudevents_and_is_named(content_type: str) -> None:
    reason, explanation = of(binary(b'{"a": 5}', ("content-type", content_type.encode())))

    assert reason == "not_cloudevents"
    assert repr(content_type) in explanation
    assert of(binary(b"\xff\x00", ("content-type", content_type.encode())))[0] == "not_cloudevents"
    assert of(History().raw(b"\xff\x00", headers=(("content-type", content_type.encode()),)))[0] == "not_cloudevents"


@pytest.mark.parametrize(
    "headers",
    [
        (("content-type", b"application/cloudevents+json"),),
        (("content-type", b"Application/CloudEvents+JSON; charset=utf-8"),),
        (("content-type", b"application/json"),),
        (("content-type", b"text/plain"),),
        (("content-type", None),),
        (("ce_traceparent", b"00-ab"), ("ce_time", b"yesterday")),
        (("ce-id", b"1"), ("traceparent", b"\xff"), ("", b"")),
        head(("content-type", b"application/cloudevents+json"), id="another"),
        head(("content-type", b"application/json")),
        head(),
    ],
)
def test_i10_a_value_that_is_a_whole_event_is_that_event_whatever_its_headers_are(headers: Headers) -> None:
    """So it was before binary mode was read: headers may repeat the attributes (CloudEvents' Kafka binding, 3.3.3), and
    types may be wrong.
    """
    history = History(flow("ups/a", attributes=("a",), membershipGate="none"))

    assert only(history.raw(VALUE, headers=headers))["a"] == 1
    assert "another" not in history.profile.event_ids


def test_i10_a_null_value_is_no_data() -> None:
    deleted = History(flow("ups/a"))
    deleted.patch(member())

    assert of(binary(None)) == ("bad_shape", "data of profile.patched is not an object")
    step = deleted.raw(None, headers=head(type="profile.deleted", time=BEFORE))
    assert only(step)["segmentMembership"]["ups"]["a"] == {"status": "exited", "lastQualificationTime": BEFORE}
    assert deleted.replay.profiles == {}


@pytest.mark.parametrize("value", [b"", b"{}", b"no JSON", b'{"schema":null,"payload":{}}'])
def test_i1_i10_the_data_of_a_deletion_are_ignored_in_binary_mode_too(value: bytes) -> None:
    assert binary(value, type="profile.deleted").skipped_event is EventSkip.PROFILE_ABSENT


@pytest.mark.parametrize(
    "headers",
    [(), (("content-type", b"application/cloudevents+json"),), (("ce_traceparent", b"00"),), (("ce-id", b"1"),)],
)
def test_i1_a_tombstone_without_attributes_in_headers_stays_a_deletion(headers: Headers) -> None:
    history = History(flow("ups/a"))
    history.patch(member())

    assert only(history.raw(None, timestamp=0, headers=headers))["segmentMembership"]["ups"]["a"]["status"] == "exited"


@pytest.mark.parametrize(
    ("value", "attributes", "more", "reason", "told"),
    [
        (b"{}", {"id": None}, (), "not_cloudevents", "ce_id"),
        (b"{}", {"id": ""}, (), "not_cloudevents", "ce_id"),
        (b"{}", {"source": None}, (("ce_source", None),), "not_cloudevents", "ce_source"),
        (b"{}", {"specversion": None}, (), "not_cloudevents", "ce_specversion"),
        (b"{}", {"specversion": "0.3"}, (), "not_cloudevents", "'0.3'"),
        (None, {"type": None}, (), "not_cloudevents", "ce_type"),
        (b"{}", {}, (("ce_id", b"y"),), "not_cloudevents", "twice"),
        (b"{}", {"source": None}, (("ce_source", b"/\xff"),), "not_utf8", "ce_source"),
        (b"{}", {"type": "profile.renamed"}, (), "unknown_type", "profile.renamed"),
        (b"{}", {"id": "x" * 1025}, (), "bad_shape", "1025 bytes"),
        (b"{}", {"time": "yesterday"}, (), "bad_time", "yesterday"),
        (b"{}", {"subject": "p-2"}, (), "subject_mismatch", "'p-2'"),
        (b"{}", {"subject": ""}, (), "not_cloudevents", "subject is empty"),
        (b"{", {}, (), "not_json", "line 1"),
        (b"\xff", {"id": None}, (), "not_utf8", "byte 0"),
        (b"[1]", {}, (), "bad_shape", "not an object"),
        (b"null", {}, (), "bad_shape", "not an object"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, {}, (), "bad_shape", "nested"),
    ],
)
def test_i4_i10_a_fault_in_binary_mode_has_the_reason_of_structured_mode(
    value: bytes | None, attributes: dict[str, Any], more: Headers, reason: str, told: str
) -> None:
    step = binary(value, *more, **attributes)

    assert of(step)[0] == reason
    assert told in of(step)[1]
    assert (step.dead_letter is not None and step.dead_letter.value) == value


def test_i10_a_subject_that_is_null_or_missing_is_none_and_the_right_one_is_taken() -> None:
    assert binary(b"{}", ("ce_subject", None)).dead_letter is None
    assert binary(b"{}", subject="p-1").dead_letter is None


def test_i3_i5_i10_binary_mode_without_a_time_has_kafkas_and_a_repeated_id_is_skipped_in_either_mode() -> None:
    history = History(flow("ups/a"))

    step = history.raw(orjson.dumps(member(time=NOW)), timestamp=1_767_225_600_999, headers=head(time=None))

    assert step.records[0].time == "2026-01-01T00:00:00Z"
    assert history.raw(VALUE).skipped_event is EventSkip.DUPLICATE_EVENT
    assert history.raw(b"{}", headers=head()).skipped_event is EventSkip.DUPLICATE_EVENT


def test_i10_the_trace_of_binary_mode_stands_in_its_headers() -> None:
    assert binary(b"{}", ("ce_traceparent", b"00-ab"), ("ce_tracestate", b"a=b")).trace == ("00-ab", "a=b")
    assert binary(b"{}", ("ce_traceparent", b"00-ab")).trace == ("00-ab", None)
    assert binary(b"{}", ("ce_tracestate", b"a=b"), ("ce_unknown", b"\xff")).trace is None


def test_i10_attributes_under_the_names_of_http_are_told_from_kafkas() -> None:
    headers = tuple((name.replace("_", "-"), value) for name, value in head())

    reason, explanation = of(History().raw(b"{}", headers=headers))

    assert reason == "not_cloudevents"
    assert "ce-" in explanation
    assert "ce_" in explanation


def test_i10_data_base64_holds_the_data_as_text() -> None:
    history = History(flow("ups/a", attributes=("a",), membershipGate="none"))

    for text in (b'{"a": 2}', b'\xef\xbb\xbf{"a": 2}'):
        assert (
            only(history.event("profile.patched", None, id=repr(text), data_base64=b64encode(text).decode()))["a"] == 2
        )
    assert (
        history.event("profile.merged", None, data_base64=b64encode(b'{"into":"p-2"}').decode(), id="m").dead_letter
        is None
    )
    assert history.event("profile.deleted", None, data_base64="!", id="d").dead_letter is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data_base64": "not base64!"}, "bad_shape"),
        ({"data_base64": "e30"}, "bad_shape"),
        ({"data_base64": "e3\n0="}, "bad_shape"),
        ({"data_base64": "é"}, "bad_shape"),
        ({"data_base64": 5}, "bad_shape"),
        ({"data_base64": {}}, "bad_shape"),
        ({"data_base64": "WzFd"}, "bad_shape"),
        ({"data_base64": ""}, "not_json"),
        ({"data_base64": b64encode(b"no JSON").decode()}, "not_json"),
        ({"data_base64": b64encode(b'"\xff"').decode()}, "not_utf8"),
        ({"data_base64": b64encode(b'"{}"').decode()}, "not_cloudevents"),
        ({"data_base64": "e30=", "data": {}}, "not_cloudevents"),
        ({"data_base64": "e30=", "datacontenttype": "application/avro"}, "not_cloudevents"),
        ({"data_base64": b64encode(b'{"a":' * 200 + b"1" + b"}" * 200).decode()}, "bad_shape"),
    ],
)
def test_i10_data_base64_that_holds_no_data_is_a_dead_letter(changes: dict[str, Any], reason: str) -> None:
    given_reason, explanation = of(History().event("profile.patched", **changes))

    assert given_reason == reason
    assert explanation


@pytest.mark.parametrize(
    ("value", "reason", "told"),
    [
        (b"\0\0\0\0\x07" + VALUE, "not_json", "schema registry framing"),
        (b"\0\0\1\x86\xa3\x02\x06p-1\xff", "not_utf8", "schema registry framing"),
        (b"\x03\x00" + b"u" * 16 + VALUE, "not_json", "AWS Glue"),
        (orjson.dumps({"schema": {"type": "struct"}, "payload": EVENT}), "not_cloudevents", "schemas.enable"),
        (orjson.dumps({"schema": None, "payload": VALUE.decode()}), "not_cloudevents", "schemas.enable"),
        (b"[" + VALUE + b"]", "not_cloudevents", "batched mode"),
        (b"[]", "not_cloudevents", "batched mode"),
        (orjson.dumps(VALUE.decode()), "not_cloudevents", "encoded twice"),
        (orjson.dumps(EVENT | {"data": '{"a": 1}'}), "not_cloudevents", "encoded twice"),
        (orjson.dumps(EVENT | {"data": "a text"}), "bad_shape", "not an object"),
        (orjson.dumps({"event": EVENT}), "not_cloudevents", "member 'event'"),
        (orjson.dumps({"message": VALUE.decode()}), "not_cloudevents", "member 'message'"),
        (VALUE.decode().encode("utf-16"), "not_utf8", "UTF-16"),
        (VALUE.decode().encode("utf-16-le"), "not_json", "UTF-16"),
        (VALUE.decode().encode("utf-16-be"), "not_json", "UTF-16"),
        (VALUE.decode().encode("utf-32"), "not_utf8", "UTF-32"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 9, "not_utf8", "gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "not_utf8", "zstd"),
        (b"Obj\x01\x04\x16avro.schema", "not_json", "Avro"),
        (b"\xef\xbb\xbf", "not_json", ""),
    ],
)
def test_i10_a_wrapper_is_a_dead_letter_that_names_it(value: bytes, reason: str, told: str) -> None:
    step = History().raw(value)

    assert of(step)[0] == reason
    assert told in of(step)[1]
    assert step.dead_letter is not None
    assert step.dead_letter.value == value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"\0\0\0\1\2{}", "schema registry framing"),
        (b'{"payload":{"a":1},"schema":{"type":"struct"}}', "schemas.enable"),
        (b'{"payload":{"a":1},"schema":null}', "schemas.enable"),
        (b'"{\\"a\\":9}"', "encoded twice"),
        (b"[" + VALUE + b"]", "batched mode"),
    ],
)
def test_i10_a_wrapper_around_the_data_of_binary_mode_is_named_too(value: bytes, told: str) -> None:
    assert told in of(binary(value))[1]
    assert told in of(binary(value, time="nope"))[1]  # the wrapper is found before a bad attribute


def test_i10_attributes_called_as_a_connect_envelope_is_are_attributes_where_they_were_before() -> None:
    history = History(flow("ups/a", attributes=("payload.a",), membershipGate="none"))

    assert only(history.patch({"schema": None, "payload": {"a": 1}}))["payload"] == {"a": 1}


def test_i10_a_byte_order_mark_before_a_value_is_passed_over_and_one_in_a_text_is_kept() -> None:
    history = History(flow("ups/a", attributes=("a",), membershipGate="none"))

    for mark in (b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"):
        assert (
            only(history.raw(mark + orjson.dumps(EVENT | {"id": repr(mark), "data": {"a": "\ufeffx"}})))["a"]
            == "\ufeffx"
        )


def test_i4_explanations_are_short_and_show_every_character() -> None:
    """A header, a terminal and a log take them: a control character in a name must not reach any of these."""
    long = "x" * 100_000
    steps = [
        History().raw(orjson.dumps({"\x1b[2J" + long: EVENT})),
        History().raw(orjson.dumps(EVENT | {"type": "\x1b\n" + long})),
        History().patch(member(namespace="\x07" * 100_000, status="maybe")),
        History().raw(VALUE, key=b"\0" * 512),
        binary(b"{}", ("content-type", b"\x1b[2J" + long.encode())),
        binary(b"{}", ("ce_id", long.encode())),
    ]

    for step in steps:
        explanation = of(step)[1]
        assert explanation.isprintable()
        assert len(explanation) < 500


def event_of(value: bytes | None, headers: Headers) -> Event | str:
    try:
        event = parse_event(ReadRecord(*PLACE, value, headers))
    except Unusable as unusable:
        return unusable.reason.value
    event.size_bytes = 0
    return event


def json_text(value: Any) -> bytes:
    """Return JSON text as any producer may write it, with numbers beyond 64 bits, which orjson refuses to write."""
    return json.dumps(value, ensure_ascii=False).encode()


@law(300)
@given(strategies.cloud_events("p-1"))
def test_law_i10_binary_mode_and_data_base64_mean_what_structured_mode_means(event: dict[str, Any]) -> None:
    text = json_text(event)
    wrapped = {name: value for name, value in event.items() if name != "data"}
    wrapped["data_base64"] = None if event.get("data") is None else b64encode(json_text(event["data"])).decode()

    structured = event_of(text, ())

    assert event_of(text, (("content-type", b"application/cloudevents+json"),)) == structured
    assert event_of(*strategies.in_binary_mode(event)) == structured
    assert event_of(json_text(wrapped), ()) == structured
