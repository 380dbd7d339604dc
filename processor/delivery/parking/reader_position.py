"""The position of a parked flow's reader on `exports`, and what is finished, in flight or waiting there.

Records that the reader brings hang on a progress like a partition's. What was in flight when the flow was parked stays
the head of its lane: the reader passes it, and brings what stands behind it.
"""

from collections.abc import Iterable, Mapping

from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.parking.finished import Finished, ranges_of


class ReaderPosition:
    """One reader of one parked flow; it begins at the lowest record that is not `known` to be finished.

    `oldest`: Kafka's time of what is not read yet, in milliseconds, or a little older.
    """

    __slots__ = ("_flow_id", "_in_flight", "_known", "_oldest", "_progress", "_returned", "_timestamps")

    def __init__(self, partition: int, flow_id: str, budget: Budget, known: Finished, oldest: int | None) -> None:
        self._flow_id = flow_id
        self._progress = PartitionProgress(partition, known.first, budget)
        self._known = known
        self._in_flight: dict[int, int | None] = {}  # since before the flow was parked; Kafka's times
        self._returned: set[int] = set()  # of those, the finished ones
        self._oldest = oldest
        self._timestamps: dict[int, int | None] = {}  # of what was read and is not finished

    def take_in_flight(self, timestamps: Mapping[int, int | None]) -> None:
        """Note records that are in flight, with Kafka's times: they will be finished without being read."""
        self._in_flight.update(timestamps)

    @property
    def position(self) -> int:
        """Return the offset below which everything was read."""
        return self._progress.position

    @property
    def next_offset(self) -> int:
        """Return the lowest offset that is not finished."""
        return min((self._progress.next_offset, *self._in_flight))

    @property
    def outstanding(self) -> int:
        """Return how many records in memory are not finished."""
        return self._progress.unfinished_count + len(self._in_flight)

    @property
    def is_past_what_is_known(self) -> bool:
        """Return whether the reader passed all that was finished out of turn: the partition would send it again."""
        return not self._known.ranges or self.position >= self._known.ranges[-1][1]

    def wants(self, offset: int) -> bool:
        """Return whether a record that was read is new, neither finished nor in flight."""
        return (
            offset >= self.position
            and offset not in self._in_flight
            and offset not in self._returned
            and not self._known.holds(offset)
        )

    def accept(self, offset: int, timestamp: int | None) -> None:
        """Note that the record at `offset`, above all earlier ones, was read and waits; `timestamp` is Kafka's."""
        self._timestamps[offset] = timestamp
        self._progress.accept(offset)

    def reach(self, position: int) -> None:
        """Note that everything below `position` was read."""
        self._progress.reach(position)

    def finish(self, offset: int) -> None:
        """Note that the record at `offset` is delivered, or a durable dead letter."""
        if offset in self._in_flight:
            self._oldest = self._in_flight.pop(offset)
            self._returned.add(offset)
        else:
            self._progress.finish(offset, self._flow_id)
            self._oldest = self._timestamps.pop(offset, None)

    def holds(self, offset: int) -> bool:
        """Return whether the record at `offset` was known to be finished when the reader began."""
        return self._known.holds(offset)

    def finished(self) -> Finished:
        """Return all that is finished."""
        unfinished = sorted((*self._in_flight, *self._progress.unfinished()))
        returned = ((offset, offset + 1) for offset in self._returned)  # nothing is known of what lies between
        out_of_turn = ranges_of(self._progress.finished_of(self._flow_id), unfinished)
        return Finished(self.next_offset).and_also([*self._known.ranges, *self._passed(), *returned, *out_of_turn])

    def _passed(self) -> Iterable[tuple[int, int]]:
        """Return the ranges in which the reader left nothing behind but what is in flight."""
        below = self._progress.next_offset
        in_flight = sorted(offset for offset in self._in_flight if offset < below)
        return zip((offset + 1 for offset in in_flight), [*in_flight[1:], below], strict=False)

    @property
    def oldest(self) -> int | None:
        """Return Kafka's time of the oldest record that is not finished, in milliseconds, where it is known."""
        lowest = self.next_offset
        if lowest in self._in_flight:
            return self._in_flight[lowest]
        if self._progress.unfinished_count:
            return self._timestamps.get(lowest)
        return self._oldest
