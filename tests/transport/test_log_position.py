"""A log that does not hold our position, or jumped: the owner is asked, now and then, and others go on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError

from processor.foundation.settings import Settings
from processor.foundation.tasks import end_task
from processor.pipeline.outstanding import GROUP_RECORDS
from processor.transport.owner import Partition
from processor.worker.faust_app import MAX_POLL_RECORDS, create_app
from processor.worker.gap_stop import FINISH_SECONDS, GapStop
from processor.worker.log_positions import LogPositions
from tests.kit.virtual_time import in_virtual_time
from tests.transport.memory_logs import InLoopConsumer, MemoryBroker, MemoryConsumer

PLACE, OTHER = Partition("profile-events", 0), Partition("profile-events", 1)
SECONDS: Final = 60.0
TRANSACTIONS: Final = 200


class NoHistory:
    async def record_starts(self, starts: object) -> None: ...

    async def record_skip(self, place: Partition, skipped: object) -> None: ...


class Reader:
    """A consumer of ours at the beginning of two partitions, with the positions that a worker asks for.

    It keeps what it is handed.
    """

    def __init__(self, broker: MemoryBroker, folder: Path) -> None:
        settings = Settings(_env_file=None, data_dir=folder, partitions=2)  # type: ignore[call-arg]  # pydantic-settings' own argument
        self.stopped: list[BaseException] = []
        self.read: dict[Partition, list[int]] = {PLACE: [], OTHER: []}
        self.client = MemoryConsumer(broker, "none")
        self.consumer = InLoopConsumer(create_app(settings).transport, self._take, nothing, nothing)
        self.consumer._thread.client = self.client  # type: ignore[attr-defined]  # InLoopThread's own
        self.consumer.owner = self
        self.gap_stop = GapStop(self.stopped.append, lambda _: None)
        states: Any = SimpleNamespace(partitions=dict.fromkeys((0, 1)))
        self._positions = LogPositions(settings, self.consumer, states, lambda _: False, self.gap_stop, NoHistory())
        self.consumer.resume_partitions({PLACE, OTHER})

    async def _take(self, message: Any) -> None:
        self.read[Partition(message.topic, message.partition)] += [record.offset for record in message.value.records]

    def start(self) -> None: ...

    async def start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def positions_in_log(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int | None]:
        return await self._positions.find_in_log(reached)

    async def release(self, partitions: Iterable[Partition]) -> None:
        self.gap_stop.forget(partitions)

    async def drain(self) -> None: ...


async def nothing(*_: object) -> None: ...


@asynccontextmanager
async def reading(broker: MemoryBroker, folder: Path) -> AsyncIterator[Reader]:
    reader = Reader(broker, folder)
    await reader.consumer.perform_seek()
    fetcher: Any = SimpleNamespace(_stopped=asyncio.Event())
    draining = asyncio.create_task(reader.consumer._drain_messages(fetcher))
    yield reader
    assert not draining.done(), "the loop that fetches has ended"
    await end_task(draining)
    await reader.client.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


def append(broker: MemoryBroker, place: Partition) -> None:
    broker.logs[place].append(b"key", b"value")


async def hangs(_: TopicPartition) -> None:
    await asyncio.Event().wait()


async def takes_too_long(_: TopicPartition) -> None:
    raise KafkaTimeoutError


async def is_away(_: TopicPartition) -> None:
    raise NodeNotReadyError


async def answers(_: TopicPartition) -> None: ...


AWAY: Final = (hangs, takes_too_long, is_away)


@pytest.mark.parametrize("away", AWAY)
@in_virtual_time
async def test_a_leader_that_does_not_say_what_its_log_holds_keeps_its_own_partition_waiting_alone_and_loses_nothing(
    away: Callable[[TopicPartition], Awaitable[None]], tmp_path: Path
) -> None:
    broker = MemoryBroker([PLACE, OTHER])
    broker.when_asked = away
    async with reading(broker, tmp_path) as reader:
        append(broker, PLACE)
        await until(lambda: reader.read[PLACE] == [0])
        broker.logs[PLACE].append_marker()  # a jump
        append(broker, PLACE)
        await until(lambda: bool(broker.asked))
        append(broker, OTHER)
        await until(lambda: reader.read[OTHER] == [0])
        assert reader.read[PLACE] == [0]

        broker.when_asked = answers
        await until(lambda: reader.read[PLACE] == [0, 2])

    assert not reader.stopped


@pytest.mark.parametrize("away", AWAY)
@in_virtual_time
async def test_what_a_log_has_lost_is_told_when_its_leader_is_back(
    away: Callable[[TopicPartition], Awaitable[None]], tmp_path: Path
) -> None:
    broker = MemoryBroker([PLACE, OTHER])
    broker.when_asked = away
    async with reading(broker, tmp_path) as reader:
        for _ in range(3):
            broker.logs[PLACE].append_marker()
            append(broker, PLACE)
        broker.logs[PLACE].remove_below(5)
        await until(lambda: bool(broker.asked))
        append(broker, OTHER)
        await until(lambda: reader.read[OTHER] == [0])
        assert not reader.stopped

        broker.when_asked = answers
        await until(lambda: bool(reader.stopped))

    assert "profile-events[0]: offsets 0 to 4 are gone" in str(reader.stopped[0])


@in_virtual_time
async def test_a_log_is_not_asked_for_its_beginning_at_each_marker(tmp_path: Path) -> None:
    broker = MemoryBroker([PLACE, OTHER])
    async with reading(broker, tmp_path) as reader:
        for number in range(TRANSACTIONS):
            append(broker, PLACE)
            await until(lambda number=number: len(reader.read[PLACE]) > number)  # type: ignore[misc]  # the number of this turn
            broker.logs[PLACE].append_marker()

    assert len(broker.asked) <= TRANSACTIONS / 10


def test_a_fetch_takes_more_than_a_transaction_so_that_it_does_not_stop_before_its_marker() -> None:
    assert MAX_POLL_RECORDS > GROUP_RECORDS


@in_virtual_time
async def test_a_gap_that_is_found_while_the_partition_is_taken_away_is_its_next_owners(tmp_path: Path) -> None:
    broker = MemoryBroker([PLACE, OTHER])
    async with reading(broker, tmp_path) as reader:

        async def is_revoked(_: TopicPartition) -> None:
            await reader.consumer.on_partitions_revoked({PLACE, OTHER})

        broker.when_asked = is_revoked
        append(broker, PLACE)
        append(broker, PLACE)
        broker.logs[PLACE].remove_below(1)
        await until(lambda: bool(broker.asked))
        await asyncio.sleep(2 * FINISH_SECONDS)

    assert not reader.stopped
