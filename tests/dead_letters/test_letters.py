"""Dead letters read, selected, and what becomes of each when it is sent again (contract I4, G8)."""

from dataclasses import replace
from typing import Any

import pytest

from processor.dead_letters.counts import DeadLetterCounts, FlowReasonCount
from processor.dead_letters.outcome import Circumstances, Outcome, find_outcome
from processor.dead_letters.plan import plan_redrive
from processor.dead_letters.selection import OffsetRange, Selection
from schemas.dead_letter import DeadLetterReason
from schemas.kafka import BadRecord, ReadRecord
from schemas.wire.dead_letters import decode_dead_letter
from schemas.wire.dead_letters_redriven import RedriveMarker
from tests.delivery.fakes import export_record
from tests.kit.letters import as_letter, undelivered_letter, unusable_letter

NOW = Circumstances(frozenset({"vip"}), 1000, range(1, 2**63), lambda _: True, lambda letter: letter.partition)
EVENT = b'{"specversion":"1.0","id":"e-1","source":"/t","type":"profile.patched","data":{}}'
TIME = "2026-01-11T23:37:33Z"


def test_g8_a_letter_of_delivery_has_back_the_headers_of_its_record() -> None:
    letter = as_letter(undelivered_letter(7, "Zoë"))

    assert letter.headers == export_record(7, "Zoë").headers
    assert (letter.flow_id, letter.record_id, letter.attempts) == ("vip", "profile-events-0-7-vip", 3)
    assert (letter.was.topic, letter.was.offset, letter.was.reason, letter.was.time) == ("exports", 7, "rejected", TIME)
    assert letter.source_timestamp == 1_768_174_653_000


def test_g8_a_letter_has_back_the_moment_of_its_decision_and_its_trace_where_its_record_had_them() -> None:
    key, value, headers, timestamp = undelivered_letter(7)
    added = [
        ("decided-at", b"1768174653250"),
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", b"a=b"),
    ]
    own = len(export_record(7).headers)

    letter = as_letter((key, value, [*headers[:own], *added, *headers[own:]], timestamp))

    assert letter.headers == (*export_record(7).headers, *added)
    assert letter.fingerprint == as_letter((key, value, headers, timestamp)).fingerprint


def test_g8_headers_of_a_record_that_are_named_like_ours_stay_its_own() -> None:
    key, value, headers, timestamp = undelivered_letter(7)

    letter = as_letter((key, value, [("topic", b"theirs"), ("reason", b"none"), *headers], timestamp))

    assert letter.headers[:2] == (("topic", b"theirs"), ("reason", b"none"))
    assert letter.was.topic == "exports"


def test_i4_an_event_has_no_flow_and_no_attempts_and_keeps_its_timestamp() -> None:
    letter = as_letter(unusable_letter(3, b"{", reason="not_json", timestamp=1_700_000_000_123))

    assert (letter.flow_id, letter.attempts, letter.headers, letter.source_timestamp) == (
        None,
        None,
        (),
        1_700_000_000_123,
    )


BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"/t"),
    ("ce_type", b"profile.patched"),
    ("ce_subject", None),
]


def test_i4_i10_an_event_has_back_its_headers_whatever_they_are_called_and_means_the_same_again() -> None:
    headers = [*BINARY, ("topic", b"theirs"), ("reason", b"rejected"), ("flow-id", b"theirs"), ("record-id", b"\xff")]

    letter = as_letter(unusable_letter(3, b"{}", headers=headers))

    assert letter.headers == tuple(headers)
    assert (letter.was.topic, letter.was.reason, letter.flow_id, letter.record_id) == (
        "profile-events",
        "document_too_large",
        None,
        None,
    )
    assert find_outcome(letter, {}, NOW) is Outcome.REDRIVE
    assert find_outcome(as_letter(unusable_letter(3, b"{}", headers=BINARY[1:])), {}, NOW) is Outcome.STILL_UNUSABLE


def test_g8_the_order_of_a_lane_is_that_of_its_events_wherever_the_record_stood() -> None:
    key, value, headers, timestamp = undelivered_letter(7)

    assert as_letter((key, value, [("source-offset", b"41"), *headers], timestamp)).order == 41
    assert as_letter((key, value, headers, timestamp)).order == 7


@pytest.mark.parametrize(
    "headers",
    [(), (("topic", b"t"),), (("topic", b"t"), ("partition", b"x"), ("offset", b"1"), ("reason", b"rejected"))],
)
def test_what_is_no_letter_of_ours_is_named_with_its_place(headers: Any) -> None:
    with pytest.raises(BadRecord, match="dead-letters 2:9 is no dead letter of ours"):
        decode_dead_letter(ReadRecord("dead-letters", 2, 9, None, b"k", b"v", headers))


