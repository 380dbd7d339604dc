"""Records that a log committed, and that are in its state before they are read.

They are passed over when they are read, so that the state never goes back.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from processor.catalog.state import ControlRecord, Record, Topic

_KeyAndValue = tuple[bytes | None, bytes | None]


class OwnRecords:
    """The records that were committed and not read yet, in their order.

    Compaction may remove some of them before they are read, and never changes the order: what is older than what was
    read will not come any more.
    """

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._pending: Mapping[Topic, _Pending] = {topic: _Pending() for topic in topics}

    def __bool__(self) -> bool:
        """Return whether something was not read yet."""
        return any(pending.order for pending in self._pending.values())

    def add(self, committed: Iterable[ControlRecord]) -> None:
        """Take what was committed, in the order of the log."""
        for topic, record in committed:
            self._pending[topic].add((record.key, record.value))

    def read(self, topic: Topic, record: Record) -> bool:
        """Note a record that was read; return whether it is one of these."""
        return self._pending[topic].read((record.key, record.value))


class _Pending:
    """The records of one topic that were not read yet."""

    def __init__(self) -> None:
        self.order: deque[_KeyAndValue] = deque()
        self._counts: Counter[_KeyAndValue] = Counter()

    def add(self, said: _KeyAndValue) -> None:
        self.order.append(said)
        self._counts[said] += 1

    def read(self, said: _KeyAndValue) -> bool:
        if said not in self._counts:
            return False
        while self._take() != said:
            continue
        return True

    def _take(self) -> _KeyAndValue:
        oldest = self.order.popleft()
        self._counts[oldest] -= 1
        if not self._counts[oldest]:
            del self._counts[oldest]
        return oldest
