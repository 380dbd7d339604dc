"""Profiles deleted on request: an event for each, and what the topics say became of it (contract F3).

    look before    changelog: whose row is there      exports: where its partitions end
    write          a profile.deleted for each, acknowledged
    wait           until the watermark in the changelog is past each of them: that, and its rows, are one commit
    look after     changelog and exports from there on: is a row left, and what left because of the event

The changelog is read once, from its beginning to the watermark waited for, and of it only the partitions that the
profiles are in.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

import orjson

from processor.core.partitioner import partition_of
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.errors import BrokerUnreachable, ReadFailed, WriteFailed
from processor.kafka.log_ends import stable_ends, wait_until_shown
from processor.kafka.profile_partitions import NotOnePartition, profile_partitions
from processor.kafka.reading import read_from
from processor.kafka.writer import Writer
from schemas.event import EventType, cloud_event
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.wire.exports import decode_export_headers
from schemas.wire.identity_index import IDENTITY, decode_identity_key
from schemas.wire.profiles_changelog import WATERMARK_KEY, UnreadableRow, decode_row, decode_watermark, profile_key

SOURCE: Final = "/profile-exporter/commands"
SHOWN_SECONDS: Final = 10.0
"""At least so long what is committed may take to be shown."""
_POLL_SECONDS: Final = 0.25
_AWAY: Final = (BrokerUnreachable, ReadFailed)
_MOST_FAULTS: Final = 20
_AGAIN: Final = "  start it again: to delete a profile twice does no harm"


class Row(StrEnum):
    """What the changelog holds of a profile after its deletion was applied."""

    TOMBSTONE = "tombstone"
    NONE = "none"  # nor was there any, as far back as the changelog goes
    NEW = "new"  # events that came after the deletion have begun another profile
    KEPT = "kept"  # that of before: the deletion was passed over
    INDEXED = (  # a tombstone, or none; and rows of the index of identities, which a worker of an older version leaves
        "indexed"
    )


class Deletion(NamedTuple):
    """An event, where it stands. `time` is the event's, in the form of C8."""

    profile: str
    event_id: str
    topic: str
    partition: int
    offset: int
    time: str


class LastRecord(NamedTuple):
    """A record that left because of the event."""

    flow: str
    record_id: str


class Applied(NamedTuple):
    """What became of it. `known`: whether the profile was there, when we looked or until the event came.

    `records` are by flow in the order of `exports`; None: not all that was committed was shown in time.
    """

    known: bool
    row: Row
    records: tuple[LastRecord, ...] | None


class Receipt(NamedTuple):
    """Of one profile. `applied` None: not yet, or nobody waited."""

    deletion: Deletion
    applied: Applied | None


class Request(NamedTuple):
    """Whom to delete, each once; `at`: the time of the events, in the form of C8; `wait_seconds` None: do not wait.

    `partition`: of which one; None: that of the profile (I12).
    """

    profiles: Sequence[str]
    at: str
    wait_seconds: float | None
    partition: int | None = None


