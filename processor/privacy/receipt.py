"""The receipt of a deletion: what the topics say became of the profile, and of what left because of it.

The changelog is read once, from its beginning to the source position waited for, and of it only the partitions that
the profiles are in.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from processor.foundation.settings import Settings
from processor.kafka.errors import ReadFailed
from processor.kafka.log_ends import wait_until_shown
from processor.kafka.reading import read_from
from schemas.kafka import ReadRecord
from schemas.wire.exports import decode_export_headers
from schemas.wire.identity_index import IDENTITY, decode_identity_key
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    UnreadableRow,
    decode_row,
    decode_source_position,
    profile_key,
)

SHOWN_SECONDS: Final = 10.0
"""At least so long what is committed may take to be shown."""

Report = Callable[[int], None]
"""(records of the changelog that were read since the beginning)."""


class Row(StrEnum):
    """A profile's row on the changelog, as it is after its deletion was applied."""

    TOMBSTONE = "tombstone"
    NONE = "none"  # nor was there any, as far back as the changelog goes
    NEW = "new"  # events that came after the deletion have begun another profile
    KEPT = "kept"  # that of before: the deletion was passed over
    INDEXED = (  # a tombstone, or none; and rows of the index of identities, which a worker of an older version leaves
        "indexed"
    )


class Deletion(NamedTuple):
    """An event that deletes a profile, where it stands. `time` is the event's, in the form of C8."""

    profile: str
    event_id: str
    topic: str
    partition: int
    offset: int
    time: str


class LastRecord(NamedTuple):
    """An export record that left because of the event."""

    flow: str
    record_id: str


class Applied(NamedTuple):
    """The end of a deletion that a worker applied.

    `known`: whether the profile was there, when we looked or until the event came. `records` are by flow in the order
    of `exports`; None: not all that was committed was shown in time.
    """

    known: bool
    row: Row
    records: tuple[LastRecord, ...] | None


class Receipt(NamedTuple):
    """The receipt for one profile. `applied` None: not yet, or nobody waited."""

    deletion: Deletion
    applied: Applied | None


class ChangelogRows:
    """The rows of some profiles as the changelog has them, each in its partition, and how far the partitions are."""

    def __init__(self, settings: Settings, partition_of_key: Mapping[bytes, int], report: Report) -> None:
        self._settings, self._partition_of_key, self._report = settings, partition_of_key, report
        self._next_offsets = dict.fromkeys(partition_of_key.values(), 0)
        self._records = 0
        self._last: dict[bytes, int | None] = {}  # the event that its row is of; None: a tombstone
        self._known: set[bytes] = set()
        self._indexed: dict[bytes, set[bytes]] = {
            key: set() for key in partition_of_key
        }  # rows of the index that name it
        self._source_positions = dict.fromkeys(self._next_offsets, 0)

    def read_on(self, deletions: Mapping[bytes, int]) -> None:
        """Read to the end of now; `deletions`: the offset of each, once they are written. Raises as `read_topic`."""
        for record in read_from(self._settings, self._settings.topics.changelog, self._next_offsets):
            self._next_offsets[record.partition] = record.offset + 1
            self._records += 1
            self._report(self._records)
            try:
                self._note_record(record, deletions)
            except UnreadableRow as unreadable:
                raise ReadFailed(f"{record.topic}[{record.partition}] offset {record.offset}: {unreadable}") from None

    def _note_record(self, record: ReadRecord, deletions: Mapping[bytes, int]) -> None:
        key, value = record.key, record.value
        if key == SOURCE_POSITION_KEY and value is not None:
            self._source_positions[record.partition] = decode_source_position(value).next_offset
        if key is not None and key.startswith(IDENTITY):
            self._note_identity(record.partition, key, value)
        if key is None or self._partition_of_key.get(key) != record.partition:
            return
        of_event = self._last[key] = None if value is None else decode_row(value).offset
        if key not in deletions:
            (self._known.discard if of_event is None else self._known.add)(key)
        elif of_event is None or of_event < deletions[key]:
            self._known.add(key)

    def _note_identity(self, partition: int, key: bytes, value: bytes | None) -> None:
        of = profile_key(decode_identity_key(key).profile_id)
        if self._partition_of_key.get(of) == partition:
            rows = self._indexed[of]
            (rows.discard if value is None else rows.add)(key)

    def is_past(self, deletion: Deletion) -> bool:
        """Return whether a worker has applied everything up to the deletion."""
        return self._source_positions[deletion.partition] > deletion.offset

    def find_applied(self, deletion: Deletion, records: tuple[LastRecord, ...] | None) -> Applied:
        """Return what became of a deletion that a worker has applied."""
        key = profile_key(deletion.profile.encode())
        return Applied(key in self._known, self._find_row(key, deletion.offset), records)

    def _find_row(self, key: bytes, deleted_at: int) -> Row:
        of_event = self._last.get(key)
        if of_event is None:
            return Row.INDEXED if self._indexed[key] else Row.TOMBSTONE if key in self._last else Row.NONE
        return Row.NEW if of_event > deleted_at else Row.KEPT


def read_last_records(
    settings: Settings, first_offsets: Mapping[int, int], applied: Collection[Deletion], deadline: float
) -> dict[Deletion, tuple[LastRecord, ...]] | None:
    """Return the records that left because of each deletion, each once, however often it was written.

    `first_offsets`: of `exports`, by partition, before the deletions were written; None is returned where not all that
    was committed is shown before `deadline`, or soon after. Raises as `read_topic` does.
    """
    exports, partitions = settings.topics.exports, {each.partition for each in applied}
    if not wait_until_shown(settings, exports, partitions, max(deadline, time.monotonic() + SHOWN_SECONDS)):
        return None
    deletions = {each.profile.encode(): each for each in applied}
    found: dict[Deletion, dict[LastRecord, None]] = {each: {} for each in applied}
    for record in read_from(settings, exports, {partition: first_offsets[partition] for partition in partitions}):
        deletion = deletions.get(record.key or b"")
        if deletion is not None:
            found[deletion].update(dict.fromkeys(_because_of(deletion, record)))
    return {deletion: tuple(records) for deletion, records in found.items()}


def _because_of(deletion: Deletion, record: ReadRecord) -> Iterator[LastRecord]:
    headers = decode_export_headers(record.headers)
    record_id = headers.record_id or ""
    if record_id.startswith(f"{deletion.topic}-{deletion.partition}-{deletion.offset}-"):
        yield LastRecord(headers.flow_id or "", record_id)
