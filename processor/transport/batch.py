"""The batch that the transport hands to an agent: the records of one partition from one fetch."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol


class ConsumerRecord(Protocol):
    """A record as aiokafka reads it. `timestamp` in milliseconds, -1 where it has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Batch(NamedTuple):
    """Records of one partition, in order, offsets rising but not contiguous.

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


NO_RECORDS: Final[tuple[ConsumerRecord, ...]] = ()
