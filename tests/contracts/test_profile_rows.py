"""Suite of the port ProfileRows: in memory, and in RocksDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from processor.pipeline.ports import ProfileRows
from schemas.profile import Profile
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    SourcePosition,
    encode_row,
    encode_source_position,
    profile_key,
)
from state.identity import Identity
from state.partition import PartitionStore
from state.store_options import shared_memory
from tests.pipeline.fakes import MemoryRows

PORT: Final = ProfileRows
FORMS: Final = ("memory", "rocksdb")
PROFILE: Final = Profile({}, {}, {}, {}, 1, (), 2)
IDENTITY: Final = Identity("cluster", "app", "changelog", "topic-id", 0, 1)


@pytest.fixture(params=FORMS)
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProfileRows]:
    if request.param == "memory":
        yield MemoryRows()
        return
    with PartitionStore.open(tmp_path / "0", IDENTITY, shared_memory(1 << 20, 1 << 20, 1)) as store:
        yield store


def test_values_come_in_the_order_asked_and_none_where_there_is_none(rows: ProfileRows) -> None:
    rows.apply({b"pa": b"1", b"pb": b"2"}, 2)

    assert rows.get_many([b"pb", b"pc", b"pa", b"pb"]) == [b"2", None, b"1", b"2"]
    assert rows.get_many([]) == []


def test_a_batch_writes_changes_and_removes(rows: ProfileRows) -> None:
    rows.apply({b"pa": b"1", b"pb": b"2"}, 2)

    rows.apply({b"pa": None, b"pb": b"3", b"pc": b"4", b"pd": None}, 6)

    assert rows.get_many([b"pa", b"pb", b"pc", b"pd"]) == [None, b"3", b"4", None]


def test_a_scan_has_the_rows_of_a_prefix_above_a_key_in_the_order_of_their_bytes(rows: ProfileRows) -> None:
    keys = [b"o\xff", b"p", b"pa", b"pa\x00", b"pb", b"p\xff", b"q"]
    rows.apply({key: key for key in reversed(keys)}, len(keys))
    rows.apply({b"pb": None}, len(keys) + 1)

    assert list(rows.scan_from(b"p")) == [(key, key) for key in (b"p", b"pa", b"pa\x00", b"p\xff")]
    assert list(rows.scan_from(b"p", b"pa")) == [(key, key) for key in (b"pa\x00", b"p\xff")]
    assert list(rows.scan_from(b"p", b"p\xff")) == []
    assert list(rows.scan_from(b"x")) == []


def test_a_scan_may_be_given_up(rows: ProfileRows) -> None:
    rows.apply({b"pa": b"1", b"pb": b"2"}, 2)

    scan = rows.scan_from(b"p")
    assert next(scan) == (b"pa", b"1")
    scan.close()

    rows.apply({b"pc": b"3"}, 3)
    assert rows.get_many([b"pc"]) == [b"3"]


def test_the_source_position_is_the_row_that_says_so(rows: ProfileRows) -> None:
    before = rows.source_position
    position = SourcePosition(next_offset=42, profiles=2)

    rows.apply({SOURCE_POSITION_KEY: encode_source_position(position)}, 3)

    assert before is None
    assert rows.source_position == position


def test_profiles_are_counted(rows: ProfileRows) -> None:
    profiles = {profile_key(name): encode_row(PROFILE, 7) for name in (b"Ada", b"Bob")}

    rows.apply({**profiles, SOURCE_POSITION_KEY: encode_source_position(SourcePosition(next_offset=8, profiles=2))}, 3)

    assert rows.row_count() == 2
