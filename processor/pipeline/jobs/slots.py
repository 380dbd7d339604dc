"""Slots: which of a worker's partitions may have a chunk of a job now."""

import asyncio
import time
from typing import Final

from processor.foundation.clocks import Clock

LIVE_SECONDS: Final = 1.0
"""Events come, if there was one so recently."""


class Slots:
    """The slots of a worker's partitions for chunks: all at once, or, while events come, one after the other.

    They share one event loop and one broker: a chunk of each at a time would make every event wait for all of them.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._event_at = float("-inf")
        self._holders: set[int] = set()
        self._waiting: dict[int, asyncio.Event] = {}

    @property
    def events_come(self) -> bool:
        """Return whether there was an event in the last second, in whatever partition."""
        return self._clock() - self._event_at < LIVE_SECONDS

    def note_event(self) -> None:
        """Take notice of an event."""
        self._event_at = self._clock()

    def take_slot(self, partition: int, wake: asyncio.Event) -> bool:
        """Return whether the partition may have a chunk now; if not, `wake` is set when it may ask again."""
        others = self._waiting.keys() - {partition}
        if self.events_come and (self._holders or (others and partition not in self._waiting)):
            self._waiting[partition] = wake
            return False
        self._waiting.pop(partition, None)
        self._holders.add(partition)
        return True

    def give_back(self, partition: int) -> None:
        """Give the slot back: the partition's chunk is committed, or will never be; once or more."""
        self._holders.discard(partition)
        for wake in self._waiting.values():
            wake.set()

    def withdraw(self, partition: int) -> None:
        """Wait for a slot no more: the partition has nothing to do."""
        self._waiting.pop(partition, None)

    def revoke(self, partition: int) -> None:
        """Forget a partition that is not ours any more."""
        self.withdraw(partition)
        self.give_back(partition)


class PartitionSlot:
    """The slot of one partition among `slots`; `wake` is set when a refused one may ask again."""

    def __init__(self, slots: Slots, partition: int, wake: asyncio.Event) -> None:
        self._slots, self._partition, self._wake = slots, partition, wake
        self.is_refused = False

    @property
    def events_come(self) -> bool:
        """Return whether there was an event in the last second, in whatever partition."""
        return self._slots.events_come

    def note_event(self) -> None:
        """Take notice of an event."""
        self._slots.note_event()

    def take(self) -> bool:
        """Return whether the partition has the slot now; where not, `is_refused` says so until the next look."""
        self.is_refused = not self._slots.take_slot(self._partition, self._wake)
        return not self.is_refused

    def give_back(self) -> None:
        """Give the slot back; once or more."""
        self._slots.give_back(self._partition)

    def withdraw(self) -> None:
        """Wait for the slot no more."""
        self.is_refused = False
        self._slots.withdraw(self._partition)

    def revoke(self) -> None:
        """Leave the other partitions to themselves: this one is not ours any more."""
        self._slots.revoke(self._partition)
