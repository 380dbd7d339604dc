"""Flows whose destination is unavailable (paused, failing, or silent to a call), and for how long.

Looks, and changes nothing.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes, RouteState
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.intervals import count_at_rest
from processor.delivery.parking.parked_flow import ParkedFlow

FAILING_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 2.0
"""The seconds that suffice with half of the buffer taken: one call may fail, or take its time, by chance."""


class UnavailableFlow(NamedTuple):
    """A flow, and for how many seconds no call of its destination was answered.

    `is_certain`: a call failed, so it is not only a slow one.
    """

    flow: FlowLanes
    reason: PauseReason | None
    seconds: float
    is_certain: bool


def find_unavailable(backlog: Backlog, now: float) -> Iterator[UnavailableFlow]:
    """Yield the flows whose destination is unavailable; `now` is by the sink's clock."""
    for flow in list(backlog.flows.values()):
        state = flow.route.state()
        since = state.silent_since if state.unavailable_since is None else state.unavailable_since
        if since is not None:
            yield UnavailableFlow(flow, state.paused, now - since, state.unavailable_since is not None)


def most_to_probe(state: RouteState, limits: DeliveryLimits) -> int:
    """Return how many records of a flow and partition may be in memory while its destination is unavailable.

    One that rejects whatever it is sent is tried with one after the other, and nobody knows behind how many that are
    bad a good one waits.
    """
    return (
        max(limits.probe_records, limits.max_buffered_records // 20)
        if state.rejects_everything
        else limits.probe_records
    )


def must_leave_memory(found: UnavailableFlow, backlog: Backlog, limits: DeliveryLimits) -> bool:
    """Return whether the flow's records make others wait, or will soon."""
    if found.seconds >= limits.park_after_seconds:
        return True
    seconds = FAILING_SECONDS if found.is_certain else SILENT_SECONDS
    return backlog.live.is_half_full() and (found.reason is not None or found.seconds >= seconds)


def needs_new_interval(found: UnavailableFlow, parked: ParkedFlow | None, limits: DeliveryLimits) -> bool:
    """Return whether a flow is not parked, or has come to hold memory that others need to catch up.

    It holds what was read, or came back from calls.
    """
    if parked is None or parked.until is not None:
        return True
    most = most_to_probe(found.flow.route.state(), limits)
    is_late = found.seconds >= limits.park_after_seconds
    return is_late and parked.outstanding > most and count_at_rest(found.flow, parked) > most
