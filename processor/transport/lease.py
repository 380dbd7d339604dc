"""The lease: until when the group counts on this worker, as far as the worker can know.

Kafka's coordinator gives a member's partitions to others when it has heard nothing of it for the session timeout. It
heard us when it answered, at the earliest when we asked; so the worker owns its partitions until that moment plus the
timeout, by a clock that goes on while the process is stopped or the machine asleep. After that, others may own them,
and nothing here can tell.

Kafka fences what goes to Kafka (transactions, generations). Kinesis fences nobody: whoever sends there asks first.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

Clock = Callable[[], float]
"""Seconds, never set back, that go on while the machine sleeps."""

_STILL_A_MEMBER: Final = frozenset({0, 27})
"""Error codes: none; REBALANCE_IN_PROGRESS, where the member is kept, and asked to join again."""
_LIFE_SIGNS: Final = (HeartbeatRequest, SyncGroupRequest)
"""Requests that a coordinator answers well only to a member, whose session begins anew with them."""


def boot_clock() -> float:
    """Return CLOCK_BOOTTIME where the system has it (Linux), else the monotonic clock, which stands still in sleep."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Lease:
    """The time until which the group counts on this worker; it does not hold before the group's first response.

    It is renewed in the consumer's thread, and may be asked in any.
    """

    def __init__(self, session_seconds: float, clock: Clock = boot_clock) -> None:
        self._session_seconds = session_seconds
        self._clock = clock
        self._until = float("-inf")

    def holds(self) -> bool:
        """Return whether the worker still owns its partitions for certain."""
        return self._clock() < self._until

    def watch(self, coordinator: Any) -> None:
        """Renew the lease at what aiokafka's `GroupCoordinator` hears, from now on."""
        send = coordinator._send_req

        async def send_and_renew(request: Any) -> Any:
            asked_at = self._clock()
            response = await send(request)
            if isinstance(request, _LIFE_SIGNS) and response.error_code in _STILL_A_MEMBER:
                self._until = max(self._until, asked_at + self._session_seconds)
            return response

        coordinator._send_req = send_and_renew
