"""The rows that workers left, in the changelog and on disk, held against the fold.

Neither may differ from it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rocksdict import AccessType, Options, Rdict

from processor.kafka.reading import read_topic
from schemas.profile import Profile
from schemas.wire.identity_index import IDENTITY, INDEX_KEY, IndexState, decode_progress, identity_key
from schemas.wire.profiles_changelog import (
    PROFILE,
    SOURCE_POSITION_KEY,
    SourcePosition,
    decode_row,
    decode_source_position,
)
from tests.kit.replayed import Replayed
from tests.kit.whole_job import WholeJob

Rows = Mapping[bytes, bytes]
_MOST_FAULTS: Final = 5
_OF_THE_COPY: Final = b"\0"  # whose it is, and how far (state/partition.py)


def require_rows_of_the_fold(job: WholeJob, replayed: Replayed, state_folders: Iterable[Path]) -> None:
    """The last rows of the changelog are the profiles of replay, and some folder holds the same rows of each partition.

    No worker may run. Folders of earlier owners may be behind.
    """
    changelog = rows_of_changelog(job)
    require_the_fold(changelog, replayed)
    copies = [rows_on_disk(folder) for folder in state_folders]
    for partition, rows in changelog.items():
        differing = [
            sorted(key for key, _ in copy.get(partition, {}).items() ^ rows.items())[:_MOST_FAULTS] for copy in copies
        ]
        assert not all(differing), f"no folder holds the rows of partition {partition}, they differ in {differing}"


def require_the_fold(rows: Mapping[int, Rows], replayed: Replayed) -> None:
    """Require rows by partition to be those of the fold: each profile once, the index whole.

    Each source position is the one after the last event, or after markers that follow it.
    """
    found = {
        (where, key[1:]): decode_row(value)
        for where, each in rows.items()
        for key, value in each.items()
        if key.startswith(PROFILE)
    }
    faults = [f"{key!r}: a row, and no profile in replay" for key in found.keys() - replayed.profiles.keys()]
    for key, profile in replayed.profiles.items():
        row = found.get(key)
        same = row is not None and _state(row.profile) == _state(profile) and row.offset == replayed.applied[key]
        faults += (
            []
            if same
            else [f"{key!r}: replay has {_state(profile)}, applied at {replayed.applied[key]}; the row is {row}"]
        )
    for partition, next_offset in replayed.next_offsets.items():
        position = decode_source_position(rows[partition][SOURCE_POSITION_KEY])
        wanted = SourcePosition(next_offset, replayed.bad_in_a_row[partition])
        same = position.next_offset >= wanted.next_offset and position.bad_in_a_row == wanted.bad_in_a_row
        faults += [] if same else [f"partition {partition}: {position}, wanted {wanted}"]
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:_MOST_FAULTS]])
    for each in rows.values():
        require_whole_index(each)


def require_whole_index(rows: Rows) -> None:
    """Rows of one partition: the index has the identities of the profiles and no others, and says that it is whole."""
    assert index_of(rows) == identities_of(rows)
    assert says_whole(rows), f"{rows.get(INDEX_KEY)!r} beside {rows.get(SOURCE_POSITION_KEY)!r}"


def index_of(rows: Rows) -> dict[bytes, str]:
    """The index as it stands."""
    return {key: value.decode() for key, value in rows.items() if key.startswith(IDENTITY)}


def identities_of(rows: Rows) -> dict[bytes, str]:
    """The index as the profiles have it."""
    profiles = {
        key[len(PROFILE) :]: decode_row(value).profile for key, value in rows.items() if key.startswith(PROFILE)
    }
    return {
        identity_key(namespace, identity["id"], profile_id): namespace
        for profile_id, profile in profiles.items()
        for namespace, identities in profile.identities.items()
        for identity in identities
    }


def says_whole(rows: Rows) -> bool:
    """Return whether the index says that it is whole, as far as the source position."""
    progress = decode_progress(rows.get(INDEX_KEY))
    reached = decode_source_position(rows[SOURCE_POSITION_KEY]).next_offset if SOURCE_POSITION_KEY in rows else 0
    return progress is not None and progress.state is IndexState.COMPLETE and progress.next_offset >= reached


def _state(profile: Profile) -> tuple[object, ...]:
    """Return what of a profile is state; the bound of its size only says when it must be measured."""
    return profile.document, profile.version, profile.event_ids


def rows_of_changelog(job: WholeJob) -> dict[int, dict[bytes, bytes]]:
    """The last value of each key, by partition; what a tombstone removed is not there."""
    rows: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    settings = job.installation.settings
    for record in read_topic(settings, settings.topics.changelog):
        assert record.key is not None
        if record.value is None:
            rows[record.partition].pop(record.key, None)
        else:
            rows[record.partition][record.key] = record.value
    return rows


def is_compacted(job: WholeJob) -> bool:
    """Return whether most of what was written to the changelog is gone."""
    settings = job.installation.settings
    records = list(read_topic(settings, settings.topics.changelog))
    last = {record.partition: record.offset for record in records}
    return len(records) < sum(last.values()) / 2


def rows_on_disk(state_folder: Path) -> dict[int, dict[bytes, bytes]]:
    """Everything of the changelog in RocksDB, by partition; opened to read only."""
    return {int(path.name): _rows_of(path) for path in (state_folder / "profiles").glob("[0-9]*")}


def _rows_of(path: Path) -> dict[bytes, bytes]:
    database = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
    try:
        return {key: value for key, value in _items(database) if not key.startswith(_OF_THE_COPY)}
    finally:
        database.close()


def _items(database: Rdict) -> Iterator[tuple[bytes, bytes]]:
    """Every row; raises where damage hides the rest, which `Rdict.items` takes for the end."""
    rows = database.iter()
    rows.seek_to_first()
    while rows.valid():
        yield rows.key(), rows.value()
        rows.next()
    rows.status()
