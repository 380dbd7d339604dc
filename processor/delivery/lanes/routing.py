"""The route that each flow takes now: its destination's sender, or one for flows that the catalog does not name."""

from collections.abc import Iterable, Iterator

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes, Route
from processor.delivery.lanes.no_destination import Deleted, Unknown
from processor.delivery.lanes.senders import Senders
from processor.delivery.ports import Destinations
from processor.foundation.clocks import Clock


class Routing:
    """Routes waiting records to the destination in force, or to the dead letters of a deleted flow.

    A disabled flow has a destination still (`worker/adapters/destinations`). One that the catalog never named may be
    late by `unknown_flow_seconds`.
    """

    def __init__(self, destinations: Destinations, unknown_flow_seconds: float, clock: Clock, senders: Senders) -> None:
        self._destinations = destinations
        self._unknown_flow_seconds = unknown_flow_seconds
        self._clock = clock
        self._senders = senders

    def new_flow(self, flow_id: str) -> FlowLanes:
        """Make a flow that is routed at the next `follow_catalog`."""
        return FlowLanes(flow_id, Unknown(self._clock()))

    def follow_catalog(self, backlog: Backlog) -> None:
        """Route every flow by what the catalog says now. Home of G9.

        Waiting lanes change over at once, lanes in flight when they come back.
        """
        changed = [self._follow(flow, backlog) for flow in backlog.flows.values()]
        if any(changed):
            self._senders.retire_unused(list(routes_of(backlog.flows.values())))

    def _follow(self, flow: FlowLanes, backlog: Backlog) -> bool:
        """Route one flow; return whether its route changed."""
        found = self._destinations.destination(flow.id)
        if found is None:
            return self._follow_absence(flow, backlog)
        if found is flow.destination:
            return False
        if found == flow.destination:
            flow.destination = found  # the same, said anew: next time a glance is enough
            return False
        flow.change_route(self._senders.of(found), found)
        return True

    def _follow_absence(self, flow: FlowLanes, backlog: Backlog) -> bool:
        route = flow.route
        if isinstance(route, Deleted) or (
            isinstance(route, Unknown) and self._clock() < route.since + self._unknown_flow_seconds
        ):
            return False
        flow.change_route(Deleted(backlog.dead_letter_lane), None)
        return True


def routes_of(flows: Iterable[FlowLanes]) -> Iterator[Route]:
    """Yield every route that the flows take, once."""
    yield from {id(flow.route): flow.route for flow in flows}.values()
