"""Whose turn it is among the partitions of a worker to do a page of a job."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

LIVE_SECONDS: Final = 1.0
"""Events come, if there was one so recently."""


class Turns:
    """Who of a worker's partitions may have a page: all at once, or, while events come, one after the other, with
    smaller pages.

    They share one event loop and one broker: a page of each at a time would make every event wait for all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._event_at = float("-inf")
        self._holders: set[int] = set()
        self._waiting: dict[int, asyncio.Event] = {}

    @property
    def events_come(self) -> bool:
        """Whether there was one in the last second, in whatever partition."""
        return self._clock() - self._event_at < LIVE_SECONDS

    def note_event(self) -> None:
        """There was one."""
        self._event_at = self._clock()

    def take(self, partition: int, wake: asyncio.Event) -> bool:
        """Whether the partition may have a page now; if not, `wake` is set when it may ask again."""
        others = self._waiting.keys() - {partition}
        if self.events_come and (self._holders or (others and partition not in self._waiting)):
            self._waiting[partition] = wake
            return False
        self._waiting.pop(partition, None)
        self._holders.add(partition)
        return True

    def give(self, partition: int) -> None:
        """Its page is committed, or will never be; once or more."""
        self._holders.discard(partition)
        for wake in self._waiting.values():
            wake.set()

    def withdraw(self, partition: int) -> None:
        """It has nothing to do."""
        self._waiting.pop(partition, None)

    def leave(self, partition: int) -> None:
        """The partition is not ours any more."""
        self.withdraw(partition)
        self.give(partition)
