"""A broker in memory, as far as one worker's takeovers and transactions go.

It has a changelog, producers that fence each other, and a group's offsets.

What reads it waits for `reads`: a test lets a restore go on read by read, and has a rebalance between any two of them.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from processor.core.catalog import Catalog
from processor.pipeline.ports import Output
from processor.transport.lease import Lease
from processor.transport.owner import Partition
from processor.worker.build import Replacements
from schemas.kafka import ProducerRecord
from schemas.profile import Profile
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, encode_row, encode_source_position

READ_RECORDS: Final = 2
_ROW: Final = encode_row(Profile({}, {"ECID": [{"id": "1"}]}, {}, {}, 1, (), 64), 0)


class Row(NamedTuple):
    """A record of the changelog, as aiokafka gives it."""

    offset: int
    key: bytes
    value: bytes | None


class MemoryKafka:
    """The broker. `reads`: how many reads of changelogs may go on; `faults`: what the next requests end with."""

    def __init__(self, partitions: Collection[int]) -> None:
        self.changelog: dict[int, list[Row]] = {partition: [] for partition in partitions}
        self.epochs = dict.fromkeys(partitions, 0)
        self.reads = asyncio.Semaphore(0)
        self.is_open = False
        self.faults: list[BaseException] = []
        self._held: dict[str, asyncio.Event] = {}
        self._arrived: dict[str, asyncio.Event] = {}

    def hold(self, what: str) -> None:
        """Let nobody pass "catalog", "fence", "commit", "offsets" or "rows" until `let_go`."""
        self._held[what], self._arrived[what] = asyncio.Event(), asyncio.Event()

    async def is_held(self, what: str) -> None:
        """Return when somebody waits there."""
        await self._arrived[what].wait()

    def let_go(self, what: str) -> None:
        """Whoever waits there goes on."""
        self._held.pop(what).set()

    async def pass_by(self, what: str) -> None:
        """An answer, once nobody holds it."""
        if what in self._held:
            self._arrived[what].set()
            await self._held[what].wait()
        await self.answer()

    def fence(self, partition: int) -> int:
        """The epoch of the only writer from now on."""
        self.epochs[partition] += 1
        return self.epochs[partition]

    def append(self, partition: int, rows: Mapping[bytes, bytes | None]) -> int:
        """The offset after the last row."""
        log = self.changelog[partition]
        log += [Row(len(log) + number, key, value) for number, (key, value) in enumerate(rows.items())]
        return len(log)

    def write_as_another(self, partition: int, count: int) -> None:
        """Write so many rows as another owner of the partition does, the source position last.

        That owner keeps no index of identities.
        """
        self.fence(partition)
        first = len(self.changelog[partition])
        rows: dict[bytes, bytes | None] = {b"pother%d" % (first + number): _ROW for number in range(count)}
        self.append(partition, rows | {SOURCE_POSITION_KEY: encode_source_position(SourcePosition(first + count))})

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """Return the rows that the changelog of a partition comes to."""
        return {
            row.key: row.value
            for row in {row.key: row for row in self.changelog[partition]}.values()
            if row.value is not None
        }

    def open_reads(self) -> None:
        """Let every read go on, also one that waits already."""
        self.is_open = True
        self.reads.release()

    async def answer(self) -> None:
        """Any request's answer: a moment later, and what the test has in store."""
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)

    async def read(self) -> None:
        """Wait until a read may go on."""
        if not self.is_open:
            await self.reads.acquire()
        await self.answer()


class MemoryLog:
    """`pipeline.ports.Log` by a transactional producer of the broker."""

    def __init__(self, kafka: MemoryKafka, partition: int) -> None:
        self._kafka, self._partition = kafka, partition
        self._epoch = 0

    async def take_over(self) -> None:
        await self._kafka.pass_by("fence")
        self._epoch = self._kafka.fence(self._partition)

    async def commit(self, output: Output) -> int:
        await self._kafka.pass_by("commit")
        if self._epoch != self._kafka.epochs[self._partition]:
            raise ProducerFenced
        return self._kafka.append(self._partition, output.rows)

    async def complete_commit(self) -> None:
        await self._kafka.pass_by("commit")

    async def close(self) -> None:
        await asyncio.sleep(0)


