"""Partitions of `exports` taken over, with the flows that are parked there, before anything of them is delivered.

    read the rows ─► does the group still count the partitions as ours? ─► the sink writes the rows as its own ─► removes those it found

In that order: whoever removes rows has read them while it was the owner, so they are not those of a later one; and what it found stands
in its own rows before. A worker that was frozen on the way, and wakes up as nobody's owner, can do no harm (docs/architecture.md).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from processor.delivery.sink import Sink
from processor.kafka.delivery_positions import Rows
from processor.positions import Bounds, ExportsAreShorter
from processor.transport.consumer import Partition


class Group(Protocol):
    """The group's consumer, as far as ownership goes. `epoch` changes with every loss of partitions."""

    epoch: int

    async def still_ours(self, offsets: Mapping[Partition, int]) -> bool:
        """Whether the group counts these as ours."""
        ...


class ParkedTakeover:
    """Opens partitions at the sink; `read` gives the rows of partitions."""

    def __init__(self, sink: Sink, group: Group, read: Callable[[Collection[int]], Awaitable[Mapping[int, Rows]]]) -> None:
        self._sink, self._group, self._read = sink, group, read

    async def open(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> set[Partition]:
        """Take over what is not open yet, each from its position on; which of them are open now. The others are not ours any more.

        Raises ExportsAreShorter, BadPosition, KafkaError, TimeoutError, and what writing rows raises.
        """
        new = {place: position for place, position in positions.items() if not self._sink.has(place.partition)}
        if not new:
            return set(positions)
        epoch = self._group.epoch
        rows = await self._read([place.partition for place in new])
        found = {place: position for place, position in new.items() if rows[place.partition]}
        if (found and not await self._group.still_ours(found)) or epoch != self._group.epoch:
            return set(positions) - set(new)
        for place in found:
            _require_known(place, ends[place], rows[place.partition])
        for place, position in new.items():
            await self._sink.take_over(place.partition, position, rows[place.partition])
        return {place for place in positions if self._sink.has(place.partition)}


def _require_known(place: Partition, end: int, rows: Rows) -> None:
    for row in rows.values():
        if row.first > end:
            raise ExportsAreShorter(Bounds(place.topic, place.partition, 0, end, None), row.first)
