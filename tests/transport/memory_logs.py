"""Keep Kafka's logs in memory, behind aiokafka's own fetcher.

A consumer of ours sees what it sees of a broker, byte for byte, without sockets and threads.

A log's beginning may be moved at any moment; its records may have gaps, where control batches (markers) stand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import OffsetAndMetadata

from processor.transport.consumer import BatchConsumer
from processor.transport.fetching import BatchConsumerThread

NODE: Final = 0
FETCH_BATCHES: Final = 5
"""Batches that one fetch brings at most: a long log is read in pieces, between which everything may happen."""
_ATTRIBUTES: Final = 22  # the low byte of a batch's attributes
_CONTROL: Final = 0x30  # a marker of a transaction
_NOT_COMMITTED: Final = -1


class MemoryPartition:
    """One partition's log: `records` by offset (None: a marker), from `begin` up to and without `end`."""

    def __init__(self) -> None:
        self.begin = self.end = 0
        self.records: dict[int, tuple[bytes, bytes] | None] = {}

    def append(self, key: bytes, value: bytes) -> int:
        """Append a record; its offset."""
        self.records[self.end] = (key, value)
        self.end += 1
        return self.end - 1

    def append_marker(self) -> None:
        """Append what ends a transaction of which nothing is to be read."""
        self.records[self.end] = None
        self.end += 1

    def remove_below(self, begin: int) -> None:
        """Do as retention and DeleteRecords do."""
        self.begin = min(max(self.begin, begin), self.end)

    def offsets(self) -> list[int]:
        """Return the offsets of the records that the log still holds."""
        return [offset for offset in range(self.begin, self.end) if self.records[offset] is not None]

    def fetched(self, offset: int) -> bytes:
        """The next batches from an offset on, as a broker sends them."""
        return b"".join(_batch(at, self.records[at]) for at in range(offset, min(offset + FETCH_BATCHES, self.end)))


def _batch(offset: int, record: tuple[bytes, bytes] | None) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, int(record is None), 1 if record is None else -1, -1, -1, 1 << 20)
    key, value = record or (b"\0\0\0\1", b"\0\0\0\0\0\0")
    assert builder.append(0, 0, key, value, []) is not None
    batch = bytearray(builder.build())
    batch[:8] = offset.to_bytes(8, "big")
    if record is None:
        batch[_ATTRIBUTES] |= _CONTROL
    return bytes(batch)


async def _at_once(_: TopicPartition) -> None: ...


class MemoryBroker:
    """Logs by place, and one group's offsets."""

    def __init__(self, places: Iterable[TopicPartition]) -> None:
        self.logs = {place: MemoryPartition() for place in places}
        self.committed: dict[TopicPartition, int] = {}
        self.asked: list[TopicPartition] = []
        """Of which logs it was asked where they begin, and where they end."""
        self.when_asked: Callable[[TopicPartition], Awaitable[None]] = _at_once
        """What happens then: a leader may take its time, or fail."""


class MemoryClient:
    """aiokafka's client, as far as its fetcher goes."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 300_000
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: NODE, broker_metadata=lambda _: object())

    async def send(self, node: int, request: Any) -> Any:
        """The answer to a fetch, or to the question where a log begins."""
        asked = [(TopicPartition(topic, part), *rest) for topic, parts in request._topics for part, *rest in parts]
        if len(asked[0]) == 2:
            return SimpleNamespace(
                API_VERSION=1,
                topics=[(place.topic, [(place.partition, 0, -1, self._log(place).begin)]) for place, _ in asked],
            )
        if all(self._log(place).end == offset for place, offset, _ in asked):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.001)
        return SimpleNamespace(
            API_VERSION=4, topics=[(place.topic, [self._answer(place, offset)]) for place, offset, _ in asked]
        )

    def _answer(self, place: TopicPartition, offset: int) -> tuple[Any, ...]:
        log = self._log(place)
        if not log.begin <= offset <= log.end:
            return (place.partition, OffsetOutOfRangeError.errno, -1, -1, [], b"")
        return (place.partition, 0, log.end, log.end, [], log.fetched(offset))

    def _log(self, place: TopicPartition) -> MemoryPartition:
        return self._broker.logs[place]

    def force_metadata_update(self) -> Any:
        """Return a future that never ends, as nothing is there to update."""
        return self._loop.create_future()


class MemoryConsumer:
    """`AIOKafkaConsumer` with its own fetcher and subscriptions, and partitions that are assigned by hand."""

    _closed = False
    _max_poll_records = 100

    def __init__(self, broker: MemoryBroker, reset_policy: str) -> None:
        self._broker = broker
        self._subscriptions = SubscriptionState()
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._fetch_committed)
        self._fetcher = Fetcher(
            MemoryClient(broker),
            self._subscriptions,
            check_crcs=False,
            prefetch_backoff=0.0,
            auto_offset_reset=reset_policy,
            isolation_level="read_committed",
        )
        self._subscriptions.subscribe(topics={place.topic for place in broker.logs})
        self._subscriptions.assign_from_subscribed(set(broker.logs))
        self._refreshing = asyncio.create_task(self._refresh())

    async def close(self) -> None:
        """Stop fetching, and close the fetcher."""
        self._refreshing.cancel()
        await self._fetcher.close()

    async def _refresh(self) -> None:
        """Tell the group's offsets, as a coordinator does."""
        assignment = self._subscriptions.subscription.assignment
        while True:
            await assignment.commit_refresh_needed.wait()
            assignment.commit_refresh_needed.clear()
            for place in assignment.tps:
                assignment.state_value(place).update_committed(
                    OffsetAndMetadata(self._broker.committed.get(place, _NOT_COMMITTED), "")
                )

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Seek a partition as aiokafka's consumer does."""
        self._fetcher.seek_to(place, offset)

    async def position(self, place: TopicPartition) -> int:
        """Return the position of a partition that was sought, as aiokafka's consumer does."""
        return int(self._subscriptions.subscription.assignment.state_value(place).position)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the log starts, as aiokafka's consumer does."""
        for place in places:
            self._broker.asked.append(place)
            await self._broker.when_asked(place)
        return {place: self._broker.logs[place].begin for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the log end offsets, as aiokafka's consumer does."""
        return {place: self._broker.logs[place].end for place in places}

    async def _fetch_committed(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        committed = self._broker.committed
        return {place: OffsetAndMetadata(committed[place], "") for place in places if place in committed}

    async def commit(self, offsets: Mapping[TopicPartition, Any]) -> None:
        """Commit offsets as aiokafka's consumer does."""
        for place, offset in offsets.items():
            self._broker.committed[place] = offset.offset if isinstance(offset, OffsetAndMetadata) else offset


class InLoopThread(BatchConsumerThread):
    """The consumer's thread in the loop of the test; `client` is what it would have made."""

    client: MemoryConsumer

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the test's own loop."""
        return await fun(*args, **kwargs)

    def _ensure_consumer(self) -> Any:
        return self.client

    def assignment(self) -> set[Any]:
        """Return all partitions of the broker."""
        return set(self.client._broker.logs)


class InLoopConsumer(BatchConsumer):
    """BatchConsumer without a thread of its own."""

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return InLoopThread(self, loop=self.loop, beacon=self.beacon)


def offsets_between(gaps: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Every offset of these ranges."""
    return (offset for first, end in gaps for offset in range(first, end))
