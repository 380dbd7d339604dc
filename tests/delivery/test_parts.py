"""The small parts: reading a record, progress, backoff, the window of calls, limits."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.backoff import Backoff
from processor.delivery.lanes.calls import CallWindow
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from schemas.kafka import BadRecord
from schemas.wire.exports import decode_export
from tests.delivery.fakes import a_progress, export_record


def test_g5_a_record_is_read_from_its_headers_and_its_value_is_left_alone() -> None:
    record = export_record(7, "Zoë", "vip", value=b"\xff not JSON", partition_key="Zoë", hash_key="12")

    export = decode_export(record)

    assert (export.flow_id, export.value, export.partition_key, export.explicit_hash_key) == (
        "vip",
        b"\xff not JSON",
        "Zoë",
        "12",
    )
    assert export.record is record


def test_g2_a_record_counts_its_data_and_the_bytes_of_its_partition_key() -> None:
    assert decode_export(export_record(1, value=b"12345", partition_key="Zoë")).size_bytes == 5 + 4


def test_a_record_holds_its_headers_as_well_as_its_key_and_value() -> None:
    """Also those of one name, and those that nobody reads."""
    record = export_record(1, "p-1", value=b"12345")
    more = record._replace(headers=(*record.headers, *[("trace", b"x" * 1_000)] * 3))

    assert decode_export(more).held_bytes - decode_export(record).held_bytes == 3 * 1_005
    assert decode_export(record).held_bytes == 3 + 5 + sum(len(name) + len(value) for name, value in record.headers)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": None}, "no key"),
        ({"value": None}, "no value"),
        ({"headers": ()}, "flow-id"),
        ({"headers": (("flow-id", b"vip"),)}, "partition-key"),
        ({"headers": (("flow-id", b"\xff"), ("partition-key", b"p"))}, "UTF-8"),
        ({"headers": (("flow-id", None), ("partition-key", b"p"))}, "no value"),
        ({"headers": (("flow-id", b"vip"), ("partition-key", None))}, "no value"),
    ],
)
def test_a_record_that_is_not_ours_is_refused_with_what_it_lacks(changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        decode_export(export_record(1)._replace(**changes))


def accepted(*offsets: int) -> PartitionProgress:
    progress = a_progress(offsets[0])
    for offset in offsets:
        progress.accept(offset)
    return progress


def test_progress_stops_at_the_lowest_record_that_is_not_finished_and_takes_no_gap_for_a_record() -> None:
    """Offsets are never contiguous."""
    progress = accepted(10, 12, 17)
    progress.reach(20)

    progress.finish(12)
    assert progress.advance() is None
    progress.finish(10)
    assert (progress.advance(), progress.advance()) == (17, None)
    progress.finish(17)
    assert progress.advance() == 20


def test_progress_with_nothing_outstanding_is_the_consumers_position() -> None:
    progress = a_progress()

    progress.reach(5)

    assert (progress.advance(), progress.advance()) == (5, None)


def test_progress_says_nothing_before_something_is_finished() -> None:
    assert accepted(10, 11).advance() is None


def test_records_accepted_before_are_not_new() -> None:
    progress = accepted(10, 12)

    assert [record.offset for record in progress.unseen([export_record(offset) for offset in (10, 12, 13)])] == [13]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_progress_is_always_the_lowest_unfinished_offset_and_only_grows(gaps: list[int], rng: random.Random) -> None:
    offsets = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    progress = accepted(*offsets)
    progress.reach(offsets[-1] + 1)
    left, reported = set(offsets), [0]

    for offset in rng.sample(offsets, len(offsets)):
        progress.finish(offset)
        left.discard(offset)
        assert progress.next_offset == min(left, default=offsets[-1] + 1)
        reported.append(progress.advance() or reported[-1])

    assert reported == sorted(reported)
    assert reported[-1] == offsets[-1] + 1


def test_backoff_doubles_up_to_its_cap_and_draws_below_it() -> None:
    backoff = Backoff(base_seconds=0.1, cap_seconds=1.0)

    assert [backoff.seconds(failures, lambda: 1.0) for failures in (1, 2, 3, 4, 5, 1000)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.0,
        1.0,
    ]
    assert [backoff.seconds(failures, lambda: 0.5) for failures in (1, 4)] == [0.05, 0.4]
    assert backoff.seconds(9, lambda: 0.0) == 0.0


def test_throttling_halves_the_calls_in_flight_once_a_round_down_to_one() -> None:
    window, sizes = CallWindow(4), deque[int]()

    for _ in range(3):
        in_flight_together = window.round
        window.narrow(in_flight_together)
        window.narrow(in_flight_together)
        sizes.append(window.size)

    assert list(sizes) == [2, 1, 1]


def test_calls_that_go_well_widen_the_window_again_up_to_where_it_was() -> None:
    window = CallWindow(4)
    window.narrow(0)
    window.narrow(1)

    sizes = [window.size]
    for _ in range(12):
        window.widen()
        sizes.append(window.size)

    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[1], sizes[-1]) == (1, 2, 4)


def test_a_record_that_could_never_leave_is_no_limit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        DeliveryLimits(max_record_bytes=2, max_call_bytes=1)
