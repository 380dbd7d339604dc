"""Which traces an event may hand on: W3C Trace Context, bounded."""

import pytest

from processor.pipeline.trace import MAX_TRACESTATE_BYTES, trace_headers

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LONGEST = b"a=" + b"x" * 250 + b",b=" + b"y" * 256 + b","


@pytest.mark.parametrize(
    "parent",
    [
        PARENT[:-1],
        PARENT + b"0",
        PARENT + b"-later",
        PARENT + b"\n",
        b"ff" + PARENT[2:],
        PARENT.upper(),
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b" " + PARENT,
        b"",
        None,
    ],
)
def test_a_traceparent_of_another_form_is_left_out_with_its_tracestate(parent: bytes | None) -> None:
    assert trace_headers([("traceparent", parent), ("tracestate", b"a=b")], None) == []


@pytest.mark.parametrize("parent", [PARENT, b"01" + PARENT[2:]])
def test_a_traceparent_of_this_version_and_of_a_later_one_is_handed_on(parent: bytes) -> None:
    assert trace_headers([("traceparent", parent)], None) == [("traceparent", parent)]


@pytest.mark.parametrize(
    "state", [b"a=b", b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", b"tenant@vendor=1", b"a=b, c=d", b"a=b,,c=d", LONGEST]
)
def test_a_tracestate_of_the_form_is_handed_on_as_it_is(state: bytes) -> None:
    assert trace_headers([("traceparent", PARENT), ("tracestate", state)], None)[1:] == [("tracestate", state)]


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"a",
        b"A=b",
        b"a=b=c",
        b"a=b\x00",
        b"a=\xc3\xa9",
        b"a=b\n",
        b"a=",
        b"x" * 257 + b"=1",
        LONGEST + b",",
        b",".join(b"k%d=1" % number for number in range(33)),
    ],
)
def test_a_tracestate_of_another_form_or_longer_than_the_bound_is_left_out_alone(state: bytes) -> None:
    assert len(LONGEST) == MAX_TRACESTATE_BYTES
    assert trace_headers([("traceparent", PARENT), ("tracestate", state)], None) == [("traceparent", PARENT)]


def test_a_trace_is_that_of_one_place_and_never_mixed_of_two() -> None:
    headers, attributes = [("traceparent", PARENT)], (PARENT.decode().replace("01", "00"), "a=b")

    assert trace_headers(headers, attributes) == [("traceparent", PARENT)]
    assert trace_headers([("traceparent", b"bad"), ("tracestate", b"c=d")], attributes)[1:] == [("tracestate", b"a=b")]


def test_of_several_headers_of_one_name_the_last_counts() -> None:
    """As OpenTelemetry reads them from Kafka."""
    assert trace_headers([("traceparent", b"bad"), ("traceparent", PARENT)], None) == [("traceparent", PARENT)]
