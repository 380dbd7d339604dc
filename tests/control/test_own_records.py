"""What a log committed is passed over when it is read, whatever compaction left of it."""

import pytest

from processor.catalog.state import ControlRecord, Topic
from processor.control.own_records import OwnRecords
from schemas.kafka import ProducerRecord


def a_record(key: str, value: str | None = "v", topic: Topic = Topic.FLOWS) -> ControlRecord:
    return topic, ProducerRecord(key.encode(), None if value is None else value.encode())


A1, B1, A2, B_GONE = a_record("a", "1"), a_record("b", "1"), a_record("a", "2"), a_record("b", None)


@pytest.fixture
def own() -> OwnRecords:
    records = OwnRecords([Topic.FLOWS, Topic.AUDIENCES])
    records.add([A1, B1, A2, B_GONE])
    return records


def test_what_was_committed_is_passed_over_once(own: OwnRecords) -> None:
    assert [own.read(*record) for record in (A1, B1, A2, B_GONE)] == [True] * 4
    assert not own
    assert not own.read(*A2)


def test_what_compaction_removed_before_it_was_read_keeps_nothing_back(own: OwnRecords) -> None:
    assert [own.read(*record) for record in (A2, B_GONE)] == [True, True]

    assert not own


def test_what_others_wrote_is_not_passed_over(own: OwnRecords) -> None:
    assert not own.read(*a_record("a", "3"))
    assert not own.read(*a_record("a", "1", Topic.AUDIENCES))

    assert [own.read(*record) for record in (A1, B1, A2, B_GONE)] == [True] * 4


def test_the_same_said_twice_is_passed_over_twice() -> None:
    own = OwnRecords([Topic.FLOWS])
    own.add([A1, A2, A1])

    assert [own.read(*record) for record in (A1, A2, A1)] == [True] * 3
    assert not own
