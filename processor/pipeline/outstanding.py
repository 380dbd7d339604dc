"""Work units that are decided and not yet committed: how many there may be, and when the oldest ones are committed."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from processor.foundation.clocks import Clock
from processor.pipeline.committer import Committer
from processor.pipeline.work_unit import WorkUnit

ENOUGH_RECORDS: Final = 500
"""Decided records that do not wait for more."""
GROUP_RECORDS: Final = 4000
"""Records of one transaction, about; more wait for the next."""


class OutstandingUnits:
    """The work units between the two tasks of a partition, in their order.

    A unit waits up to `linger_seconds` for others; units of two transactions at most are decided ahead.
    """

    def __init__(self, committer: Committer, linger_seconds: float, clock: Clock) -> None:
        self._committer, self._linger_seconds, self._clock = committer, linger_seconds, clock
        self._units: deque[tuple[float, WorkUnit]] = deque()  # with the moment when each was decided
        self._has_units, self._has_enough, self._has_room = (asyncio.Event() for _ in range(3))
        self.is_closed = False

    @property
    def is_empty(self) -> bool:
        """Return whether everything that is decided is committed."""
        return not self._units

    @property
    def is_stopped(self) -> bool:
        """Return whether the last unit ends before an event that the partition does not pass."""
        return bool(self._units) and self._units[-1][1].stop is not None

    def add(self, unit: WorkUnit) -> None:
        """Add a unit that was decided just now."""
        self._units.append((self._clock(), unit))
        self._has_units.set()
        if self._records >= ENOUGH_RECORDS:
            self._has_enough.set()

    def remove(self, units: Sequence[WorkUnit]) -> None:
        """Remove the oldest units, which are committed."""
        for _ in units:
            self._units.popleft()
        self._has_room.set()

    def close(self) -> None:
        """Have nothing more committed but what is on its way."""
        self.is_closed = True
        self._has_units.set()
        self._has_enough.set()

    def oldest(self) -> list[WorkUnit]:
        """Return the oldest units, of about GROUP_RECORDS records.

        A unit of expiry is the last of its group: in a log without transactions that tears, its profiles' rows come
        before the rows of their deadlines, and an event on such a profile in the same group would turn that order.
        """
        units = [self._units[0][1]]
        for _, unit in list(self._units)[1:]:
            if units[-1].events or unit.next_offset - self._committer.committed_offset > GROUP_RECORDS:
                break
            units.append(unit)
        return units

    async def wait_for_room(self) -> None:
        """Wait while two transactions' worth is decided ahead of what is durable."""
        while self._records >= 2 * GROUP_RECORDS:
            self._has_room.clear()
            await self._has_room.wait()

    async def wait_for_units(self) -> None:
        """Wait until the oldest units are to be committed, or until `close`."""
        while not self._units and not self.is_closed:
            self._has_units.clear()
            await self._has_units.wait()
        if self.is_closed:
            return
        left = self._units[0][0] + self._linger_seconds - self._clock()
        if left > 0 and self._records < ENOUGH_RECORDS and not self.is_stopped:
            self._has_enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._has_enough.wait()

    @property
    def _records(self) -> int:
        return self._units[-1][1].next_offset - self._committer.committed_offset if self._units else 0
