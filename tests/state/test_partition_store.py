"""One partition on disk: atomic batches, its offset in the changelog, and whose copy it is."""

from pathlib import Path

import orjson
import pytest
from rocksdict import DBCompressionType

from processor.core.catalog import Catalog
from processor.core.step import EventSkip, Limits, Step, step
from schemas.kafka import ReadRecord
from schemas.profile import Profile
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    Row,
    SourcePosition,
    UnreadableRow,
    decode_row,
    decode_source_position,
    encode_row,
    encode_source_position,
    profile_key,
)
from state.identity import Identity
from state.partition import PartitionStore
from state.store_options import FileOptions, Memory, shared_memory

IDENTITY = Identity("cluster", "app", "app-profiles-changelog", "topic-id", 3, 8)
PROFILE = Profile(
    attributes={"person": {"name": {"firstName": "Zoë"}}},
    identities={"ECID": [{"id": "1"}]},
    memberships={"ups": {"a": "r2026-01-11T23:37:33Z"}},
    entry_fields={"ups": {"a": {"validUntil": "2027-01-01T00:00:00Z"}}},
    version=7,
    event_ids=("/u", "e-1"),
    size_bound_bytes=64,
)
ROW = encode_row(PROFILE, 41)


@pytest.fixture
def memory() -> Memory:
    return shared_memory(8 << 20, 4 << 20, 1)


def test_a_row_comes_back_as_it_was() -> None:
    assert decode_row(ROW) == Row(PROFILE, 41)


@pytest.mark.parametrize(
    "value", [b"", b"2", b"{}", b"[2]", ROW[:-1], b"[2" + ROW[2:], b'\x01[41,7,["e-1"],64]\n{"person":{}}', b"rubbish"]
)
def test_a_row_of_another_format_or_damaged_is_an_error_and_never_a_profile(value: bytes) -> None:
    with pytest.raises(UnreadableRow):
        decode_row(value)


def old_row(**changes: object) -> bytes:
    """A row of format 3: ids of events without their sources."""
    fields = {
        "attributes": {},
        "identities": {},
        "memberships": {},
        "entry_fields": {},
        "version": 7,
        "event_ids": ["e-1"],
        "size_bound": 64,
    }
    return orjson.dumps([3, 41, *(fields | changes).values(), "2027-01-01T00:00:00Z", ""])


def test_i5_a_row_of_format_3_is_read_and_its_ids_are_of_any_source() -> None:
    """What that version applied is not applied again, whoever sent it; the next events push these ids out."""
    row = decode_row(old_row(event_ids=["e-1", "x" * 64]))
    limits = Limits(dedup_window=2)

    def apply(profile: Profile | None, source: str, event_id: str) -> Step:
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": "profile.patched",
            "time": "2026-01-11T23:37:33Z",
            "data": {},
        }
        return step(
            profile, ReadRecord("profile-events", 0, 0, 0, b"p-1", orjson.dumps(event)), Catalog.of((), ()), limits
        )

    assert (row.offset, row.profile.version, row.deadline) == (41, 7, "2027-01-01T00:00:00Z")
    assert apply(row.profile, "/u", "e-1").skipped_event is EventSkip.DUPLICATE_EVENT
    assert apply(row.profile, "/v", "x" * 64).skipped_event is EventSkip.DUPLICATE_EVENT
    applied = apply(row.profile, "/u", "e-2")
    assert applied.skipped_event is None
    assert apply(applied.profile, "/u", "e-1").skipped_event is None
    assert applied.profile is not None
    assert encode_row(applied.profile, 42).startswith(b"[4,")


def test_i7_i9_a_row_of_format_3_is_read_as_todays_rules_would_keep_it() -> None:
    since = "r2026-01-11T23:37:33Z"
    row = old_row(
        attributes={"xdm:person": {"xdm:name": "Ada"}, "n": 1, "xdm:n": 2, "list": [{"xdm:a": 1}]},
        identities={"": [{"id": "1"}], "E": [{"id": ""}, {"id": "1", "xdm:x": 1}], "F": [{"id": ""}]},
        memberships={"": {"a": since}, "ups": {"": since, "a": "e2026-01-11T23:37:33Z", "b": since}},
        entry_fields={
            "": {"a": {"version": "1"}},
            "ups": {
                "a": {"validUntil": "2027-01-01T00:00:00Z"},
                "b": {
                    "xdm:status": "exited",
                    "xdm:lastQualificationTime": 0,
                    "xdm:validUntil": 0,
                    "validUntil": "2027-01-01T00:00:00Z",
                    "xdm:v": 1,
                },
            },
        },
    )

    assert decode_row(row).profile.document == {
        "person": {"name": "Ada"},
        "n": 1,
        "list": [{"a": 1}],
        "segmentMembership": {
            "ups": {
                "a": {"lastQualificationTime": "2026-01-11T23:37:33Z", "status": "exited"},
                "b": {
                    "lastQualificationTime": "2026-01-11T23:37:33Z",
                    "status": "realized",
                    "validUntil": "2027-01-01T00:00:00Z",
                    "v": 1,
                },
            }
        },
        "identityMap": {"E": [{"id": "1", "x": 1}]},
    }


