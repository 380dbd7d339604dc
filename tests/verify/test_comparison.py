"""The comparison is honest: it sees what is missing, out of order, foreign or repeated without a reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.sandbox.streams import StreamRecord
from processor.verify.comparison import (
    Comparison,
    ExportedRecord,
    compare_dead_letters,
    compare_exports,
    compare_stream,
)
from processor.verify.sequence import match_sequence
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.export import ExportRecord
from schemas.flow import Flow

RESTART = datetime(2026, 1, 11, 12, 0, 30, tzinfo=UTC)
BEFORE, AFTER = RESTART - timedelta(seconds=9), RESTART + timedelta(seconds=9)


def flow(**options: Any) -> Flow:
    destination = {"type": "kinesis", "stream": "crm", "region": "us-east-1"}
    return Flow.model_validate({"id": "f", "destination": destination, "options": options})


def decided(offset: int, key: str = "p-1", data: bytes | None = None, partition_key: str | None = None) -> ExportRecord:
    value = b'{"n":%d}' % offset if data is None else data
    return ExportRecord(f"profile-events-0-{offset}-f", "f", "etag", key, "", 1, (), value, value, partition_key or key)


def exported(record: ExportRecord) -> ExportedRecord:
    return ExportedRecord(record.id, record.flow_id, record.key, record.partition_key, record.value)


def arrived(record: ExportRecord, at: datetime = BEFORE) -> StreamRecord:
    return StreamRecord(record.partition_key, record.value, "1", "shard-0", at)


A, B, C = decided(0), decided(1), decided(2)
OTHER = decided(3, "p-2")


def streamed(
    expected: list[ExportRecord], found: list[StreamRecord], restarted_at: datetime | None = RESTART
) -> Comparison:
    return compare_stream(flow(), expected, [exported(record) for record in expected], found, restarted_at)


# Streams


def test_a_stream_that_holds_what_replay_sends_has_no_fault_whatever_the_order_of_profiles() -> None:
    assert streamed([A, OTHER, B], [arrived(A), arrived(B), arrived(OTHER)]) == (3, 0, ())


def test_a_stream_in_which_a_record_is_missing_has_a_fault_that_names_it() -> None:
    assert (
        streamed([A, B, C], [arrived(A), arrived(C)]).faults[0]
        == "crm: p-1: 2 missing or out of order, from profile-events-0-1-f"
    )


def test_a_stream_in_which_the_last_record_is_missing_has_a_fault() -> None:
    assert streamed([A, B], [arrived(A)]).faults == ("crm: p-1: 1 missing or out of order, from profile-events-0-1-f",)


def test_a_stream_in_which_a_profile_is_missing_has_a_fault() -> None:
    assert streamed([A, OTHER], [arrived(A)]).faults == (
        "crm: p-2: 1 missing or out of order, from profile-events-0-3-f",
    )


def test_a_stream_in_which_one_record_overtook_another_has_a_fault() -> None:
    faults = streamed([A, B, C], [arrived(A), arrived(C), arrived(B)]).faults

    assert 'crm: p-1: not what replay sends there: {"n":2}' in faults


@pytest.mark.parametrize("stranger", [decided(9, "p-1"), decided(9, "p-9"), decided(0, "p-1", partition_key="p-7")])
def test_a_stream_that_holds_a_foreign_record_has_a_fault(stranger: ExportRecord) -> None:
    assert len(streamed([A, B], [arrived(A), arrived(stranger), arrived(B)]).faults) == 1


def test_records_that_came_again_after_the_restart_are_counted() -> None:
    found = [arrived(A), arrived(B), arrived(A, AFTER), arrived(B, AFTER), arrived(C, AFTER)]

    assert streamed([A, B, C], found) == (3, 2, ())


def test_a_record_that_came_again_before_the_restart_has_a_fault() -> None:
    found = [arrived(A), arrived(A), arrived(B)]

    assert "no restart explains it" in streamed([A, B], found).faults[0]
    assert "no restart explains it" in streamed([A, B], found, restarted_at=None).faults[0]


def test_equal_bytes_of_two_events_must_be_there_twice() -> None:
    twice = [decided(0, data=b"same"), decided(1, data=b"same")]

    assert streamed(twice, [arrived(record) for record in twice]) == (2, 0, ())
    assert len(streamed(twice, [arrived(twice[0])]).faults) == 1


def test_an_envelope_says_whose_record_it_is() -> None:
    enveloped = [
        decided(n, data=orjson.dumps({"id": str(n), "subject": "p-1"}), partition_key="crm-1") for n in range(2)
    ]
    stranger = arrived(decided(7, data=b"no envelope", partition_key="crm-1"))
    exports = [exported(record) for record in enveloped]
    wanted = flow(envelope="cloudevents", partitionKey="identity:CRMID")

    assert compare_stream(wanted, enveloped, exports, [arrived(record) for record in enveloped], None) == (2, 0, ())
    assert len(compare_stream(wanted, enveloped, exports, [stranger, *map(arrived, enveloped)], None).faults) == 1


def test_records_that_do_not_say_whose_they_are_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="do not say whose they are"):
        compare_stream(flow(partitionKey="identity:CRMID"), [], [], [], None)


# Exports


def compared_exports(
    expected: list[ExportRecord], found: list[ExportedRecord], *, may_repeat: bool = False, forgotten: str = ""
) -> Comparison:
    return compare_exports(expected, found, may_repeat=may_repeat, forgotten=frozenset({forgotten}))


def test_exports_that_are_what_replay_decides_have_no_fault() -> None:
    assert compared_exports([A, B, OTHER], [exported(A), exported(OTHER), exported(B)]) == (3, 0, ())


def test_exports_with_a_record_missing_foreign_or_out_of_order_have_faults() -> None:
    for found in ([A], [A, B, C], [B, A]):
        assert compared_exports([A, B], [exported(record) for record in found], may_repeat=True).faults


def test_an_export_that_came_again_is_a_fault_only_where_transactions_hold() -> None:
    found = [exported(A), exported(B), exported(A), exported(B)]

    assert compared_exports([A, B], found, may_repeat=True) == (2, 2, ())
    assert "in spite of transactions" in compared_exports([A, B], found).faults[0]


def test_an_export_that_came_again_with_other_bytes_is_a_fault_unless_the_profile_s_state_was_gone() -> None:
    found = [exported(A), exported(A)._replace(value=b"{}")]

    assert compared_exports([A], found, may_repeat=True).faults
    assert compared_exports([A], found, may_repeat=True, forgotten="p-1") == (1, 1, ())
    assert compared_exports([A], found[::-1], may_repeat=True, forgotten="p-2").faults


def test_a_stream_may_repeat_what_the_exports_repeat_with_other_bytes() -> None:
    other = A._replace(value=b"{}")
    found = [arrived(A), arrived(other, AFTER)]

    assert compare_stream(flow(), [A], [exported(A), exported(other)], found, RESTART) == (1, 1, ())
    assert compare_stream(flow(), [A], [exported(A)], found, RESTART).faults


# Dead letters


LETTER = DeadLetter("profile-events", 0, 4, b"p", b"\xff", DeadLetterReason.NOT_UTF8, "why", None)


def test_dead_letters_are_the_same_whatever_explains_them() -> None:
    assert compare_dead_letters(
        [LETTER], [LETTER._replace(explanation="another", time="2026-01-11T12:00:00Z")], may_repeat=False
    ) == (1, 0, ())


def test_dead_letters_that_are_missing_changed_or_put_aside_for_another_reason_are_faults() -> None:
    for found in (
        [],
        [LETTER._replace(value=b"")],
        [LETTER._replace(reason=DeadLetterReason.NOT_JSON)],
        [LETTER, LETTER._replace(offset=5)],
    ):
        assert compare_dead_letters([LETTER], found, may_repeat=True).faults


def test_a_dead_letter_that_came_again_is_a_fault_only_where_transactions_hold() -> None:
    assert compare_dead_letters([LETTER], [LETTER, LETTER], may_repeat=True) == (1, 1, ())
    assert compare_dead_letters([LETTER], [LETTER, LETTER], may_repeat=False).faults


# The match_sequence, as a law


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.data())
def test_going_back_to_any_place_and_on_from_there_is_no_fault(expected: list[int], data: st.DataObject) -> None:
    killed_at = data.draw(st.integers(0, len(expected)))
    back_to = data.draw(st.integers(0, killed_at))

    way = match_sequence(expected, expected[:killed_at] + expected[back_to:])

    assert (way.reached, len(way.repeats), way.unexpected) == (len(expected), killed_at - back_to, ())


@given(st.lists(st.integers(), unique=True, min_size=1, max_size=12), st.data())
def test_whatever_is_left_out_of_distinct_items_is_missed(expected: list[int], data: st.DataObject) -> None:
    left_out = data.draw(st.integers(0, len(expected) - 1))

    way = match_sequence(expected, expected[:left_out] + expected[left_out + 1 :])

    assert way.reached == left_out


@given(st.permutations(list(range(6))))
def test_no_other_order_of_distinct_items_passes(found: list[int]) -> None:
    way = match_sequence(range(6), found)

    assert (way.reached == 6 and not way.unexpected) == (found == sorted(found))
