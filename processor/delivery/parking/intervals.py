"""The beginning of a parked interval, with what the partition, an earlier interval, or an earlier owner knows."""

from collections.abc import Collection, Sequence

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.lanes import FlowLanes, Waiting
from processor.delivery.lanes.progress import PartitionProgress, Progress
from processor.delivery.parking.finished import Finished, ranges_of
from processor.delivery.parking.inherited import InheritedFlow
from processor.delivery.parking.parked_flow import ParkedFlow


def waiting_of(flow: FlowLanes, progresses: Collection[Progress]) -> list[Waiting]:
    """Return everything of a flow and these that is in its lanes, in flight or not, by offset."""
    found = (each for lane in flow.lanes.values() for each in lane if each.progress in progresses)
    return sorted(found, key=lambda each: each.export.record.offset)


def in_flight_of(flow: FlowLanes, progresses: Collection[Progress]) -> dict[int, int | None]:
    """Return the offsets of a flow and these that are in flight, with Kafka's times."""
    heads = (lane.head for lane in flow.lanes.values() if lane.in_flight and lane.head.progress in progresses)
    return {each.export.record.offset: each.export.record.timestamp for each in heads}


def count_at_rest(flow: FlowLanes, progress: Progress) -> int:
    """Count the records of a flow and this that are in its lanes, and not in flight."""
    return len(waiting_of(flow, {progress})) - len(in_flight_of(flow, {progress}))


def begin_interval(
    before: ParkedFlow | None,
    flow: FlowLanes,
    live: PartitionProgress,
    waiting: Sequence[Waiting],
    interval: str,
    budget: Budget,
) -> ParkedFlow:
    """Park a flow, or park it anew after the interval `before`.

    `waiting`, never empty, is all that it has in memory here; nothing of it is on its way to the dead letters.
    """
    if before is not None and before.until is None:
        parked = _go_on(before, interval, budget)
    else:
        oldest = waiting[0].export.record.timestamp
        known = _known(before, flow.id, live, [each.export.record.offset for each in waiting if each.progress is live])
        parked = ParkedFlow(
            live.partition, flow.id, interval, budget, known, waiting=len(waiting), counted=live.position, oldest=oldest
        )
    if before is not None:
        parked.gone, parked.reason, parked.since = before.gone, before.reason, before.since
    return parked


def _go_on(before: ParkedFlow, interval: str, budget: Budget) -> ParkedFlow:
    parked = ParkedFlow(
        before.partition,
        before.flow_id,
        interval,
        budget,
        before.reader.finished(),
        waiting=before.waiting,
        counted=before.counted,
        oldest=before.oldest,
    )
    parked.uncounted = before.uncounted
    return parked


def _known(before: ParkedFlow | None, flow_id: str, live: PartitionProgress, offsets: Sequence[int]) -> Finished:
    """Join what the partition knows with what the interval before knew; `offsets` wait of the partition's own."""
    first = offsets[0] if offsets else live.next_offset
    ranges = ranges_of((offset for offset in live.finished_of(flow_id) if offset > first), live.unfinished())
    if before is None or before.until is None:
        return Finished(first, ranges)
    return before.reader.finished().and_also([(before.until, first), *ranges])


def resume_interval(found: InheritedFlow, live: PartitionProgress, interval: str, budget: Budget) -> ParkedFlow:
    """Go on with a flow that is parked where an earlier owner of the partition has left it."""
    parked = ParkedFlow(
        live.partition,
        found.flow_id,
        interval,
        budget,
        found.known,
        waiting=found.waiting,
        counted=found.counted,
        oldest=found.oldest,
    )
    parked.reason = None if found.reason is None else PauseReason(found.reason)
    parked.since, parked.gone = found.since, found.gone
    parked.begin_at(live.position)
    return parked
