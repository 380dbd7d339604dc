"""The bounds of delivery: AWS' for calls and records (G2), our own for memory and patience."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from processor.delivery.backoff import Backoff
from processor.foundation.sizes import MIB

DEFAULT_BACKOFF: Final = Backoff(base_seconds=0.1, cap_seconds=10.0)


class ShardLimits(NamedTuple):
    """The most that one shard is fed in a second (AWS: 1,000 records and 1 MiB); 0: as much as it takes."""

    records: int = 1_000
    size_bytes: int = 1 * MIB

    @property
    def are_off(self) -> bool:
        """Return whether nothing is held back."""
        return self.records == 0 and self.size_bytes == 0


DEFAULT_SHARD: Final = ShardLimits()


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The limits of delivery; bytes of records count data and partition key, as AWS does."""

    max_records_per_call: int = 500
    max_call_bytes: int = 5 * MIB
    max_record_bytes: int = 1 * MIB
    calls_in_flight: int = 4  # of one destination; measured: 4 is the sweet spot
    shard: ShardLimits = DEFAULT_SHARD
    max_buffered_records: int = 20_000  # of all flows, waiting or in flight
    max_buffered_bytes: int = 64 * MIB  # exceeded by one record at most
    linger_seconds: float = 0.02  # how long a call that is not full waits for more
    probe_seconds: float = 15.0  # between two tries of a paused destination
    probe_records: int = 10
    park_after_seconds: float = 5.0  # how long no call is answered before its flows' records leave memory
    max_rejections: int = 3  # the first and two more tries (G4)
    max_rejections_in_a_row: int = 30  # of different lanes, before the destination counts as unusable; 0: never
    close_gaps_seconds: float = 3.0  # how long `release` sends what lies below finished records
    release_seconds: float = 5.0  # how long `release` and `stop` wait for calls in flight
    unknown_flow_seconds: float = 5.0  # how late a flow may be that the catalog never named, before it is a deleted one
    backoff: Backoff = DEFAULT_BACKOFF

    def __post_init__(self) -> None:
        if self.max_record_bytes > self.max_call_bytes:
            raise ValueError("a record of max_record_bytes does not fit in a call of max_call_bytes")
