"""One partition on disk: atomic batches, its place in the changelog, and whose copy it is (design 5.9)."""

from pathlib import Path

import pytest

from schemas.profile import Profile
from state.identity import Identity
from state.partition import Memory, PartitionStore, shared_memory
from state.rows import WATERMARK_KEY, Row, UnreadableRow, Watermark, decode_row, decode_watermark, encode_row, encode_watermark, profile_key

IDENTITY = Identity("cluster", "app", "app-profiles-changelog", "topic-id", 3, 8)
PROFILE = Profile(
    attributes={"person": {"name": {"firstName": "Zoë"}}},
    identities={"ECID": [{"id": "1"}]},
    memberships={"ups": {"a": "r2026-01-11T23:37:33Z"}},
    entry_fields={"ups": {"a": {"validUntil": "2027-01-01T00:00:00Z"}}},
    version=7,
    event_ids=("e-1",),
    size_bound_bytes=64,
)
ROW = encode_row(PROFILE, 41)


@pytest.fixture
def memory() -> Memory:
    return shared_memory(8 << 20, 4 << 20, 1)


def test_a_row_comes_back_as_it_was() -> None:
    assert decode_row(ROW) == Row(PROFILE, 41)


@pytest.mark.parametrize("value", [b"", b"2", b"{}", b"[2]", ROW[:-1], b"[3" + ROW[2:], b'\x01[41,7,["e-1"],64]\n{"person":{}}', b"rubbish"])
def test_a_row_of_another_format_or_damaged_is_an_error_and_never_a_profile(value: bytes) -> None:
    with pytest.raises(UnreadableRow):
        decode_row(value)


def test_a_watermark_comes_back_as_it_was_and_a_damaged_one_is_an_error() -> None:
    watermark = Watermark(17, 2, "a", "b")

    assert decode_watermark(encode_watermark(watermark)) == watermark
    with pytest.raises(UnreadableRow):
        decode_watermark(b'{"next":1}')


def test_rows_watermark_and_place_are_there_after_opening_again(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        store.apply({profile_key(b"p-1"): ROW, WATERMARK_KEY: encode_watermark(Watermark(42))}, 99)

    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        assert store.get_many([profile_key(b"p-1"), profile_key(b"p-2")]) == [ROW, None]
        assert store.watermark == Watermark(42)
        assert store.changelog_next_offset == 99
        assert list(store.scan()) == [(b"p-1", ROW)]


def test_a_tombstone_removes_a_row(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        store.apply({profile_key(b"p-1"): ROW}, 1)
        store.apply({profile_key(b"p-1"): None}, 2)

        assert store.get_many([profile_key(b"p-1")]) == [None]
        assert list(store.scan()) == []


@pytest.mark.parametrize(
    "other",
    [
        IDENTITY._replace(cluster_id="other"),
        IDENTITY._replace(app_id="other"),
        IDENTITY._replace(changelog="other"),
        IDENTITY._replace(changelog_id="other"),
        IDENTITY._replace(partition=4),
        IDENTITY._replace(partitions=9),
        IDENTITY._replace(format=2),
    ],
)
def test_a_copy_of_another_identity_is_wiped(tmp_path: Path, memory: Memory, other: Identity) -> None:
    with PartitionStore.open(tmp_path / "3", other, memory) as store:
        store.apply({profile_key(b"p-1"): ROW}, 5)

    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        assert store.changelog_next_offset == 0
        assert list(store.scan()) == []


def test_a_copy_with_damaged_files_is_wiped(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        store.apply({profile_key(b"p-1"): ROW}, 5)
    for manifest in (tmp_path / "3").glob("MANIFEST-*"):
        manifest.write_bytes(b"not a manifest")

    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        assert store.changelog_next_offset == 0


def test_a_copy_that_somebody_holds_open_is_an_error_and_stays(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        store.apply({profile_key(b"p-1"): ROW}, 5)

        with pytest.raises(Exception, match=r"(?i)lock"):
            PartitionStore.open(tmp_path / "3", IDENTITY, memory)

        assert store.get_many([profile_key(b"p-1")]) == [ROW]