class OnTwoPartitions(CommandError):
    """Nobody can say which half of a profile is meant; `faults` are one text each."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = [f"  and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        super().__init__("\n".join(["nothing was written: PARTITIONER=none, and", *faults[:_MOST_FAULTS], *more]))


Report = Callable[[int], None]
"""(records of the changelog that were read since the beginning)."""


def delete_profiles(settings: Settings, request: Request, new_id: Callable[[], str], report: Report) -> list[Receipt]:
    """In the order asked. `new_id` gives each event another id.

    Raises BrokerUnreachable, ReadFailed and OnTwoPartitions before anything is written, WriteFailed where not
    everything is. From then on there is a receipt, whatever happens: a broker that is away is waited for as the workers
    are.
    """
    places = _places(settings, request, report)
    if request.wait_seconds is None:
        return [Receipt(deletion, None) for deletion in _write(settings, request, places, new_id)]
    partitions = set(places.values())
    rows = _Rows(settings, {profile_key(profile.encode()): partition for profile, partition in places.items()}, report)
    rows.read_on({})
    exports = stable_ends(settings, settings.topics.exports, partitions)
    deletions = _write(settings, request, places, new_id)
    deadline = time.monotonic() + request.wait_seconds
    applied = _wait(rows, deletions, deadline)
    left = _left(settings, exports, applied, deadline) if applied else {}
    return [
        Receipt(each, rows.applied(each, None if left is None else left.get(each)) if each in applied else None)
        for each in deletions
    ]


def _places(settings: Settings, request: Request, report: Report) -> dict[str, int]:
    """The partition of each profile.

    One that is on none is deleted where murmur2 puts it: it is absent there, so nothing is applied (I8).
    """
    if request.partition is not None:
        return dict.fromkeys(request.profiles, request.partition)
    found: dict[str, int] = {}
    faults: list[str] = []
    with profile_partitions(settings, [profile.encode() for profile in request.profiles], report) as partitions:
        for profile in request.profiles:
            key = profile.encode()
            try:
                found[profile] = partitions.choose(key, partition_of(key, settings.partitions, Partitioner.MURMUR2))
            except NotOnePartition as why:
                faults.append(f"  {profile}: {why}")
    if faults:
        raise OnTwoPartitions(faults)
    return found


def _write(
    settings: Settings, request: Request, partitions: Mapping[str, int], new_id: Callable[[], str]
) -> list[Deletion]:
    topic = settings.topics.profile_events
    event_ids = {profile: new_id() for profile in request.profiles}
    places: dict[str, tuple[int, int]] = {}

    def noting(profile: str) -> Callable[[int, int], None]:
        return lambda partition, offset: places.update({profile: (partition, offset)})

    try:
        with Writer(settings) as writer:
            for profile, event_id in event_ids.items():
                event = deletion_event(profile, event_id, request.at)
                name, partition = f"profile {profile}", partitions[profile]
                writer.write(topic, profile.encode(), event, name=name, partition=partition, on_place=noting(profile))
    except WriteFailed as failed:
        raise WriteFailed([*failed.faults, _AGAIN]) from None
    return [Deletion(profile, event_id, topic, *places[profile], request.at) for profile, event_id in event_ids.items()]


def deletion_event(profile: str, event_id: str, at: str) -> bytes:
    """The CloudEvent (contract I1)."""
    return orjson.dumps(cloud_event(event_id, SOURCE, EventType.DELETED, profile, at))


class _Rows:
    """What the changelog says of some profiles, each in its partition, and how far the partitions are."""

    def __init__(self, settings: Settings, partition_of_key: Mapping[bytes, int], report: Report) -> None:
        self._settings, self._partition_of_key, self._report = settings, partition_of_key, report
        self._places = dict.fromkeys(partition_of_key.values(), 0)
        self._records = 0
        self._last: dict[bytes, int | None] = {}  # the event that its row is of; None: a tombstone
        self._known: set[bytes] = set()
        self._indexed: dict[bytes, set[bytes]] = {
            key: set() for key in partition_of_key
        }  # rows of the index that name it
        self.watermarks = dict.fromkeys(self._places, 0)

    def read_on(self, deletions: Mapping[bytes, int]) -> None:
        """To the end; `deletions`: the offset of each, once they are written. Raises as `read_topic` does."""
        for record in read_from(self._settings, self._settings.topics.changelog, self._places):
            self._places[record.partition] = record.offset + 1
            self._records += 1
            self._report(self._records)
            try:
                self._note(record, deletions)
            except UnreadableRow as unreadable:
                raise ReadFailed(f"{record.topic}[{record.partition}] offset {record.offset}: {unreadable}") from None

    def _note(self, record: ReadRecord, deletions: Mapping[bytes, int]) -> None:
        key, value = record.key, record.value
        if key == WATERMARK_KEY and value is not None:
            self.watermarks[record.partition] = decode_watermark(value).next_offset
        if key is not None and key.startswith(IDENTITY):
            self._note_index(record.partition, key, value)
        if key is None or self._partition_of_key.get(key) != record.partition:
            return
        of_event = self._last[key] = None if value is None else decode_row(value).offset
        if key not in deletions:
            (self._known.discard if of_event is None else self._known.add)(key)
        elif of_event is None or of_event < deletions[key]:
            self._known.add(key)

    def _note_index(self, partition: int, key: bytes, value: bytes | None) -> None:
        of = profile_key(decode_identity_key(key).profile_id)
        if self._partition_of_key.get(of) == partition:
            rows = self._indexed[of]
            (rows.discard if value is None else rows.add)(key)

    def applied(self, deletion: Deletion, records: tuple[LastRecord, ...] | None) -> Applied:
        """What became of a deletion that the watermark is past."""
        key = profile_key(deletion.profile.encode())
        return Applied(key in self._known, self._row(key, deletion.offset), records)

    def _row(self, key: bytes, deleted_at: int) -> Row:
        of_event = self._last.get(key)
        if of_event is None:
            return Row.INDEXED if self._indexed[key] else Row.TOMBSTONE if key in self._last else Row.NONE
        return Row.NEW if of_event > deleted_at else Row.KEPT


def _wait(rows: _Rows, deletions: Sequence[Deletion], deadline: float) -> set[Deletion]:
    """Those that are applied; all of them, where that is so before the deadline."""
    offsets = {profile_key(each.profile.encode()): each.offset for each in deletions}
    while True:
        with suppress(*_AWAY):
            rows.read_on(offsets)
        applied = {each for each in deletions if rows.watermarks[each.partition] > each.offset}
        if len(applied) == len(deletions) or time.monotonic() > deadline:
            return applied
        time.sleep(_POLL_SECONDS)


def _left(
    settings: Settings, begins: Mapping[int, int], applied: set[Deletion], deadline: float
) -> dict[Deletion, tuple[LastRecord, ...]] | None:
    """What left because of each; None: it is not shown in time."""
    with suppress(*_AWAY):
        return _read_left(settings, begins, applied, deadline)
    return None


def _read_left(
    settings: Settings, begins: Mapping[int, int], applied: set[Deletion], deadline: float
) -> dict[Deletion, tuple[LastRecord, ...]] | None:
    """Each record once, however often it was written."""
    exports, partitions = settings.topics.exports, {each.partition for each in applied}
    if not wait_until_shown(settings, exports, partitions, max(deadline, time.monotonic() + SHOWN_SECONDS)):
        return None
    deletions = {each.profile.encode(): each for each in applied}
    found: dict[Deletion, dict[LastRecord, None]] = {each: {} for each in applied}
    for record in read_from(settings, exports, {partition: begins[partition] for partition in partitions}):
        deletion = deletions.get(record.key or b"")
        if deletion is not None:
            found[deletion].update(dict.fromkeys(_because_of(deletion, record)))
    return {deletion: tuple(records) for deletion, records in found.items()}


def _because_of(deletion: Deletion, record: ReadRecord) -> Iterator[LastRecord]:
    headers = decode_export_headers(record.headers)
    record_id = headers.record_id or ""
    if record_id.startswith(f"{deletion.topic}-{deletion.partition}-{deletion.offset}-"):
        yield LastRecord(headers.flow_id or "", record_id)
