"""Records that a log committed, and that are in its state before they are read: they are passed over then, so that the
state never goes back.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from processor.catalog.state import Topic, TopicRecord


class OwnRecords:
    """What was committed and not read yet, in its order.

    Compaction may remove some of it before it is read, and never changes the order: what is older than what was read
    will not come any more.
    """

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._pending: Mapping[Topic, _Pending] = {topic: _Pending() for topic in topics}

    def __bool__(self) -> bool:
        """Whether something was not read yet."""
        return any(pending.order for pending in self._pending.values())

    def add(self, committed: Iterable[TopicRecord]) -> None:
        """Take what was committed, in the order of the log."""
        for topic, key, value, _ in committed:
            self._pending[topic].add((key, value))

    def read(self, record: TopicRecord) -> bool:
        """Note a record that was read; whether it is one of these."""
        return self._pending[record.topic].read((record.key, record.value))


class _Pending:
    """Our records of one topic that were not read yet."""

    def __init__(self) -> None:
        self.order: deque[tuple[bytes, bytes | None]] = deque()
        self._counts: Counter[tuple[bytes, bytes | None]] = Counter()

    def add(self, said: tuple[bytes, bytes | None]) -> None:
        self.order.append(said)
        self._counts[said] += 1

    def read(self, said: tuple[bytes, bytes | None]) -> bool:
        if said not in self._counts:
            return False
        while self._take() != said:
            continue
        return True

    def _take(self) -> tuple[bytes, bytes | None]:
        oldest = self.order.popleft()
        self._counts[oldest] -= 1
        if not self._counts[oldest]:
            del self._counts[oldest]
        return oldest
