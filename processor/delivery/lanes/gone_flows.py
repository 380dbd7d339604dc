"""Flows that are gone are forgotten once nothing came of them for a while.

Else what looks at all flows would grow with each that ever was.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes
from processor.delivery.lanes.no_destination import Deleted
from processor.foundation.clocks import Clock

FORGET_SECONDS: Final = 600.0
"""A record of a forgotten flow is unknown at first, and waits for the catalog again.

Those of a backlog come closer together than this.
"""


class _Idle(NamedTuple):
    """A flow that has had so many `dead_letters` and nothing else to do since then."""

    since: float
    dead_letters: int


class GoneFlows:
    """Forgets flows of `backlog` that are gone; `is_parked` tells by id which are not yet, `clock` is the sink's."""

    def __init__(self, backlog: Backlog, is_parked: Callable[[str], bool], clock: Clock) -> None:
        self._backlog, self._is_parked, self._clock = backlog, is_parked, clock
        self._idle: dict[str, _Idle] = {}

    def forget(self) -> None:
        """Forget each deleted flow that had nothing to do for FORGET_SECONDS, but its counts (`Backlog.forgotten`)."""
        now = self._clock()
        on_the_way = {each.flow.id for each in self._backlog.letters.waiting() if each.flow is not None}
        gone = [flow for flow in self._backlog.flows.values() if self._is_gone(flow) and flow.id not in on_the_way]
        self._idle = {flow.id: self._idle_since(flow, now) for flow in gone}
        for flow in gone:
            if now - self._idle[flow.id].since >= FORGET_SECONDS:
                self._backlog.forget_flow(flow)
                del self._idle[flow.id]

    def _is_gone(self, flow: FlowLanes) -> bool:
        return isinstance(flow.route, Deleted) and not flow.lanes and not self._is_parked(flow.id)

    def _idle_since(self, flow: FlowLanes, now: float) -> _Idle:
        dead_letters = flow.counts.dead_lettered.total()
        known = self._idle.get(flow.id)
        return known if known is not None and known.dead_letters == dead_letters else _Idle(now, dead_letters)
