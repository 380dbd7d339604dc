"""How far one partition of `exports` is done: everything fetched below an offset is delivered or a durable dead letter.

Offsets have gaps (transaction markers, compaction), so only what was fetched counts, never what lies between.
"""

from collections import deque
from collections.abc import Sequence

from processor.delivery.ports import ConsumerRecord


class PartitionProgress:
    """One partition, for one assignment of it to this worker; the next assignment starts with a new one.

    `revoked`: the partition is no longer ours, so nothing more of it may be sent.
    """

    __slots__ = ("_finished", "_outstanding", "_position", "_reported", "partition", "revoked")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.revoked = False
        self._outstanding: deque[int] = deque()  # fetched, in order; the first one is not finished
        self._finished: set[int] = set()  # of those, the finished ones behind the first
        self._position = 0
        self._reported = 0

    def unseen(self, records: Sequence[ConsumerRecord]) -> Sequence[ConsumerRecord]:
        """The records without those that were accepted before: a rebalance may fetch them again."""
        if not records or records[0].offset >= self._position:
            return records
        return [record for record in records if record.offset >= self._position]

    def accept(self, offset: int) -> None:
        """The record at `offset`, above all earlier ones, was fetched and waits."""
        if not self._position:
            self._reported = offset  # what was done before this assignment is nothing to report
        self._outstanding.append(offset)
        self._position = offset + 1

    def reach(self, position: int) -> None:
        """The consumer has fetched everything below `position`."""
        self._position = max(self._position, position)

    def finish(self, offset: int) -> None:
        """The record at `offset` is delivered, or a durable dead letter."""
        outstanding, finished = self._outstanding, self._finished
        if outstanding[0] != offset:
            finished.add(offset)
            return
        outstanding.popleft()
        while finished and outstanding[0] in finished:
            finished.remove(outstanding.popleft())

    @property
    def next_offset(self) -> int:
        """The lowest offset fetched and not finished; the consumer's position when there is none."""
        return self._outstanding[0] if self._outstanding else self._position

    def advance(self) -> int | None:
        """`next_offset` where it is above what this method returned before; None where it is not."""
        if self.next_offset <= self._reported:
            return None
        self._reported = self.next_offset
        return self._reported
