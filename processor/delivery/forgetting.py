"""Flows that are gone, and of which nothing came for a while, are forgotten: what looks at all flows would grow with
each that ever was.
"""

from typing import Final, NamedTuple

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes
from processor.delivery.lanes.no_destination import Deleted
from processor.delivery.lanes.outbox import Clock
from processor.delivery.parking.parking import Parking

FORGET_SECONDS: Final = 600.0
"""A record of a forgotten flow is unknown at first, and waits for the catalog again: those of a backlog come closer
together than this.
"""


class _Idle(NamedTuple):
    """Since when a flow had `dead_letters`, and nothing else to do."""

    since: float
    dead_letters: int


class Forgetting:
    """Looks at `backlog` when it is told to; `clock` is the sink's."""

    def __init__(self, backlog: Backlog, parking: Parking, clock: Clock) -> None:
        self._backlog, self._parking, self._clock = backlog, parking, clock
        self._idle: dict[str, _Idle] = {}

    def forget_gone_flows(self) -> None:
        """Forget each flow that was deleted and has had nothing to do for FORGET_SECONDS; its counts stay in
        `Backlog.forgotten`.
        """
        now = self._clock()
        condemned = {each.flow.id for each in self._backlog.letters.waiting() if each.flow is not None}
        gone = [flow for flow in self._backlog.flows.values() if self._is_gone(flow) and flow.id not in condemned]
        self._idle = {flow.id: self._idle_since(flow, now) for flow in gone}
        for flow in gone:
            if now - self._idle[flow.id].since >= FORGET_SECONDS:
                self._backlog.forget_flow(flow)
                del self._idle[flow.id]

    def _is_gone(self, flow: FlowLanes) -> bool:
        return isinstance(flow.route, Deleted) and not flow.lanes and not self._parking.of_flow(flow.id)

    def _idle_since(self, flow: FlowLanes, now: float) -> _Idle:
        dead_letters = flow.counts.dead_lettered.total()
        known = self._idle.get(flow.id)
        return known if known is not None and known.dead_letters == dead_letters else _Idle(now, dead_letters)
