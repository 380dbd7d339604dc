"""How a stay of a flow beside its partition begins: with what the partition knows, what an earlier stay knows, or what
an earlier owner wrote.
"""

from collections.abc import Collection, Sequence

from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.lanes import FlowLanes, Waiting
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.parking.finished import Finished, ranges_of
from processor.delivery.parking.inherited import TakenOver
from processor.delivery.parking.parked_flow import ParkedFlow


def waiting_of(flow: FlowLanes, progresses: Collection[PartitionProgress]) -> list[Waiting]:
    """Everything of a flow and these that is in its lanes, in flight or not, by offset."""
    found = (each for lane in flow.lanes.values() for each in lane if each.progress in progresses)
    return sorted(found, key=lambda each: each.export.record.offset)


def flying_of(flow: FlowLanes, progresses: Collection[PartitionProgress]) -> dict[int, int | None]:
    """What of it is in flight, with Kafka's times."""
    heads = (lane.head for lane in flow.lanes.values() if lane.in_flight and lane.head.progress in progresses)
    return {each.export.record.offset: each.export.record.timestamp for each in heads}


def at_rest(flow: FlowLanes, progress: PartitionProgress) -> int:
    """How much of a flow and this is in its lanes, and not in flight."""
    return len(waiting_of(flow, {progress})) - len(flying_of(flow, {progress}))


def new_stay(
    before: ParkedFlow | None, flow: FlowLanes, live: PartitionProgress, waiting: Sequence[Waiting], stay: str
) -> ParkedFlow:
    """A flow is parked, or parked anew after the stay `before`; `waiting`, never empty, is all that it has in memory
    here.

    Of it nothing is on its way to the dead letters.
    """
    if before is not None and before.until is None:
        parked = ParkedFlow(
            live.partition,
            flow.id,
            stay,
            before.known(),
            waiting=before.waiting,
            counted=before.counted,
            oldest=before.oldest,
        )
        parked.uncounted = before.uncounted
    else:
        oldest = waiting[0].export.record.timestamp
        known = _known(before, flow.id, live, [each.export.record.offset for each in waiting if each.progress is live])
        parked = ParkedFlow(
            live.partition, flow.id, stay, known, waiting=len(waiting), counted=live.position, oldest=oldest
        )
    if before is not None:
        parked.gone, parked.reason, parked.since = before.gone, before.reason, before.since
    return parked


def _known(before: ParkedFlow | None, flow_id: str, live: PartitionProgress, offsets: Sequence[int]) -> Finished:
    """By the partition, from where the stay before has left it; `offsets` are what waits of the partition's own."""
    first = offsets[0] if offsets else live.next_offset
    ranges = ranges_of((offset for offset in live.finished_of(flow_id) if offset > first), live.unfinished())
    if before is None or before.until is None:
        return Finished(first, ranges)
    return before.known().and_also([(before.until, first), *ranges])


def inherited_stay(found: TakenOver, live: PartitionProgress, stay: str) -> ParkedFlow:
    """A flow goes on being parked where an earlier owner of the partition has left it."""
    parked = ParkedFlow(
        live.partition,
        found.flow_id,
        stay,
        found.known,
        waiting=found.waiting,
        counted=found.counted,
        oldest=found.oldest,
    )
    parked.reason = None if found.reason is None else PauseReason(found.reason)
    parked.since, parked.gone = found.since, found.gone
    parked.begin_at(live.position)
    return parked
