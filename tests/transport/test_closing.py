"""The consumer's thread ends when it is told to, whatever its Kafka client makes of being closed.

A worker that has failed stands in the way of its successor for as long as it waits for its thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from processor.foundation.settings import Settings
from processor.transport.consumer import BatchConsumer
from processor.transport.fetching import BatchConsumerThread
from processor.transport.lasting import TaskEnded
from processor.transport.owner import Partition, Timeouts
from processor.worker.faust_app import create_app

Stop = Callable[[], Awaitable[None]]

SECONDS: Final = 10.0


class Coordinator:
    def __init__(self) -> None:
        self._coordination_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def _send_req(self, request: Any) -> Any:
        raise NotImplementedError

    def _push_error_to_user(self, error: BaseException) -> None:
        raise NotImplementedError


class Client:
    """aiokafka's consumer, as far as a thread that starts and stops goes."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    async def start(self) -> None:
        self._coordinator = Coordinator()
        self._fetcher = SimpleNamespace(_fetch_task=asyncio.get_running_loop().create_future())
        self._client = SimpleNamespace(_sync_task=asyncio.get_running_loop().create_future())


async def cut_off() -> None:
    raise asyncio.CancelledError


async def unreachable() -> None:
    raise KafkaConnectionError("away")


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [cut_off, unreachable, never])
async def test_a_client_that_does_not_close_keeps_no_thread(
    stop: Stop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchConsumerThread, "_create_consumer", lambda _self, loop: Client(stop))
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    consumer = cast("BatchConsumer", app.consumer)
    consumer.timeouts = Timeouts(close=0.2)
    thread = consumer._thread

    await thread.start()
    with capture_logs() as logs:
        async with asyncio.timeout(SECONDS):
            await thread.stop()

    assert [entry["event"] for entry in logs] == ["consumer_not_closed"]


async def test_a_commit_that_is_cut_off_by_nobody_keeps_no_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance while the thread that commits ends."""
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    consumer = cast("BatchConsumer", app.consumer)
    monkeypatch.setattr(consumer, "commit", cut_off)
    monkeypatch.setattr(BatchConsumerThread, "assignment", lambda _self: set())
    partition = Partition("events", 0)
    consumer.mark_done(*partition, 7)

    with capture_logs() as logs:
        await consumer.on_partitions_revoked({partition})

    assert [entry["event"] for entry in logs] == ["not_committed_on_revoke"]
    assert list(consumer._filter_tps_with_pending_acks()) == []


async def started(app: Any, monkeypatch: pytest.MonkeyPatch, stop: Stop) -> BatchConsumerThread:
    monkeypatch.setattr(BatchConsumerThread, "_create_consumer", lambda _self, loop: Client(stop))
    thread = cast("BatchConsumer", app.consumer)._thread
    await thread.start()
    return cast("BatchConsumerThread", thread)


async def nothing() -> None: ...


async def test_a_call_that_the_thread_does_not_answer_any_more_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that was on its way when the thread ended held a worker that had crashed in its group, for ever."""
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    cast("BatchConsumer", app.consumer).timeouts = Timeouts(close=0.2)
    thread = await started(app, monkeypatch, nothing)
    asked = [asyncio.create_task(thread.call_thread(never)) for _ in range(4)]  # more than the thread does at a time

    async with asyncio.timeout(SECONDS):
        await thread.stop()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(TaskEnded):
            await thread.call_thread(nothing)

    assert {type(answer) for answer in answers} <= {TaskEnded, asyncio.CancelledError}


async def test_a_worker_that_crashes_keeps_its_thread_until_the_last_offsets_are_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    thread = await started(app, monkeypatch, nothing)
    consumer = cast("BatchConsumer", app.consumer)
    partition = Partition("events", 0)
    committed: list[object] = []

    async def commit(_self: object, offsets: object) -> bool:
        committed.append(offsets)
        return True

    monkeypatch.setattr(BatchConsumerThread, "_commit", commit)
    monkeypatch.setattr(BatchConsumerThread, "assignment", lambda _self: {partition})
    consumer.mark_done(*partition, 7)

    await app.crash(RuntimeError("the local copy is damaged"))
    await asyncio.sleep(2)  # the thread looks once a second whether it should end
    async with asyncio.timeout(SECONDS):
        await consumer.on_stop()
        await thread.stop()

    assert committed == [{partition: 7}]
