"""Partitions of `exports` taken over, with the flows that are parked there, before anything of them is delivered.

    read the rows ─► does the group still count the partitions as ours? ─► the sink writes the rows as its own ─►
    removes those it found

In that order: whoever removes rows has read them while it was the owner, so they are not those of a later one; and what
it found stands in its own rows before. A worker that was frozen on the way, and wakes up as nobody's owner, can do no
harm (docs/architecture.md).
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Protocol

from processor.delivery.parking.inherited import join_rows
from processor.delivery.sink import Sink
from processor.foundation.gaps import AcceptedGaps, Gap
from processor.transport.owner import Partition
from processor.worker.adapters.parked_rows import Rows
from processor.worker.start_positions import Bounds, ExportsAreShorter, GapFound, RecordsAreGone, gaps_as_one


class Group(Protocol):
    """The group's consumer, as far as ownership goes. `epoch` changes with every loss of partitions."""

    epoch: int

    async def commit_if_assigned(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit `offsets` in the group's name; return False where it refuses, as the partitions are not ours."""
        ...


class ParkedTakeover:
    """Opens partitions at the sink; `read` gives the rows of partitions."""

    def __init__(
        self,
        sink: Sink,
        group: Group,
        accepted: AcceptedGaps,
        read: Callable[[Collection[int]], Awaitable[Mapping[int, Rows]]],
    ) -> None:
        self._sink, self._group, self._accepted, self._read = sink, group, accepted, read

    async def gaps(self, logs: Collection[Bounds]) -> list[GapFound]:
        """Return what parked flows have lost, and nobody accepted.

        Raises what reading their rows raises.
        """
        rows = await self._read([log.partition for log in logs]) if logs else {}
        return [
            gap
            for log in logs
            for gap in self._gaps_of(log, log.begin if log.committed is None else log.committed, rows[log.partition])
        ]

    async def open(self, positions: Mapping[Partition, int], logs: Mapping[Partition, Bounds]) -> set[Partition]:
        """Take over what is not open yet, each from its position on; which of them are open now.

        The others are not ours any more.

        Raises ExportsAreShorter, BadPosition, KafkaError, TimeoutError, what writing rows raises, and all that parked
        flows have lost as one.
        """
        new = {tp: position for tp, position in positions.items() if not self._sink.has(tp.partition)}
        if not new:
            return set(positions)
        epoch = self._group.epoch
        rows = await self._read([tp.partition for tp in new])
        found = {tp: position for tp, position in new.items() if rows[tp.partition]}
        if (found and not await self._group.commit_if_assigned(found)) or epoch != self._group.epoch:
            return set(positions) - set(new)
        for tp in found:
            _require_known(logs[tp], rows[tp.partition])
        if lost := [
            gap for tp, position in found.items() for gap in self._gaps_of(logs[tp], position, rows[tp.partition])
        ]:
            raise gaps_as_one(lost)
        for tp, position in new.items():
            await self._sink.take_over(tp.partition, position, rows[tp.partition])
        return {tp for tp in positions if self._sink.has(tp.partition)}

    def _gaps_of(self, log: Bounds, position: int, rows: Rows) -> Iterator[GapFound]:
        """Yield one gap for each flow.

        A gap has the name by which the flow's reader asks for it, and writes down that it passes it over.
        """
        for flow in join_rows(rows.values(), position):
            gap = Gap(log.topic, log.partition, flow.known.first, log.begin)
            if gap.first < gap.next and not self._accepted.cover(gap):
                yield RecordsAreGone(gap, f"were not delivered to the parked flow {flow.flow_id}")


def _require_known(log: Bounds, rows: Rows) -> None:
    for row in rows.values():
        if row.first > log.end:
            raise ExportsAreShorter(log, row.first)
