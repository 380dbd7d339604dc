"""The routes of flows that the catalog does not name: wait a moment, or become dead letters (G9)."""

from collections.abc import Callable

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.lanes import FlowLanes, Lane, RouteState
from schemas.dead_letter import DeadLetterReason

DeadLetterLane = Callable[[Lane, DeadLetterReason, str], None]
"""Makes all records of a lane dead letters, with a reason and an explanation."""


class Unknown:
    """Holds the lanes of one flow that was never in the catalog: another worker may have learned of it earlier."""

    def __init__(self, since: float) -> None:
        self.since = since
        self._lanes: list[Lane] = []

    def add(self, lane: Lane) -> None:
        """Have the lane wait for its flow."""
        self._lanes.append(lane)

    def remove(self, flow: FlowLanes) -> list[Lane]:
        """Give back the lanes of a flow."""
        taken = [lane for lane in self._lanes if lane.flow is flow]
        self._lanes = [lane for lane in self._lanes if lane.flow is not flow]
        return taken

    def drop_emptied(self) -> None:
        """Forget lanes whose records were all taken away."""
        self._lanes = [lane for lane in self._lanes if not lane.emptied]

    def state(self) -> RouteState:
        """Return that the flow waits, as a paused one does."""
        return (
            RouteState(PauseReason.FLOW_UNKNOWN, "the catalog does not name this flow") if self._lanes else RouteState()
        )


class Deleted:
    """Makes dead letters of every lane that comes: its flow is gone."""

    def __init__(self, dead_letter_lane: DeadLetterLane) -> None:
        self._dead_letter_lane = dead_letter_lane

    def add(self, lane: Lane) -> None:
        """Make all records of the lane dead letters."""
        self._dead_letter_lane(lane, DeadLetterReason.FLOW_DELETED, f"there is no flow {lane.flow.id}")

    def remove(self, flow: FlowLanes) -> list[Lane]:  # noqa: ARG002  # a Route's signature
        """Give back nothing: no lane waits here."""
        return []

    def drop_emptied(self) -> None:
        """Forget nothing: no lane waits here."""

    def state(self) -> RouteState:
        """Return that all is well."""
        return RouteState()
