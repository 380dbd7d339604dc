"""The changelog read into local stores, in bulk: from where each store is to the end that the changelog has when asked.

Call it after the partitions were taken over: then nobody else writes, and the end is the last stable offset
(`settled_ends`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import TopicPartition

from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY
from state.changelog import ChangelogConsumer, OpenConsumer, kafka_consumer, opened
from state.partition import PartitionStore
from state.settled_ends import RestoreStalled, SettledEnd, WaitingOn, wait_for_settled_ends

FETCH_BYTES: Final = 4 * 1024 * 1024
READ_RECORDS: Final = 20_000
STALL_SECONDS: Final = 60.0
TOMBSTONE_SECONDS: Final = 86_400.0  # Kafka's default of delete.retention.ms, where the broker does not tell
CLOCK_SECONDS: Final = 60.0  # clocks of machines differ, and tombstones may go a little early
_WAIT_MS: Final = 100
_READING: Final = {
    "isolation_level": "read_committed",
    "auto_offset_reset": "none",
    "max_partition_fetch_bytes": FETCH_BYTES,
    "fetch_max_wait_ms": _WAIT_MS,
}
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RestoreProgress:
    """The progress of one partition's restore, in changelog offsets."""

    start: int
    next_offset: int
    end: int
    records: int = 0
    unconfirmed: int | None = None
    """The offset of the copy's last row, until the log is seen to hold it, or a later source position."""
    is_shown: bool = True
    """False: the broker acknowledged the copy's last commit, and shows it as open still."""

    @property
    def left(self) -> int:
        """Offsets to go; an upper bound of records, since compacted ones are counted."""
        return max(0, self.end - self.next_offset)

    @property
    def read_from(self) -> int:
        """The offset to read from: the copy's last row is read once more, where it is to be seen."""
        return self.start if self.unconfirmed is None else self.unconfirmed

    def without_known(self, records: Sequence[Any]) -> Sequence[Any]:
        """Return the records that the copy does not have; take notice where they show that its last row is committed.

        Compaction removes that row only where a later source position stands.
        """
        if self.unconfirmed is None:
            return records
        is_there = records[0].offset == self.unconfirmed
        if is_there or any(record.key == SOURCE_POSITION_KEY for record in records):
            self.unconfirmed = None
        return records[1:] if is_there else records


@dataclass(frozen=True, slots=True)
class Changelog:
    """The topic, and how long it keeps a tombstone (`delete.retention.ms`).

    None: the broker does not tell; Kafka's default is taken.
    """

    topic: str
    tombstone_seconds: float | None = None


Stores = Mapping[int, PartitionStore]


class StaleCopies(Exception):
    """Local copies that do not fit the changelog: they must be wiped and restored from its beginning.

    `partitions`: why.
    """

    def __init__(self, partitions: Mapping[int, str]) -> None:
        super().__init__(f"local copies that do not fit the changelog: {partitions}")
        self.partitions = dict(partitions)


def _wait_silently(_what: str) -> AbstractContextManager[None]:
    return nullcontext()


def _write_silently() -> None:
    """Tell nobody of a write."""


async def restore(
    stores: Stores,
    changelog: Changelog,
    connection: Mapping[str, Any],
    on_restored: Callable[[Mapping[int, RestoreProgress]], None],
    open_consumer: OpenConsumer = kafka_consumer,
    waiting_on: WaitingOn = _wait_silently,
    on_write: Callable[[], None] = _write_silently,
    read_records: int = READ_RECORDS,
) -> dict[int, RestoreProgress]:
    """Bring every store to the changelog's end; what was done, by partition.

    `connection` are aiokafka's arguments to reach the broker; `on_restored` is called before the first read, where
    there is something to read, and after each; `waiting_on` is told what is waited for beside records; `on_write` is
    called after the rows of each read, of at most `read_records`, are on disk. Resumable: each read is applied with its
    place, so a restart goes on where it was. Raises StaleCopies, RestoreStalled, KafkaError.

    A copy may be ahead of the log: a broker that is being stopped acknowledges a commit and may leave its markers out,
    and the next transaction of that producer takes the rows along, into its abort. Such a copy is stale.
    """
    if not stores:
        return {}
    places = {
        TopicPartition(changelog.topic, partition): copy.changelog_next_offset for partition, copy in stores.items()
    }
    async with opened(open_consumer, **connection, isolation_level="read_uncommitted") as uncommitted:
        written = await uncommitted.end_offsets(list(places))
    async with opened(open_consumer, **connection, **_READING) as consumer:
        ends = await wait_for_settled_ends(places, written, consumer, waiting_on)
        progress = await _plan(stores, changelog, consumer, ends)
        if any(part.left for part in progress.values()):
            on_restored(progress)
            await _read(stores, changelog.topic, consumer, progress, on_restored, on_write, read_records)
        return progress