class MemoryConsumer:
    """`state.changelog.ChangelogConsumer` on the broker. A closed one reads nothing."""

    def __init__(self, kafka: MemoryKafka, **_options: Any) -> None:
        self._kafka = kafka
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._is_open = False

    async def start(self) -> None:
        await self._kafka.answer()
        self._is_open = True

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self._is_open = False

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        await self._kafka.answer()
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        await self._kafka.answer()
        return {place: len(self._kafka.changelog[place.partition]) for place in partitions}

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused.update(partitions)

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Row]]:
        await self._kafka.read()
        assert self._is_open
        found = {}
        for place in self._positions.keys() - self._paused:
            begin = self._positions[place]
            if records := self._kafka.changelog[place.partition][begin : begin + READ_RECORDS]:
                found[place] = records
                self._positions[place] += len(records)
        return found


class MemoryCatalog:
    """`CatalogFollower` of a broker that has no flows."""

    catalog = Catalog.of([], [])

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka

    async def start(self) -> None:
        await self._kafka.answer()

    async def reach_end(self) -> None:
        await self._kafka.pass_by("catalog")

    async def as_of(self, fetched_at: float) -> Catalog:
        return self.catalog

    def subscribe(self, notify: Callable[[], None]) -> Callable[[], None]:
        return lambda: None  # it never changes

    async def close(self) -> None: ...


class MemoryProducer:
    """`SharedProducer` whose records nobody reads."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        await asyncio.sleep(0)

    async def write_stamped(self, topic: str, record: ProducerRecord) -> float | None:
        await asyncio.sleep(0)
        return None


class MemoryGroup:
    """`BatchConsumer`, as far as a worker asks it: everything is read from its beginning, and what is done is kept."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka
        self.lease = Lease(10.0)
        self.epoch = 0
        self.done: dict[tuple[str, int], int] = {}

    async def earliest_offsets(self, *places: Partition) -> dict[Partition, int]:
        await self._kafka.pass_by("offsets")
        return dict.fromkeys(places, 0)

    async def highwaters(self, *places: Partition) -> dict[Partition, int]:
        await self._kafka.answer()
        return dict.fromkeys(places, 1_000_000)

    async def committed(self, places: Iterable[Partition]) -> Mapping[Partition, int | None]:
        await self._kafka.answer()
        return dict.fromkeys(places, 0)

    async def log_bounds(self, places: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        await self._kafka.answer()
        return dict.fromkeys(places, (0, 1_000_000))

    async def commit_if_assigned(self, offsets: Mapping[Partition, int]) -> bool:
        await self._kafka.answer()
        return True

    def mark_done(self, topic: str, partition: int, next_offset: int) -> None:
        self.done[topic, partition] = next_offset

    def pause(self, topic: str, partition: int) -> None: ...

    def resume(self, topic: str, partition: int) -> None: ...


def memory_parts(kafka: MemoryKafka) -> Replacements:
    """A worker's way to the broker in memory (`processor.worker.build`)."""

    async def read_positions(partitions: Collection[int]) -> dict[int, Any]:
        await kafka.pass_by("rows")
        return {partition: {} for partition in partitions}

    catalog: Any = MemoryCatalog(kafka)
    producer: Any = MemoryProducer()
    return Replacements(
        catalog=catalog,
        producer=producer,
        new_log=lambda partition: MemoryLog(kafka, partition),
        open_changelog=lambda **options: MemoryConsumer(kafka, **options),
        read_parked_rows=read_positions,
    )


def unreachable() -> BaseException:
    """Return the error that a request ends with where the broker is away."""
    return KafkaConnectionError("the broker is away")
