"""Takeovers follow rebalances, whatever interrupts them."""

import asyncio
from typing import Any

import pytest

from state import recovery
from state.recovery import RebalanceAgain, TakeoverRecovery

SECONDS = 10.0


class Revoked(Exception):
    """The group has revoked the partitions."""


class Service:
    """What the loop sees of Faust's recovery service; each takeover ends as `ends` says, the last one stops it."""

    def __init__(self, *ends: BaseException | None) -> None:
        self._ends = list(ends)
        self.should_stop = False
        self.signal_recovery_start = asyncio.Event()
        self.signal_recovery_start.set()
        self._generation_id = 1
        self.takeovers = 0
        self.revocations = (Revoked,)

    async def wait_for_stopped(self, signal: asyncio.Event) -> bool:
        await signal.wait()
        return False

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def _recover_once(self, generation: int) -> None:
        self.takeovers += 1
        end = self._ends.pop(0)
        self.should_stop = not self._ends
        if isinstance(end, (RebalanceAgain, Revoked)):
            self.signal_recovery_start.set()
        if end is not None:
            raise end


async def run(service: Any) -> None:
    async with asyncio.timeout(SECONDS):
        await TakeoverRecovery._restart_recovery.fun(service)


@pytest.mark.parametrize("end", [RebalanceAgain(), Revoked()])
async def test_another_rebalance_begins_it_anew(end: Exception) -> None:
    service = Service(end, None)

    await run(service)

    assert service.takeovers == 2


async def test_what_aiokafka_cancels_begins_anew_and_never_ends_the_loop() -> None:
    """A connection that closed during a takeover once left a worker in recovery for ever: nobody had asked the loop to
    end.
    """
    service = Service(asyncio.CancelledError(), asyncio.CancelledError(), None)

    await run(service)

    assert service.takeovers == 3


async def test_what_asks_the_loop_to_end_does() -> None:
    service = Service(None, None)
    service._recover_once = lambda generation: asyncio.Event().wait()  # type: ignore[assignment,return-value,misc]
    loop = asyncio.create_task(run(service))
    await asyncio.sleep(0)

    loop.cancel()

    with pytest.raises(asyncio.CancelledError):
        await loop


def test_it_waits_a_moment_between_two_tries() -> None:
    assert recovery.AGAIN_SECONDS > 0
