"""A worker ends where something ends that it needs.

That is the consumer's thread, aiokafka's tasks, Faust's services, or a rebalance that goes wrong.

The worker would stay in its group and do nothing, and nobody else would get its partitions.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from aiokafka.errors import GroupAuthorizationFailedError

from processor.foundation.revocable import PartitionsRevoked
from processor.foundation.settings import Settings
from processor.transport.consumer import BatchConsumer
from processor.transport.fetching import BatchConsumerThread
from processor.transport.lasting import LastingTasks, TaskEnded
from processor.transport.owner import DEFAULT_TIMEOUTS, Partition, ReleaseTooSlow, SeekTooSlow, Timeouts
from processor.worker.faust_app import ProfileExporter, create_app
from processor.worker.recovery import LastingTables

SECONDS: Final = 60.0
PARTITION: Final = Partition("profile-events", 0)


async def never() -> None:
    await asyncio.Event().wait()


class Coordinator:
    def __init__(self) -> None:
        self._coordination_task = asyncio.get_running_loop().create_task(never())

    async def _send_req(self, request: Any) -> Any:
        raise NotImplementedError

    async def _push_error_to_user(self, error: BaseException) -> None: ...


class Client:
    """aiokafka's consumer, as far as its tasks go."""

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._coordinator = Coordinator()
        self._fetcher = SimpleNamespace(_fetch_task=loop.create_task(never()))
        self._client = SimpleNamespace(_sync_task=loop.create_task(never()))

    async def stop(self) -> None: ...


