"""A check that a stream keeps the order of lanes, by the shard and sequence number that each record gets.

A lane has one record in flight (G3), so its responses come in its own order, and two things must hold for it:

    same shard       the sequence number is above the last one (AWS API reference, PutRecords)
    another shard    only for another key, or after a reshard: its shards are younger, so their ids are above the old
                     one's

A stream that ignores partition keys (on-demand streams with automatic record distribution) breaks the second one at
every other record: consumers then see a profile's records on several shards, in no order. Nothing here delays or
refuses a record.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import structlog

from processor.delivery.kinesis.faults import FaultKind
from processor.delivery.kinesis.responses import Classification
from processor.delivery.lanes.lanes import Lane
from schemas.destination import Destination

MOST_LANES: Final = 5_000
"""The lanes remembered are at least the last so many, at most twice as many: under 5 MB a destination.
"""

_LaneId = tuple[bytes, str]
_StoredAt = tuple[str, str, str]  # the shard and the sequence number of a lane's last record, and by what it was routed


class OrderFault(StrEnum):
    """A way in which a stream broke the order of a lane."""

    SEQUENCE_FELL = "sequence_fell"  # not above the last sequence number of the lane in this shard
    SHARD_CHANGED = "shard_changed"  # the same key came to an older shard: the stream ignores partition keys


class OrderCheck:
    """Counts each fault of one destination with its flow, and raises an alarm at the 1st, 2nd, 4th, 8th and so on."""

    def __init__(self, destination: Destination) -> None:
        self._log = structlog.get_logger(__name__).bind(stream=destination.stream, region=destination.region)
        self._faults = 0
        self._young: dict[_LaneId, _StoredAt] = {}
        self._old: dict[_LaneId, _StoredAt] = {}  # the generation before; what is not renewed is forgotten with it

    def check(self, lanes: Sequence[Lane], response: Any, outcome: Classification) -> None:
        """Check the response of a call: the heads of `lanes` are still in flight.

        Entries without a shard or a sequence number say nothing.
        """
        faults = outcome.faults.values() if outcome.whole is None else [outcome.whole]
        if any(fault.kind is FaultKind.REFUSED for fault in faults):
            self._young, self._old = {}, {}  # it may become another stream of the same name until we are authorized
        if outcome.whole is None:
            self._compare(lanes, response["Records"], frozenset(outcome.faults))
        if len(self._young) > MOST_LANES:
            self._young, self._old = {}, self._young

    def _compare(self, lanes: Sequence[Lane], entries: list[Any], failed: frozenset[int]) -> None:
        young, old = self._young, self._old
        for index, (lane, entry) in enumerate(zip(lanes, entries, strict=True)):
            if index in failed:
                continue
            shard, sequence = entry.get("ShardId"), entry["SequenceNumber"]
            if type(shard) is not str or type(sequence) is not str:
                continue
            export, key = lane.head.export, (lane.key, lane.flow.id)
            last = young.get(key) or old.get(key)
            young[key] = place = (shard, sequence, export.explicit_hash_key or export.partition_key)
            if last is None or (shard == last[0] and sequence > last[1] and len(sequence) == len(last[1])):
                continue  # the shortest way for nearly all
            if (fault := _fault(last, place)) is not None:
                self._count(lane, fault, last, place)

    def _count(self, lane: Lane, fault: OrderFault, last: _StoredAt, place: _StoredAt) -> None:
        lane.flow.counts.out_of_order[fault] += 1
        self._faults += 1
        if self._faults & (self._faults - 1) == 0:
            record = lane.head.export.record
            self._log.error(
                "order_not_kept",
                fault=fault.value,
                flow=lane.flow.id,
                exports_partition=record.partition,
                exports_offset=record.offset,
                shards=(last[0], place[0]),
                sequence_numbers=(last[1], place[1]),
                faults=self._faults,
            )


def _fault(last: _StoredAt, place: _StoredAt) -> OrderFault | None:
    (old_shard, old_sequence, routed_by), (shard, sequence, now_routed_by) = last, place
    if shard == old_shard:
        return None if _is_above(sequence, old_sequence) else OrderFault.SEQUENCE_FELL
    return OrderFault.SHARD_CHANGED if routed_by == now_routed_by and not _is_above(shard, old_shard) else None


def _is_above(text: str, other: str) -> bool:
    """Return whether a text is above another, by the decimal numbers in them.

    They have no leading zeros, or all of them, so 56 digits are not made a number of.
    """
    return text > other if len(text) == len(other) else len(text) > len(other)
