"""Flows whose destination takes less than comes, so that its records fill the buffer and other flows wait.

Looks, and changes nothing.

    share       the buffer, divided among the flows that the catalog names; one flow alone may have all of it
    greedy      a flow that holds more than its share while at least half of the buffer is taken
    idle        a flow that is not parked, whose destination could take more than it is given
    slow        a flow that was greedy for `SLOW_SECONDS`, would need `WAIT_SECONDS` for what it holds at the pace that
                it had, while another was idle all the time and delivered what it got

A full buffer alone makes nobody slow: after a backlog all destinations go as fast as they can, and chance puts some
above their share. A flow that caught up is not slow again for `LEAVE_ALONE_SECONDS`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes

SLOW_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 3.0
LEAVE_ALONE_SECONDS: Final = 10.0


class _Sample(NamedTuple):
    at: float  # by the sink's clock
    delivered: int
    idle: Mapping[str, int]  # flows that were idle since then, by id, and what they had delivered


class SlowFlows:
    """Remembers since when a flow has held more than its share, and until when one that caught up is left alone."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._samples: dict[str, _Sample] = {}
        self._left_alone_until: dict[str, float] = {}

    def leave_alone(self, flow_id: str, now: float) -> None:
        """Leave a flow alone that has just caught up."""
        self._left_alone_until[flow_id] = now + LEAVE_ALONE_SECONDS

    def find(self, parked: Collection[str], now: float) -> list[FlowLanes]:
        """Find the flows that are slow; `parked` by id, `now` by the sink's clock."""
        self._left_alone_until = {flow_id: until for flow_id, until in self._left_alone_until.items() if until > now}
        greedy = self._greedy()
        idle = self._idle(parked) if greedy else {}
        self._samples = {flow.id: self._sample(flow, idle, now) for flow in greedy}
        return [flow for flow in greedy if self._is_slow(flow, now)]

    def _sample(self, flow: FlowLanes, idle: Mapping[str, int], now: float) -> _Sample:
        before = self._samples.get(flow.id)
        if before is None:
            return _Sample(now, flow.counts.delivered, idle)
        return before._replace(
            idle={flow_id: delivered for flow_id, delivered in before.idle.items() if flow_id in idle}
        )

    def _is_slow(self, flow: FlowLanes, now: float) -> bool:
        at, delivered, idle = self._samples[flow.id]
        if now - at < SLOW_SECONDS:
            return False
        del self._samples[flow.id]
        waits = self._backlog.live.of_flow(flow.id).records * (now - at) > WAIT_SECONDS * (
            flow.counts.delivered - delivered
        )
        return waits and flow.id not in self._left_alone_until and self._has_delivered(idle)

    def _has_delivered(self, idle: Mapping[str, int]) -> bool:
        return any(
            self._backlog.flows[flow_id].counts.delivered > delivered
            for flow_id, delivered in idle.items()
            if flow_id in self._backlog.flows
        )

    def _greedy(self) -> list[FlowLanes]:
        """Return the flows that hold more than their share of a buffer that is half full."""
        live = self._backlog.live
        if not live.is_half_full():
            return []
        flows = list(self._with_destination())
        if len(flows) < 2:  # one alone
            return []
        records, size_bytes = live.max_records / len(flows), live.max_bytes / len(flows)
        used = [(flow, live.of_flow(flow.id)) for flow in flows]
        return [flow for flow, usage in used if usage.records > records or usage.size_bytes > size_bytes]

    def _idle(self, parked: Collection[str]) -> Mapping[str, int]:
        idle = (flow for flow in self._with_destination() if flow.id not in parked and flow.route.state().is_idle)
        return {flow.id: flow.counts.delivered for flow in idle}

    def _with_destination(self) -> Iterable[FlowLanes]:
        return (flow for flow in self._backlog.flows.values() if flow.destination is not None)
