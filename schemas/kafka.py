"""Kafka's records, as all parts of the product name them: as read, to write, by the batch, and unreadable ones.

ConsumerRecord   what is read of a record, whichever client or file it comes from (a Protocol)
ReadRecord       such a record as a value of our own: from files, confluent-kafka and tests
ProducerRecord   a record to write
Batch            the records of one partition from one fetch
BadRecord        the error for a record that its topic's decoder cannot read
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes | None]]
"""Headers as read, in their order; a name may stand there more than once."""

ProducerHeaders = list[tuple[str, bytes | None]]
"""Headers to write; a list, since aiokafka takes nothing else."""

NO_HEADERS: Final[ProducerHeaders] = []
"""The headers of a record that has none; never changed."""


class BadRecord(ValueError):
    """A record cannot be read as one of its topic; the text says which record and why, and quotes no value of it."""


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class RecordPosition(NamedTuple):
    """The position of a record in its log."""

    topic: str
    partition: int
    offset: int


class ConsumerRecord(Protocol):
    """A record as read: aiokafka's own record, or a ReadRecord.

    `timestamp` is Kafka's, in milliseconds; None, or negative: it has none.
    """

    @property
    def topic(self) -> str: ...  # noqa: D102  # Kafka's own words, here and below
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int | None: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


def count_record_bytes(records: Sequence[ConsumerRecord]) -> int:
    """Count the bytes of the records' keys, values and headers: what waits in memory, whatever a record is made of."""
    size = 0
    for record in records:
        size += len(record.value or b"") + len(record.key or b"")
        for name, value in record.headers:
            size += len(name) + len(value or b"")
    return size


class ReadRecord(NamedTuple):
    """A record as read, as a value of our own, bytes as they were.

    `timestamp` is Kafka's, in milliseconds; None, or negative: it has none.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class ProducerRecord(NamedTuple):
    """A record to write; `timestamp` in milliseconds, None: the moment when it is written."""

    key: bytes | None
    value: bytes | None
    headers: ProducerHeaders = NO_HEADERS
    timestamp: int | None = None


class Batch(NamedTuple):
    """Records of one partition from one fetch, in order, offsets rising but not contiguous.

    `position` is where the next fetch begins: past the last record and whatever markers follow it. `records` may be
    empty: then only the position moved. `epoch` is the rebalance epoch of the process in which the fetch was made: a
    batch of an earlier epoch is dropped, its records are read again by whoever owns the partition. `fetched_at` is the
    monotonic clock, seconds, when the fetch returned.
    """

    topic: str
    partition: int
    records: Sequence[ConsumerRecord]
    position: int
    epoch: int
    fetched_at: float