def test_copies_of_a_letter_have_one_fingerprint_and_nothing_else_has_it() -> None:
    letter = as_letter(undelivered_letter(7), offset=1)
    changed = [undelivered_letter(8), undelivered_letter(7, "p-2"), undelivered_letter(7, value=b"x")]
    others = [*changed, unusable_letter(7, b"x"), unusable_letter(7, None)]

    assert as_letter(undelivered_letter(7), offset=99).fingerprint == letter.fingerprint
    assert len({letter.fingerprint, *(as_letter(other).fingerprint for other in others)}) == 6


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), True),
        (Selection(flows=frozenset({"vip"})), True),
        (Selection(flows=frozenset({"other"})), False),
        (Selection(reasons=frozenset({DeadLetterReason.REJECTED})), True),
        (Selection(reasons=frozenset({DeadLetterReason.FLOW_DELETED})), False),
        (Selection(partitions=frozenset({2})), True),
        (Selection(partitions=frozenset({1, 3})), False),
        (Selection(offsets=OffsetRange.parse("5")), True),
        (Selection(offsets=OffsetRange.parse("6-9")), False),
        (Selection(profiles=frozenset({b"p-1"})), True),
        (Selection(profiles=frozenset({b"p-2"})), False),
        (Selection(since=TIME), True),
        (Selection(until=TIME), False),
        (Selection(since="2026-01-01T00:00:00Z", until="2026-01-12T00:00:00Z"), True),
        (Selection(flows=frozenset({"vip"}), profiles=frozenset({b"p-2"})), False),
    ],
)
def test_every_condition_must_hold(selection: Selection, chosen: bool) -> None:
    assert (as_letter(undelivered_letter(7), offset=5, partition=2) in selection) is chosen


def test_a_letter_without_a_time_is_in_no_time_range() -> None:
    letter = as_letter(undelivered_letter(7))
    letter = replace(letter, was=letter.was._replace(time=None))

    assert letter in Selection()
    assert letter not in Selection(since="2000-01-01T00:00:00Z")


@pytest.mark.parametrize("text", ["", "x", "7-", "-7", "9-7", "1-2-3"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="offset"):
        OffsetRange.parse(text)


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (undelivered_letter(1), Outcome.REDRIVE),
        (undelivered_letter(1, flow="gone", reason="flow_deleted"), Outcome.FLOW_MISSING),
        (undelivered_letter(1, reason="record_too_large", value=b"x" * 997), Outcome.REDRIVE),
        (undelivered_letter(1, reason="record_too_large", value=b"x" * 998), Outcome.STILL_TOO_LARGE),
        (unusable_letter(1, EVENT), Outcome.REDRIVE),
        (unusable_letter(1, b"{", reason="not_json"), Outcome.STILL_UNUSABLE),
    ],
)
def test_g8_what_would_only_become_a_letter_again_is_left(raw: Any, outcome: Outcome) -> None:
    letter = as_letter(raw)

    assert find_outcome(letter, {}, NOW) is outcome
    assert find_outcome(letter, {letter.fingerprint: RedriveMarker(TIME, "exports")}, NOW) is Outcome.REDRIVEN_BEFORE


def test_g8_a_letter_that_its_topic_does_not_take_is_left_and_no_other_with_it() -> None:
    """Kafka would refuse the whole batch, and the redrive would end."""
    narrow = replace(NOW, fits=lambda letter: letter.is_of_delivery)

    assert find_outcome(as_letter(unusable_letter(3, EVENT)), {}, narrow) is Outcome.TOPIC_TOO_NARROW
    assert find_outcome(as_letter(undelivered_letter(7)), {}, narrow) is Outcome.REDRIVE


def test_an_event_that_the_topic_would_refuse_or_remove_is_left() -> None:
    circumstances = replace(NOW, event_times=range(1_800_000_000_000, 1_900_000_000_000))

    assert find_outcome(as_letter(unusable_letter(1, EVENT)), {}, circumstances) is Outcome.TIME_NOT_TAKEN


def test_g8_a_lane_whose_letters_are_not_in_order_is_found_and_copies_count_once() -> None:
    """A record that is too large becomes a letter before an earlier one of its lane, which still waits."""
    order = [(5, "p-1"), (4, "p-2"), (2, "p-1"), (6, "p-2"), (5, "p-1")]
    letters = [as_letter(undelivered_letter(offset, profile), number) for number, (offset, profile) in enumerate(order)]

    found = plan_redrive(letters, {}, NOW)

    assert found.unordered == {(0, b"p-1", "vip")}
    assert found.outcomes == {("vip", "rejected", Outcome.REDRIVE): 4}
    assert [found.covers(letters[-1]), found.covers(replace(letters[-1], offset=5))] == [True, False]


def test_letters_are_counted_by_flow_and_reason() -> None:
    letters = [
        as_letter(raw)
        for raw in (undelivered_letter(1), undelivered_letter(2), unusable_letter(3, b"{", reason="not_json"))
    ]
    counts = DeadLetterCounts()
    for letter in letters:
        counts.add_dead_letter(letter, {letters[0].fingerprint: RedriveMarker(TIME, "exports")})

    assert list(counts) == [FlowReasonCount(None, "not_json", 1, 0), FlowReasonCount("vip", "rejected", 2, 1)]
