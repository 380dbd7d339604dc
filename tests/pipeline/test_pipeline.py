"""All partitions of a worker: what is full is paused, what is released is over."""

import asyncio

from processor.pipeline.partition import PartitionPipeline
from processor.pipeline.pipeline import Pipeline
from tests.kit.given import a_catalog, a_flow
from tests.kit.virtual_time import in_virtual_time
from tests.pipeline.fakes import (
    Crash,
    FixedCatalog,
    MemoryFetching,
    MemoryLog,
    MemoryRows,
    batch,
    partition_settings,
    until,
)
from tests.pipeline.test_partition import SECONDS, patches


class Worker:
    """A pipeline with one partition, 0."""

    def __init__(self, waiting_bytes: int = 1 << 20) -> None:
        self.fetching, self.log, self.progress = MemoryFetching(), MemoryLog(), [0]
        self.failures: list[BaseException] = []
        self.pipeline = Pipeline(self.fetching, self.failures.append)
        partition = PartitionPipeline(
            MemoryRows(),
            self.log,
            FixedCatalog(a_catalog({"flows": [a_flow()]})),
            partition_settings(max_waiting_bytes=waiting_bytes),
            (None, None),
            on_processed=self._moved,
            on_failure=lambda error: None,
        )
        self.pipeline.add({0: partition})

    def _moved(self, offset: int) -> None:
        self.progress.append(offset)
        self.pipeline.resume_where_room("profile-events", 0)

    async def reach(self, offset: int) -> None:
        await until(lambda: self.progress[-1] >= offset)


@in_virtual_time
async def test_a_partition_that_is_full_is_paused_once_and_resumed_when_there_is_room() -> None:
    worker = Worker(waiting_bytes=1000)
    worker.log.gate.clear()

    for first in (0, 10, 20):
        worker.pipeline.submit(batch(patches(10, first=first)))
    told_while_full = list(worker.fetching.told)
    worker.log.gate.set()
    await worker.reach(30)

    assert told_while_full == [("pause", 0)]
    assert worker.fetching.told == [("pause", 0), ("resume", 0)]
    await worker.pipeline.close()


@in_virtual_time
async def test_a_batch_of_a_partition_that_was_released_is_dropped() -> None:
    worker = Worker()
    await worker.pipeline.release([0])

    worker.pipeline.submit(batch(patches(3)))
    await asyncio.sleep(0.01)

    assert worker.log.outputs == []
    assert worker.log.closed


@in_virtual_time
async def test_counts_outlive_the_partitions_that_made_them() -> None:
    worker = Worker()
    worker.pipeline.submit(batch(patches(3)))
    await worker.reach(3)
    before = worker.pipeline.counts()

    await worker.pipeline.release([0])

    assert before.applied == 3
    assert worker.pipeline.counts() == before
    assert worker.pipeline.committed_offsets == {}


@in_virtual_time
async def test_a_release_that_was_cancelled_goes_on_and_the_next_one_waits_for_it() -> None:
    """A rebalance in a rebalance: nothing of the old owner may be under way when the partition is taken over anew."""
    worker = Worker()
    worker.log.gate.clear()
    worker.pipeline.submit(batch(patches(3)))
    await asyncio.sleep(0.01)

    first = asyncio.create_task(worker.pipeline.release([0]))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    second = asyncio.create_task(worker.pipeline.release([0]))
    await asyncio.sleep(0.05)
    ended_early = second.done()
    worker.log.gate.set()
    async with asyncio.timeout(SECONDS):
        await second

    assert not ended_early
    assert worker.log.closed


@in_virtual_time
async def test_a_partition_that_cannot_be_closed_stops_the_worker_and_keeps_its_counts() -> None:
    worker = Worker()
    worker.pipeline.submit(batch(patches(3)))
    await worker.reach(3)
    worker.log.close_error = Crash()

    await worker.pipeline.release([0])

    assert worker.failures == [worker.log.close_error]
    assert worker.pipeline.counts().applied == 3


@in_virtual_time
async def test_headers_fill_a_partition_as_keys_and_values_do() -> None:
    """Records of nothing but headers would wait in memory without bound."""
    worker = Worker(waiting_bytes=1000)
    worker.log.gate.clear()

    worker.pipeline.submit(batch([each._replace(headers=[("note", b"x" * 1000)]) for each in patches(1)]))

    assert worker.fetching.told == [("pause", 0)]
    worker.log.gate.set()
    await worker.reach(1)
    await worker.pipeline.close()
