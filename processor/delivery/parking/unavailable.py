"""Whose destination is stuck: paused, failing, or silent to a call; and for how long. Looks, and changes nothing."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from processor.delivery.kinesis.responses import PauseReason
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.lanes import FlowLanes, RouteState
from processor.delivery.limits import DeliveryLimits

FAILING_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 2.0
"""With half of the buffer taken it need not last longer: one call may fail, or take its time, by chance."""


class Stuck(NamedTuple):
    """A flow, and for how many seconds nothing was answered.

    `is_certain`: a call failed, so it is not only a slow one.
    """

    flow: FlowLanes
    reason: PauseReason | None
    seconds: float
    is_certain: bool


def stuck_flows(backlog: Backlog, now: float) -> Iterator[Stuck]:
    """`now` by the sink's clock."""
    for flow in list(backlog.flows.values()):
        state = flow.route.state()
        since = state.silent_since if state.stuck_since is None else state.stuck_since
        if since is not None:
            yield Stuck(flow, state.paused, now - since, state.stuck_since is not None)


def most_to_probe(state: RouteState, limits: DeliveryLimits) -> int:
    """How many records of a flow and partition may be in memory while its destination is stuck.

    One that rejects whatever it is sent is tried with one after the other, and nobody knows behind how many that are
    bad a good one waits.
    """
    return max(limits.probe_records, limits.max_buffered_records // 20) if state.takes_nothing else limits.probe_records


def must_leave_memory(stuck: Stuck, backlog: Backlog, limits: DeliveryLimits) -> bool:
    """Whether its records make others wait, or will soon."""
    if stuck.seconds >= limits.park_after_seconds:
        return True
    held = backlog.live
    is_half_full = 2 * held.records >= limits.max_buffered_records or 2 * held.size_bytes >= limits.max_buffered_bytes
    seconds = FAILING_SECONDS if stuck.is_certain else SILENT_SECONDS
    return is_half_full and (stuck.reason is not None or stuck.seconds >= seconds)
