"""Whose destination takes less than comes, so that its records fill the buffer and other flows wait. Looks, and changes nothing.

    share    the buffer, divided among the flows that the catalog names; one flow alone may have all of it
    slow     a flow that has held more than its share for `SLOW_SECONDS`, and more than it delivered in that time, while at least
             half of the buffer is taken
"""

from typing import Final, NamedTuple

from processor.delivery.backlog import Backlog
from processor.delivery.lanes import FlowLanes
from processor.delivery.limits import DeliveryLimits

SLOW_SECONDS: Final = 1.0


class _Sample(NamedTuple):
    at: float  # by the sink's clock
    delivered: int


class SlowFlows:
    """Remembers since when a flow has held more than its share."""

    def __init__(self, backlog: Backlog, limits: DeliveryLimits) -> None:
        self._backlog, self._limits = backlog, limits
        self._samples: dict[str, _Sample] = {}

    def find(self, now: float) -> list[FlowLanes]:
        """The flows that are slow; `now` by the sink's clock."""
        greedy = self._greedy()
        self._samples = {flow.id: self._samples.get(flow.id) or _Sample(now, flow.counts.delivered) for flow in greedy}
        found = []
        for flow in greedy:
            at, delivered = self._samples[flow.id]
            if now - at >= SLOW_SECONDS:
                if flow.live.records > flow.counts.delivered - delivered:
                    found.append(flow)
                del self._samples[flow.id]
        return found

    def _greedy(self) -> list[FlowLanes]:
        """The flows that hold more than their share of a buffer that is half full."""
        limits, live = self._limits, self._backlog.live
        if 2 * live.records < limits.max_buffered_records and 2 * live.size_bytes < limits.max_buffered_bytes:
            return []
        flows = [flow for flow in self._backlog.flows.values() if flow.destination is not None]
        if len(flows) < 2:  # one alone
            return []
        records, size_bytes = limits.max_buffered_records / len(flows), limits.max_buffered_bytes / len(flows)
        return [flow for flow in flows if flow.live.records > records or flow.live.size_bytes > size_bytes]
