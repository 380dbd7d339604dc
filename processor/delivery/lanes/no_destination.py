"""The routes of flows that the catalog does not name: wait a moment, or become dead letters (contract G9)."""

from collections.abc import Callable

from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.lanes import FlowLanes, Lane, RouteState
from schemas.dead_letter import DeadLetterReason

Condemn = Callable[[Lane, DeadLetterReason, str], None]


class Unknown:
    """Holds the lanes of one flow that was never in the catalog: another worker may have learned of it a moment
    earlier.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self._lanes: list[Lane] = []

    def add(self, lane: Lane) -> None:
        """The lane waits for its flow."""
        self._lanes.append(lane)

    def remove(self, flow: FlowLanes) -> list[Lane]:
        """Give up the lanes of a flow."""
        taken = [lane for lane in self._lanes if lane.flow is flow]
        self._lanes = [lane for lane in self._lanes if lane.flow is not flow]
        return taken

    def drop_emptied(self) -> None:
        """Forget lanes whose records were all taken away."""
        self._lanes = [lane for lane in self._lanes if not lane.emptied]

    def state(self) -> RouteState:
        """It waits, as a paused flow does."""
        return (
            RouteState(PauseReason.FLOW_UNKNOWN, "the catalog does not name this flow") if self._lanes else RouteState()
        )


class Deleted:
    """Condemns every lane that comes: its flow is gone."""

    def __init__(self, condemn_all: Condemn) -> None:
        self._condemn_all = condemn_all

    def add(self, lane: Lane) -> None:
        """All records of the lane become dead letters."""
        self._condemn_all(lane, DeadLetterReason.FLOW_DELETED, f"there is no flow {lane.flow.id}")

    def remove(self, flow: FlowLanes) -> list[Lane]:  # noqa: ARG002  # a Route's signature
        """Nothing waits here."""
        return []

    def drop_emptied(self) -> None:
        """Nothing waits here."""

    def state(self) -> RouteState:
        """All is well."""
        return RouteState()