def test_a_source_position_comes_back_as_it_was_and_a_damaged_one_is_an_error() -> None:
    source_position = SourcePosition(17, 2, "a", "b")

    assert decode_source_position(encode_source_position(source_position)) == source_position
    with pytest.raises(UnreadableRow):
        decode_source_position(b'{"next":1}')


def test_rows_source_position_and_place_are_there_after_opening_again(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        store.apply({profile_key(b"p-1"): ROW, SOURCE_POSITION_KEY: encode_source_position(SourcePosition(42))}, 99)

    with PartitionStore.open(tmp_path / "3", IDENTITY, memory) as store:
        assert store.get_many([profile_key(b"p-1"), profile_key(b"p-2")]) == [ROW, None]
        assert store.source_position == SourcePosition(42)
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


MARKER = b"marker-5f0c"
GONE, GONE_AT_AN_EDGE = b"gone-5f0c", b"z-gone-5f0c"
MARKED = encode_row(
    Profile({"name": MARKER.decode()}, {"ECID": [{"id": f"{MARKER.decode()}-1"}]}, {}, {}, 1, (), 64), 1
)


LEGIBLE = FileOptions(compression=DBCompressionType.none)
"""What is in a file stands there as it is."""


def files_with(folder: Path, *texts: bytes) -> list[str]:
    """The files in which one of the texts stands."""
    return sorted(file.name for file in folder.iterdir() if any(text in file.read_bytes() for text in texts))


def write_and_remove(store: PartitionStore) -> None:
    """Two profiles, whose rows and tombstones come into files of their own; one of them is the last of its file."""
    neighbours = {profile_key(b"%s-%d" % (name, number)): ROW for name in (b"f", b"q") for number in range(200)}
    store.apply(neighbours | {profile_key(GONE): MARKED, profile_key(GONE_AT_AN_EDGE): MARKED}, 1)
    store.compact()
    assert len(files_with(store.path, MARKER)) == 1
    store.apply({profile_key(b"f-1"): ROW, profile_key(GONE): None, profile_key(GONE_AT_AN_EDGE): None}, 2)


def test_f3_after_a_compaction_nothing_of_a_deleted_profile_is_on_disk(tmp_path: Path, memory: Memory) -> None:
    """RocksDB's list of its files names the ids at their edges, until the store is opened again."""
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory, files=LEGIBLE) as store:
        write_and_remove(store)
        store.compact()

        assert files_with(store.path, MARKER) == []
        assert [name.partition("-")[0] for name in files_with(store.path, GONE)] == ["MANIFEST"]

    with PartitionStore.open(tmp_path / "3", IDENTITY, memory, files=LEGIBLE) as store:
        assert files_with(store.path, MARKER, GONE) == []
        assert store.get_many([profile_key(b"f-1"), profile_key(GONE)]) == [ROW, None]


def test_f3_what_was_deleted_stays_in_a_file_until_a_compaction(tmp_path: Path, memory: Memory) -> None:
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory, files=LEGIBLE) as store:
        write_and_remove(store)

    assert len(files_with(tmp_path / "3", MARKER)) == 1


def test_f3_ids_at_the_edge_of_a_file_go_when_the_list_of_files_is_written_anew(tmp_path: Path, memory: Memory) -> None:
    """It is at a size that we set; here, with each change."""
    files = LEGIBLE._replace(manifest_bytes=1)
    with PartitionStore.open(tmp_path / "3", IDENTITY, memory, files=files) as store:
        write_and_remove(store)
        store.compact()
        store.apply({profile_key(b"f-1"): ROW}, 3)
        store.compact()

        assert files_with(store.path, MARKER, GONE) == []
