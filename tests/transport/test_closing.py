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

from processor.app import create_app
from processor.settings import Settings
from processor.transport import consumer as transport
from processor.transport.consumer import BatchConsumer, BatchConsumerThread

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
async def test_a_client_that_does_not_close_keeps_no_thread(stop: Stop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(BatchConsumerThread, "_create_consumer", lambda _self, loop: Client(stop))
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    thread = cast("BatchConsumer", app.consumer)._thread

    await thread.start()
    with capture_logs() as logs:
        async with asyncio.timeout(SECONDS):
            await thread.stop()

    assert [entry["event"] for entry in logs] == ["consumer_not_closed"]


async def test_a_commit_that_is_cut_off_by_nobody_keeps_no_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebalance while the thread that commits ends."""
    app = create_app(Settings(app_id="closing", data_dir=tmp_path))
    consumer = cast("BatchConsumer", app.consumer)
    monkeypatch.setattr(consumer, "commit", cut_off)
    monkeypatch.setattr(BatchConsumerThread, "assignment", lambda _self: set())
    place = transport.Partition("events", 0)
    consumer.mark_done(*place, 7)

    with capture_logs() as logs:
        await consumer.on_partitions_revoked({place})

    assert [entry["event"] for entry in logs] == ["not_committed_on_revoke"]
    assert list(consumer._filter_tps_with_pending_acks()) == []
