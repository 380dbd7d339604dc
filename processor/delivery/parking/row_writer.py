"""The rows of parked flows are written when they say too little: facts within a second, counts within ten."""

import asyncio
from collections.abc import Iterable
from typing import Final

from processor.delivery.parking.parked_flow import Change, ParkedFlow
from processor.delivery.ports import ParkedRows
from processor.foundation.clocks import Clock
from schemas.parked_flow import ParkedFlowRow

ROW_SECONDS: Final = {Change.FACT: 1.0, Change.COUNT: 10.0}


class RowWriter:
    """Writes the rows of one parked interval one after the other, each with what was so when its turn came.

    Raises what the port raises.
    """

    def __init__(self, rows: ParkedRows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._writing = asyncio.Lock()

    async def write_stale(self, all_parked: Iterable[ParkedFlow]) -> None:
        """Write the rows that are due."""
        now = self._clock()
        stale = [
            each
            for each in all_parked
            if each.unwritten is not Change.NONE and now - each.written_at >= ROW_SECONDS[each.unwritten]
        ]
        if stale:
            await self.write(stale)

    async def write(self, what: Iterable[ParkedFlow]) -> None:
        """Write rows; return when they are durable."""
        async with self._writing:
            by_partition: dict[int, dict[str, ParkedFlowRow | None]] = {}
            for parked in what:
                by_partition.setdefault(parked.partition, {})[parked.key] = parked.row()
                parked.unwritten, parked.written_at = Change.NONE, self._clock()
            for partition, rows in by_partition.items():
                await self._rows.write(partition, rows)

    async def remove(self, partition: int, keys: Iterable[str]) -> None:
        """Remove rows of intervals that are written no more; return when they are gone."""
        removed = dict.fromkeys(keys)
        if removed:
            async with self._writing:
                await self._rows.write(partition, removed)
