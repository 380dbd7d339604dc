"""Whether the group still counts on this worker, as far as the worker can know.

Kafka's coordinator gives a member's partitions to others when it has heard nothing of it for the session timeout. It
heard us when it answered, at the earliest when we asked; so what we own is ours until that moment plus the timeout, by
a clock that goes on while the process is stopped or the machine asleep. After that, others may own it, and nothing here
can tell.

Kafka fences what goes to Kafka (transactions, generations). Kinesis fences nobody: whoever sends there asks first.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

Clock = Callable[[], float]
"""Seconds, never set back, that go on while the machine sleeps."""

_STILL_A_MEMBER: Final = frozenset(
    {0, 27}
)  # no error; REBALANCE_IN_PROGRESS: the member is kept, and asked to join again
_LIFE_SIGNS: Final = (HeartbeatRequest, SyncGroupRequest)
"""Requests that a coordinator answers well only to a member, whose session begins anew with them."""


def boot_clock() -> float:
    """CLOCK_BOOTTIME where there is one (Linux); else the monotonic clock, which stands still while the machine
    sleeps.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Lease:
    """Renewed in the consumer's thread, asked in any. Before the first answer of a group it does not hold."""

    def __init__(self, session_seconds: float, clock: Clock = boot_clock) -> None:
        self._session_seconds = session_seconds
        self._clock = clock
        self._until = float("-inf")

    def holds(self) -> bool:
        """Whether what is owned is still owned for certain."""
        return self._clock() < self._until

    def watch(self, coordinator: Any) -> None:
        """Renew at what aiokafka's `GroupCoordinator` hears, from now on."""
        send = coordinator._send_req

        async def send_and_note(request: Any) -> Any:
            asked_at = self._clock()
            answer = await send(request)
            if isinstance(request, _LIFE_SIGNS) and answer.error_code in _STILL_A_MEMBER:
                self._until = max(self._until, asked_at + self._session_seconds)
            return answer

        coordinator._send_req = send_and_note
