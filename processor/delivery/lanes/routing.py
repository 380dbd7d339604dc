"""Which route each flow takes now: the sender of its destination, or one for flows that the catalog does not name
(contract G9).
"""

from collections.abc import Callable, Iterable, Iterator

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes, Route
from processor.delivery.lanes.no_destination import Deleted, Unknown
from processor.delivery.lanes.outbox import Clock
from processor.delivery.lanes.sender import Sender
from processor.delivery.ports import Destinations
from schemas.destination import Destination


class Routing:
    """Flows with equal destinations share one sender; a sender that no flow uses any more is retired."""

    def __init__(
        self,
        destinations: Destinations,
        unknown_flow_seconds: float,
        clock: Clock,
        open_sender: Callable[[Destination], Sender],
    ) -> None:
        self.senders: dict[Destination, Sender] = {}
        self._retired: list[Sender] = []
        self._destinations = destinations
        self._unknown_flow_seconds = unknown_flow_seconds
        self._clock = clock
        self._open_sender = open_sender

    def new_flow(self, flow_id: str) -> FlowLanes:
        """A flow that is routed at the next `follow_catalog`."""
        return FlowLanes(flow_id, Unknown(self._clock()))

    def follow_catalog(self, backlog: Backlog) -> None:
        """Route every flow by what the catalog says now; waiting lanes change over at once, lanes in flight when they
        return.
        """
        changed = [self._follow(flow, backlog) for flow in backlog.flows.values()]
        if any(changed):
            self._retire_unused(backlog.flows.values())

    def routes(self, flows: Iterable[FlowLanes]) -> Iterator[Route]:
        """Every route in use."""
        yield from {id(flow.route): flow.route for flow in flows}.values()

    def all_senders(self) -> list[Sender]:
        """Every sender that may have calls in flight."""
        return [*self.senders.values(), *self._retired]

    def ended(self, sender: Sender) -> None:
        """A sender's `run` is over."""
        if sender in self._retired:
            self._retired.remove(sender)

    def retire_all(self) -> None:
        """Begin no more calls anywhere."""
        for sender in self.senders.values():
            sender.retire()

    def _follow(self, flow: FlowLanes, backlog: Backlog) -> bool:
        """Whether the flow's route changed."""
        found = self._destinations.destination(flow.id)
        if found is None:
            return self._follow_absence(flow, backlog)
        if found is flow.destination:
            return False
        if found == flow.destination:
            flow.destination = found  # the same, said anew: next time a glance is enough
            return False
        flow.change_route(self._sender(found), found)
        return True

    def _follow_absence(self, flow: FlowLanes, backlog: Backlog) -> bool:
        route = flow.route
        if isinstance(route, Deleted) or (
            isinstance(route, Unknown) and self._clock() < route.since + self._unknown_flow_seconds
        ):
            return False
        flow.change_route(Deleted(backlog.condemn_all), None)
        return True

    def _sender(self, destination: Destination) -> Sender:
        if destination not in self.senders:
            self.senders[destination] = self._open_sender(destination)
        return self.senders[destination]

    def _retire_unused(self, flows: Iterable[FlowLanes]) -> None:
        used = {id(flow.route) for flow in flows}
        for destination, sender in list(self.senders.items()):
            if id(sender) not in used:
                del self.senders[destination]
                self._retired.append(sender)
                sender.retire()
