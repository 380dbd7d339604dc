"""How delivery stands, flow by flow."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processor.delivery.answers import PauseReason
from processor.delivery.backlog import Backlog
from processor.delivery.lanes import FlowLanes, Waiting
from schemas.dead_letter import DeadLetterReason


@dataclass(frozen=True, slots=True)
class FlowDelivery:
    """What became of one flow's records since the sink began. Counts are of records, not of calls.

    `delivered_bytes` counts data and partition keys, as AWS does. `retried`: sent again, for whatever reason. `throttled`:
    refusals for throughput. `waiting`: neither delivered nor durable dead letters. `paused`: nothing is delivered until
    somebody mends this; `trouble` says it in words, and also what went wrong last while calls fail for reasons that pass
    by themselves. `out_of_order`: records whose answer shows that the stream does not keep the order of their lane, by
    `order_check.OrderFault`. `oldest_waiting_seconds`: age of the oldest waiting record by Kafka's time; None where nothing waits.
    """

    delivered: int
    delivered_bytes: int
    retried: int
    throttled: int
    dead_lettered: Mapping[DeadLetterReason, int]
    out_of_order: Mapping[str, int]
    waiting: int
    paused: PauseReason | None
    trouble: str | None
    oldest_waiting_seconds: float | None


def status_of(backlog: Backlog, now: float) -> dict[str, FlowDelivery]:
    """All flows by id; `now` in seconds since 1970."""
    condemned: dict[str, list[Waiting]] = {}
    for each in backlog.letters.waiting():
        if each.flow is not None:
            condemned.setdefault(each.flow.id, []).append(each.waiting)
    return {flow_id: _delivery(flow, condemned.get(flow_id, []), now) for flow_id, flow in backlog.flows.items()}


def _delivery(flow: FlowLanes, condemned: list[Waiting], now: float) -> FlowDelivery:
    counts, state = flow.counts, flow.route.state()
    return FlowDelivery(
        delivered=counts.delivered,
        delivered_bytes=counts.delivered_bytes,
        retried=counts.retried,
        throttled=counts.throttled,
        dead_lettered=Counter(counts.dead_lettered),
        out_of_order=Counter(counts.out_of_order),
        waiting=sum(map(len, flow.lanes.values())) + len(condemned),
        paused=state.paused,
        trouble=state.trouble,
        oldest_waiting_seconds=_age([*flow.heads(), *condemned], now),
    )


def _age(waiting: Iterable[Waiting], now: float) -> float | None:
    timestamps = [each.export.record.timestamp for each in waiting]
    known = [timestamp for timestamp in timestamps if timestamp is not None and timestamp >= 0]
    return max(0.0, now - min(known) / 1000) if known else None
