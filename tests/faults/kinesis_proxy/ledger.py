"""A ledger of every call: which records the endpoint stored, and of which the producer was told.

A record that comes again although it was stored is a repeat. It is explained by the earlier call that stored it:
something left its producer in doubt. Where that call told it so, nothing but the producer's death explains the repeat.
"""

import hashlib
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.kinesis_proxy.plan import Entry

UNHEARD = "unheard"
SLOW = "slow"


def mark(partition_key: str, data: bytes) -> str:
    """Return what names a record in the ledger: equal records have one name."""
    return f"{partition_key[:40]}/{hashlib.sha256(data).hexdigest()[:16]}"


def mark_of(entry: Entry) -> str:
    """Return the name of an entry as it came."""
    return mark(entry["PartitionKey"], b64decode(entry["Data"]))


class Stored(NamedTuple):
    """A record, and where the endpoint says that it stands."""

    record: str
    shard: str
    sequence: str


@dataclass(slots=True)
class Call:
    """A PutRecords call. `producer`: its access key id. `fault`: what the plan did; None: nothing.

    `told`: the records that the producer could read to be delivered. `seconds`: from its arrival to the end of its
    answer.
    """

    number: int
    producer: str
    stream: str
    fault: str | None
    received: list[str]
    applied: list[Stored] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    throttled: int = 0
    seconds: float = 0.0

    def doubt_about(self, record: str, slow_seconds: float) -> str | None:
        """Return what leaves the producer in doubt whether a record is stored; None: it was told that it is."""
        if record not in self.told:
            return self.fault or UNHEARD
        return (self.fault or SLOW) if self.seconds >= slow_seconds else None


class Repeat(NamedTuple):
    """`record` came again with the call `again`, and had been stored by the call `before`.

    `because`: what left the producer in doubt: a fault of the plan, "unheard" (it had hung up), "slow" (it may have);
    None: it was told.
    """

    record: str
    before: Call
    again: Call
    because: str | None


class Ledger:
    """All calls, in the order they came."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def stored(self, stream: str) -> list[Stored]:
        """Everything that the stream holds, shard by shard, in order."""
        found = [each for call in self.calls if call.stream == stream for each in call.applied]
        return sorted(found, key=lambda each: (each.shard, int(each.sequence)))

    def repeats(self, slow_seconds: float = float("inf")) -> Iterator[Repeat]:
        """Every repeat. An answer after `slow_seconds` may have come too late for its producer."""
        stored_by: dict[tuple[str, str], tuple[Call, str | None]] = {}
        for call in self.calls:
            for record in call.received:
                if (call.stream, record) in stored_by:
                    before, because = stored_by[call.stream, record]
                    yield Repeat(record, before, call, because)
            for record, _, _ in call.applied:
                doubt = call.doubt_about(record, slow_seconds)
                _, earlier_doubt = stored_by.get((call.stream, record), (None, UNHEARD))
                if doubt is None or earlier_doubt is not None:  # one that told its producer stays
                    stored_by[call.stream, record] = (call, doubt)

    def faults(self) -> Counter[str]:
        """Return how often the plan did what."""
        return Counter(call.fault for call in self.calls if call.fault is not None)

    def as_object(self) -> dict[str, Any]:
        """For people, as JSON."""
        repeats = [
            {
                "record": repeat.record,
                "before": repeat.before.number,
                "again": repeat.again.number,
                "because": repeat.because,
            }
            for repeat in self.repeats()
        ]
        return {
            "calls": [{name: getattr(call, name) for name in Call.__slots__} for call in self.calls],
            "repeats": repeats,
        }
