"""Writes that RocksDB refuses while it has buffers to write to files: waited for, unless no file can be written."""

from pathlib import Path
from typing import Any

import pytest
from rocksdict import WriteBatch

from state.damage import NoSpace
from state.partition import PartitionStore

STALLED = Exception("Result incomplete: Write stall")


class StallingDatabase:
    """The part of Rdict that a write needs; it stalls for as long as it was told to."""

    def __init__(self, stalls: int, background_errors: int, buffered_bytes: int) -> None:
        self.stalls, self.written = stalls, list[int]()
        self._properties = {
            "rocksdb.background-errors": background_errors,
            "rocksdb.cur-size-all-mem-tables": buffered_bytes,
        }

    def get(self, _key: bytes) -> None:
        return None

    def set_write_options(self, options: Any) -> None:
        assert options.no_slowdown

    def property_int_value(self, name: str) -> int:
        return self._properties[name]

    def write(self, batch: WriteBatch) -> None:
        if self.stalls:
            self.stalls -= 1
            raise STALLED
        self.written.append(len(batch))


def a_store(folder: Path, database: StallingDatabase) -> PartitionStore:
    return PartitionStore(folder, database, lambda: 1.0)  # type: ignore[arg-type]  # as far as it is used


@pytest.mark.parametrize(("background_errors", "buffered_bytes"), [(0, 1 << 60), (3, 0)])
def test_a_stall_is_waited_for_where_files_can_be_written(
    tmp_path: Path, background_errors: int, buffered_bytes: int
) -> None:
    """Also after an error that passed, where there is room again."""
    database = StallingDatabase(5, background_errors, buffered_bytes)
    store = a_store(tmp_path, database)

    store.apply({b"pAda": b"{}", b"pBob": None}, 7)

    assert database.written == [3], "both rows and their place, once"
    assert store.changelog_next_offset == 7


def test_a_stall_that_waits_for_room_on_the_disk_stops_for_the_operator(tmp_path: Path) -> None:
    """RocksDB would wait in the call for as long as the disk is full, and the event loop with it."""
    database = StallingDatabase(1_000_000, 1, 1 << 60)
    store = a_store(tmp_path, database)

    with pytest.raises(NoSpace, match="make room"):
        store.apply({b"pAda": b"{}"}, 7)

    assert (database.written, store.changelog_next_offset) == ([], 0)
