"""Batches that wait before the sink are bounded in bytes, over all partitions, as they are in memory."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from processor.worker.exports_feed import BATCH_BYTES, ExportsFeed
from schemas.kafka import Batch, count_record_bytes
from tests.delivery.fakes import Record, export_record
from tests.pipeline.fakes import MemoryFetching

MAX_BYTES: Final = 100_000
SECONDS: Final = 120.0


class Door:
    """A sink that takes a batch for each `let_in`."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self._room = asyncio.Semaphore(0)

    def let_in(self, batches: int) -> None:
        for _ in range(batches):
            self._room.release()

    async def __call__(self, partition: int, records: Sequence[Any], position: int) -> None:
        await self._room.acquire()
        self.taken.append(partition)


async def fed(stack: AsyncExitStack) -> tuple[ExportsFeed, MemoryFetching, Door]:
    fetching, door, failures = MemoryFetching(), Door(), list[BaseException]()
    feed = ExportsFeed(door, fetching, MAX_BYTES, failures.append)
    feed.start()
    stack.push_async_callback(feed.close)
    return feed, fetching, door


def batch(partition: int, *records: Record) -> Batch:
    return Batch("exports", partition, records or (), 1, 0, 0.0)


def of_headers(size: int) -> Record:
    """A record whose headers hold nearly all that it holds."""
    record = export_record(0)
    return record._replace(
        headers=(*record.headers, ("trace", b"x" * (size - count_record_bytes([record]) - len("trace"))))
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.001)


async def test_partitions_are_paused_when_all_together_hold_too_much_headers_included_and_go_on_when_half_is_gone() -> (
    None
):
    async with AsyncExitStack() as stack:
        feed, fetching, door = await fed(stack)
        for partition in range(4):
            feed.submit(batch(partition, of_headers(30_000)))
        paused = set(fetching.paused)
        feed.submit(batch(0, export_record(1)))
        both = set(fetching.paused)
        behind = [feed.is_behind(partition) for partition in range(4)]

        door.let_in(2)
        await until(lambda: len(door.taken) == 2)
        still = set(fetching.paused)
        door.let_in(1)
        await until(lambda: not fetching.paused)

        assert (paused, both, still) == ({3}, {0, 3}, {0, 3})
        assert behind == [True, False, False, True]


async def test_many_small_batches_of_one_partition_wait_without_a_pause() -> None:
    """Bytes are what counts: a fetch may bring one record."""
    async with AsyncExitStack() as stack:
        feed, fetching, _ = await fed(stack)
        for offset in range(20):
            feed.submit(batch(0, export_record(offset)))

        assert fetching.paused == set()


async def test_batches_without_records_are_bounded_too() -> None:
    async with AsyncExitStack() as stack:
        feed, fetching, _ = await fed(stack)
        for _ in range(MAX_BYTES // BATCH_BYTES + 1):
            feed.submit(batch(0))

        assert fetching.paused == {0}


async def test_what_is_dropped_with_its_partition_makes_room_for_the_others() -> None:
    async with AsyncExitStack() as stack:
        feed, fetching, door = await fed(stack)
        feed.submit(batch(0, of_headers(10_000)))
        for partition in (1, 2):
            feed.submit(batch(partition, of_headers(60_000)))
        await asyncio.sleep(0)
        paused = set(fetching.paused)

        feed.forget([1])
        full = set(fetching.paused)
        feed.forget([2])
        feed.submit(batch(1, of_headers(60_000)))
        door.let_in(2)
        await until(lambda: door.taken == [0, 1])

        assert (paused, full) == ({2}, {2})
        assert not feed.is_behind(1)
