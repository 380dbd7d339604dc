"""Partitions that are revoked in the middle of a takeover: it ends first, and then what it used is closed."""

import asyncio

import pytest

from processor.foundation.revocable import PartitionsRevoked, RevocableWork
from tests.kit.memory_worker import BOTH, SECONDS, MemoryWorker, until


async def in_the_middle_of_a_restore(worker: MemoryWorker) -> "asyncio.Task[None]":
    takeover = asyncio.create_task(worker.ownership.take_over(BOTH))
    worker.kafka.reads.release()
    await until(
        lambda: (
            bool(worker.store.partitions)
            and all(store.changelog_next_offset for store in worker.store.partitions.values())
        )
    )
    return takeover


async def test_partitions_that_are_revoked_in_the_middle_of_a_restore_end_the_takeover_before_their_stores_close(
    worker: MemoryWorker,
) -> None:
    """The restore once wrote to the closed store, and the worker crashed; so did the next one that restored, by the
    rebalance of its restart.
    """
    takeover = await in_the_middle_of_a_restore(worker)

    await worker.revoke(BOTH)
    worker.kafka.open_reads()
    async with asyncio.timeout(SECONDS):
        with pytest.raises(PartitionsRevoked):
            await takeover

    assert worker.store.partitions == {}
    worker.assign(BOTH)
    await until(lambda: worker.parts.pipeline.committed_offsets.keys() == set(BOTH))


async def test_a_worker_that_stops_in_the_middle_of_a_restore_ends_the_takeover_first(worker: MemoryWorker) -> None:
    takeover = await in_the_middle_of_a_restore(worker)

    await worker.stop()

    assert isinstance(takeover.exception(), PartitionsRevoked)
    assert worker.store.partitions == {}
    with pytest.raises(PartitionsRevoked):
        await worker.ownership.take_over(BOTH)


async def test_partitions_that_are_revoked_while_it_is_asked_where_to_begin_are_not_opened_for_delivery(
    worker: MemoryWorker,
) -> None:
    """One that was opened after its release would count as open at the next takeover, and rows of others would not be
    read.
    """
    worker.kafka.is_open = True
    await worker.ownership.take_over(BOTH)
    worker.kafka.hold("rows")
    seek = asyncio.create_task(worker.ownership.start_positions(worker.places(BOTH)))
    await worker.kafka.is_held("rows")

    await worker.revoke(BOTH)
    worker.kafka.let_go("rows")
    async with asyncio.timeout(SECONDS):
        with pytest.raises(PartitionsRevoked):
            await seek

    assert not any(worker.parts.sink.has(partition) for partition in BOTH)


async def test_what_fails_while_it_is_being_revoked_counts_as_revoked() -> None:
    async def closes_badly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("the broker is away")

    work = RevocableWork()
    running = asyncio.create_task(work.run(closes_badly()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await work.end()

    with pytest.raises(PartitionsRevoked):
        await running


async def test_what_aiokafka_cancels_is_not_taken_for_a_revocation() -> None:
    async def cut_off() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await RevocableWork().run(cut_off())