class Owner:
    """Takes over at once; what it is asked for waits for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.error: BaseException | None = None
        self.seeks = 0

    async def take_over(self, partitions: Iterable[int]) -> None: ...

    async def start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        self.seeks += 1
        await self.gate.wait()
        return {}

    async def release(self, partitions: Collection[Partition]) -> None:
        if self.error is not None:
            raise self.error
        await self.gate.wait()

    async def drain(self) -> None: ...


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProfileExporter:
    monkeypatch.setattr(BatchConsumerThread, "_create_consumer", lambda _self, loop: Client())
    monkeypatch.setattr(BatchConsumerThread, "assignment", lambda _self: {PARTITION})
    return create_app(Settings(app_id="lasting", data_dir=tmp_path))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("task", ["_coordinator._coordination_task", "_fetcher._fetch_task", "_client._sync_task"])
async def test_a_task_of_aiokafka_that_ends_ends_the_worker(task: str, app: ProfileExporter) -> None:
    thread = cast("BatchConsumer", app.consumer)._thread
    await thread.start()
    part, name = task.split(".")
    consumer: Any = thread._ensure_consumer()

    thread.thread_loop.call_soon_threadsafe(getattr(getattr(consumer, part), name).cancel)
    await until(lambda: app.consumer.crashed)
    await thread.stop()

    assert isinstance(app.consumer.crash_reason, TaskEnded)


async def test_an_error_that_aiokafka_keeps_for_its_user_ends_the_worker(app: ProfileExporter) -> None:
    """aiokafka waits for somebody to ask for an error before it goes on, as of a group that may not be read."""
    thread = cast("BatchConsumer", app.consumer)._thread
    await thread.start()
    coordinator: Any = thread._ensure_consumer()._coordinator
    error = GroupAuthorizationFailedError("group")

    asyncio.run_coroutine_threadsafe(coordinator._push_error_to_user(error), thread.thread_loop)
    await until(lambda: app.consumer.crashed)
    await thread.stop()

    assert app.consumer.crash_reason is error


class Service(LastingTasks):
    """One whose task ends as `end` does."""

    def __init__(self, end: Callable[[], Any], *, worker_stops: bool = False) -> None:
        super().__init__()
        self._end = end
        self.app = SimpleNamespace(should_stop=worker_stops)

    async def on_start(self) -> None:
        self.add_future(self._end())


async def returns() -> None: ...


async def cut_off() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("end", [returns, cut_off])
async def test_a_service_whose_task_ends_before_it_ends_the_worker(end: Callable[[], Any]) -> None:
    """The loops that commit and fetch end so, where aiokafka raises CancelledError."""
    service = Service(end)
    await service.start()
    await until(lambda: service.crashed)

    assert isinstance(service.crash_reason, TaskEnded)


async def test_a_service_that_is_stopped_ends_nothing_else() -> None:
    service = Service(never)
    await service.start()

    await service.stop()

    assert not service.crashed


async def test_a_task_that_ends_as_the_whole_worker_stops_is_no_failure() -> None:
    """A worker that was stopped in the middle of a rebalance ended with exit code 1."""
    service = Service(returns, worker_stops=True)
    await service.start()
    await asyncio.sleep(0.05)

    assert not service.crashed
    await service.stop()


def test_the_services_that_a_worker_needs_are_such(app: ProfileExporter) -> None:
    needed = (
        app.consumer,
        cast("BatchConsumer", app.consumer)._thread,
        app.topics,
        cast("Any", app)._fetcher,
        app.tables.recovery,
    )

    assert [type(each).__name__ for each in needed if not isinstance(each, LastingTasks)] == []


async def recovering(app: ProfileExporter, owner: Any) -> Any:
    """Recovery at its last step: the takeover is done, and it is asked where to begin."""
    tables = cast("LastingTables", app.tables)
    tables.takeover = cast("BatchConsumer", app.consumer).owner = owner
    recovery = tables.recovery
    await recovery.start()
    recovery.signal_recovery_start.set()
    await until(lambda: bool(owner.seeks))
    return recovery


async def test_a_seek_that_takes_longer_than_fausts_time_out_does_not_end_recovery_in_silence(
    app: ProfileExporter,
) -> None:
    """Faust says of a slow seek that the service was stopped.

    A worker that believed it did nothing for ever, and stayed in its group.
    """
    app.conf.broker_request_timeout = 0.05
    owner = Owner()
    recovery = await recovering(app, owner)

    await asyncio.sleep(0.2)
    recovery.signal_recovery_start.set()  # the next rebalance
    await until(lambda: owner.seeks == 2)

    await recovery.stop()
    assert not recovery.crashed


async def test_a_seek_that_nobody_answers_ends_the_worker(app: ProfileExporter) -> None:
    cast("BatchConsumer", app.consumer).timeouts = Timeouts(seek=0.05)
    recovery = await recovering(app, Owner())

    await until(lambda: recovery.crashed)

    assert isinstance(recovery.crash_reason, SeekTooSlow)
    assert "profile-events[0]" in str(recovery.crash_reason)


async def test_a_release_that_fails_ends_the_worker(app: ProfileExporter) -> None:
    """aiokafka only logs what a rebalance listener raises."""
    consumer, owner = cast("BatchConsumer", app.consumer), Owner()
    consumer.owner = cast("Any", owner)
    owner.error = RuntimeError("a store cannot be closed")

    with pytest.raises(RuntimeError):
        await consumer.on_partitions_revoked({PARTITION})

    assert consumer.crash_reason is owner.error


async def test_a_release_that_takes_longer_than_the_group_waits_ends_the_worker(app: ProfileExporter) -> None:
    """The next owner begins then: nothing may be written any more."""
    consumer = cast("BatchConsumer", app.consumer)
    consumer.timeouts = Timeouts(release=0.05)
    consumer.owner = cast("Any", Owner())

    with pytest.raises(ReleaseTooSlow):
        await consumer.on_partitions_revoked({PARTITION})

    assert isinstance(consumer.crash_reason, ReleaseTooSlow)
    assert app.conf.broker_rebalance_timeout > DEFAULT_TIMEOUTS.release


async def test_a_seek_during_which_partitions_are_revoked_is_left_to_the_next_takeover(app: ProfileExporter) -> None:
    consumer, owner = cast("BatchConsumer", app.consumer), Owner()
    consumer.owner = cast("Any", owner)
    seek = asyncio.create_task(consumer.perform_seek())
    await until(lambda: bool(owner.seeks))

    consumer.epoch += 1
    owner.gate.set()

    with pytest.raises(PartitionsRevoked):
        await seek
