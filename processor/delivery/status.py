"""The status of delivery, flow by flow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes, RouteState, Waiting
from processor.delivery.lanes.no_destination import Deleted
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.registry import Registry
from schemas.dead_letter import DeadLetterReason


class Now(NamedTuple):
    """One moment: by the sink's clock, and in seconds since 1970."""

    clock: float
    wall: float

    def wall_of(self, clock: float | None) -> float | None:
        """Return a moment of the sink's clock in seconds since 1970."""
        return None if clock is None else self.wall + clock - self.clock


@dataclass(frozen=True, slots=True)
class FlowDelivery:
    """The status of one flow: what became of its records since the sink began, counted in records and not in calls.

        `delivered_bytes` counts data and partition keys, as AWS does. `retried`: sent again, for whatever reason.
    `throttled`: refusals for throughput. `waiting`: neither delivered nor durable dead letters; of parked records as
    last counted. `parked`: those of them that are not in memory. `paused`: why nothing is delivered, `paused_since` and
    `next_probe` in seconds since 1970; `trouble` says it in words, and also what went wrong last while calls fail for
    reasons that pass by themselves. `out_of_order`: records whose response shows that the stream does not keep the
    order of their lane, by `order_check.OrderFault`. `oldest_waiting_seconds`: age of the oldest waiting record by
    Kafka's time; None where nothing waits. `gone`: offsets of `exports` that the log lost before the flow's records
    there were read.
    """

    delivered: int
    delivered_bytes: int
    retried: int
    throttled: int
    dead_lettered: Mapping[DeadLetterReason, int]
    out_of_order: Mapping[str, int]
    waiting: int
    parked: int
    paused: PauseReason | None
    paused_since: float | None
    next_probe: float | None
    trouble: str | None
    oldest_waiting_seconds: float | None
    gone: int


def status_of(backlog: Backlog, parked: Registry, now: Now) -> dict[str, FlowDelivery]:
    """Return the status of all flows by id."""
    dead_letters: dict[str, list[Waiting]] = {}
    for each in backlog.letters.waiting():
        if each.flow is not None:
            dead_letters.setdefault(each.flow.id, []).append(each.waiting)
    return {
        flow_id: _delivery(flow, dead_letters.get(flow_id, []), parked.of_flow(flow_id), now)
        for flow_id, flow in backlog.flows.items()
    }


def forgotten_of(backlog: Backlog) -> FlowDelivery:
    """Return one status of all flows that were known once, and are gone."""
    return _delivery(_summed(backlog), [], (), Now(0.0, 0.0))


def _summed(backlog: Backlog) -> FlowLanes:
    flow = FlowLanes("", Deleted(backlog.dead_letter_lane))
    flow.counts = backlog.forgotten
    return flow


def _delivery(flow: FlowLanes, dead_letters: list[Waiting], parked: Sequence[ParkedFlow], now: Now) -> FlowDelivery:
    counts, state = flow.counts, flow.route.state()
    in_memory = sum(map(len, flow.lanes.values())) + len(dead_letters)
    not_in_memory = sum(each.waiting - each.outstanding for each in parked)
    paused, since = _pause(state, parked, now)
    return FlowDelivery(
        delivered=counts.delivered,
        delivered_bytes=counts.delivered_bytes,
        retried=counts.retried,
        throttled=counts.throttled,
        dead_lettered=Counter(counts.dead_lettered),
        out_of_order=Counter(counts.out_of_order),
        waiting=in_memory + not_in_memory,
        parked=not_in_memory,
        paused=paused,
        paused_since=since,
        next_probe=now.wall_of(state.next_try) if state.paused is not None else None,
        trouble=state.trouble,
        oldest_waiting_seconds=_age([*flow.heads(), *dead_letters], parked, now.wall),
        gone=counts.gone + sum(each.gone for each in parked),
    )


def _pause(state: RouteState, parked: Iterable[ParkedFlow], now: Now) -> tuple[PauseReason | None, float | None]:
    """Return why and since when: as the destination says, else, before it was asked, as the owner before us knew."""
    known = [(each.reason, each.since) for each in parked if each.reason is not None and each.since is not None]
    earliest = min((since for _, since in known), default=None)
    if state.paused is None:
        return (known[0][0], earliest) if known else (None, None)
    since = now.wall_of(state.unavailable_since)
    return state.paused, since if earliest is None or since is None else min(since, earliest)


def _age(waiting: Iterable[Waiting], parked: Iterable[ParkedFlow], now: float) -> float | None:
    timestamps = [*(each.export.record.timestamp for each in waiting), *(each.oldest for each in parked)]
    known = [timestamp for timestamp in timestamps if timestamp is not None and timestamp >= 0]
    return max(0.0, now - min(known) / 1000) if known else None
