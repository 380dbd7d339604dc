"""A worker owns its partitions for a session's time after the group answered (Kinesis cannot fence)."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from processor.transport.lease import Lease, boot_clock

HEARTBEAT = HeartbeatRequest("group", 1, "member")
SYNC = SyncGroupRequest("group", 1, "member", None, [])
JOIN = JoinGroupRequest("group", 10_000, 10_000, "member", None, "consumer", [])


class Coordinator:
    """Answers after `seconds`, with `error_code`."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self.seconds, self.error_code = 0.0, 0

    async def _send_req(self, request: Any) -> Any:
        self._clock.now += self.seconds
        return SimpleNamespace(error_code=self.error_code)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def coordinator(clock: Clock) -> Coordinator:
    return Coordinator(clock)


@pytest.fixture
def lease(clock: Clock, coordinator: Coordinator) -> Lease:
    lease = Lease(10.0, clock)
    lease.watch(coordinator)
    return lease


def test_nothing_is_owned_before_the_group_has_answered(lease: Lease) -> None:
    assert not lease.holds()


@pytest.mark.parametrize("request_", [HEARTBEAT, SYNC])
async def test_it_holds_for_a_session_from_when_it_was_asked_for(
    lease: Lease, clock: Clock, coordinator: Coordinator, request_: object
) -> None:
    """The coordinator may have heard us then, and never before."""
    coordinator.seconds = 4.0

    await coordinator._send_req(request_)

    assert lease.holds()
    clock.now += 5.9
    assert lease.holds()
    clock.now += 0.2
    assert not lease.holds()


async def test_an_answer_that_was_read_after_the_session_renews_nothing(lease: Lease, coordinator: Coordinator) -> None:
    """The process was stopped between question and answer."""
    coordinator.seconds = 11.0

    await coordinator._send_req(HEARTBEAT)

    assert not lease.holds()


@pytest.mark.parametrize(("error_code", "holds"), [(0, True), (27, True), (25, False), (22, False), (16, False)])
async def test_only_a_member_is_answered_so(
    lease: Lease, coordinator: Coordinator, error_code: int, holds: bool
) -> None:
    """Code 27: the group rebalances, with us in it; 25: unknown member; 22: illegal generation; 16: not coordinator."""
    coordinator.error_code = error_code

    await coordinator._send_req(HEARTBEAT)

    assert lease.holds() is holds


async def test_to_have_asked_to_join_is_not_to_be_a_member(lease: Lease, coordinator: Coordinator) -> None:
    await coordinator._send_req(JOIN)

    assert not lease.holds()


def test_the_clock_goes_on() -> None:
    assert boot_clock() <= boot_clock()