async def _plan(
    stores: Stores, changelog: Changelog, consumer: ChangelogConsumer, ends: Mapping[TopicPartition, SettledEnd]
) -> dict[int, RestoreProgress]:
    places = {TopicPartition(changelog.topic, partition): partition for partition in stores}
    begins = await consumer.beginning_offsets(list(places))
    stale = {
        partition: reason
        for place, partition in places.items()
        if (reason := misfit(stores[partition], begins[place], ends[place].offset, changelog.tombstone_seconds))
        is not None
    }
    if stale:
        raise StaleCopies(stale)
    starts = {place: max(stores[partition].changelog_next_offset, begins[place]) for place, partition in places.items()}
    return {
        partition: RestoreProgress(
            starts[place],
            starts[place],
            ends[place].offset,
            unconfirmed=_last_row(stores[partition], begins[place]),
            is_shown=ends[place].is_shown,
        )
        for place, partition in places.items()
    }


def _last_row(copy: PartitionStore, begin: int) -> int | None:
    """Return the offset of the copy's last row, where it is known and the log may still hold it."""
    last = copy.last_row_offset
    return last if last is not None and last >= begin else None


def misfit(copy: PartitionStore, begin: int, end: int, tombstone_seconds: float | None) -> str | None:
    """Say why a copy cannot go on from where it is in a log from `begin` to `end`; None: it can. An empty one can.

    A copy older than the log keeps tombstones may have missed one: a deleted profile would live on. So may one that is
    from the future, by a clock that was wrong then or is wrong now.
    """
    next_offset, kept_seconds = (
        copy.changelog_next_offset,
        TOMBSTONE_SECONDS if tombstone_seconds is None else tombstone_seconds,
    )
    if next_offset > end:
        return f"it is at {next_offset}, past the changelog's end {end}"
    if 0 < next_offset < begin:
        return f"it is at {next_offset}, before the changelog's beginning {begin}"
    if 0 < next_offset < end and not 0 <= copy.age_seconds + CLOCK_SECONDS <= kept_seconds:
        return f"it is {copy.age_seconds:.0f} s old, and the changelog keeps tombstones {kept_seconds:.0f} s"
    return None


async def _read(
    stores: Stores,
    changelog: str,
    consumer: ChangelogConsumer,
    progress: dict[int, RestoreProgress],
    on_restored: Callable[[Mapping[int, RestoreProgress]], None],
    on_write: Callable[[], None],
    read_records: int,
) -> None:
    waiting = {TopicPartition(changelog, partition): part for partition, part in progress.items() if part.left}
    consumer.assign(list(waiting))
    for place, part in waiting.items():
        consumer.seek(place, part.read_from)
    loop = asyncio.get_running_loop()
    moved_at = loop.time()
    while waiting:
        fetched = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=read_records)
        for place, records in fetched.items():
            _apply(stores[place.partition], records, waiting[place])
            on_write()
            await asyncio.sleep(0)
        for place in list(waiting):
            if await _reached(consumer, place, waiting[place], stores[place.partition]):
                consumer.pause(place)
                del waiting[place]
                moved_at = loop.time()
        if fetched:
            moved_at = loop.time()
            on_restored(progress)
        if loop.time() - moved_at > STALL_SECONDS:
            raise RestoreStalled(
                f"{changelog}: nothing came for {STALL_SECONDS:.0f} s, before the end of"
                f" {sorted(p.partition for p in waiting)}"
            )


def _apply(store: PartitionStore, fetched: Sequence[Any], part: RestoreProgress) -> None:
    records = part.without_known(fetched)
    if not records:
        return
    rows = {record.key: record.value for record in records}
    part.next_offset = records[-1].offset + 1
    part.records += len(records)
    store.apply(rows, part.next_offset)


async def _reached(
    consumer: ChangelogConsumer, place: TopicPartition, part: RestoreProgress, store: PartitionStore
) -> bool:
    """Return whether the position is at the end: the last offsets may be markers, or compacted away."""
    if await consumer.position(place) < part.end:
        return False
    if part.unconfirmed is not None:
        reason = (
            f"its last rows, up to offset {part.unconfirmed}, are not in the log: the broker acknowledged their"
            " commit, and aborted it"
        )
        raise StaleCopies({place.partition: reason})
    if part.next_offset < part.end:
        part.next_offset = part.end
        store.apply({}, part.end)
    return True
