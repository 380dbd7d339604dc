"""Sum what workers report, a flow at a time. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.flow import Flow
from schemas.parked_flow import ParkedFlowRow
from schemas.times import format_time
from schemas.worker_status import FlowStatus, WaitStatus, WorkerStatus


@dataclass(frozen=True, slots=True)
class ReportingWorker:
    """A worker, and for how many seconds it has been silent (0: it lives, or has reported that it stopped)."""

    status: WorkerStatus
    silent_seconds: int

    @property
    def lives(self) -> bool:
        """Return whether the worker is at work."""
        return self.status.state != "stopped" and not self.silent_seconds

    @property
    def waiting(self) -> Sequence[WaitStatus]:
        """Return what the worker waits for now."""
        return self.status.waiting if self.lives else ()


@dataclass(slots=True)
class FlowTotals:
    """A flow, summed over workers; `flow` is None where workers report one that is no longer there."""

    id: str
    flow: Flow | None
    decided: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    dead_lettered: Counter[str] = field(default_factory=Counter)
    out_of_order: Counter[str] = field(default_factory=Counter)
    exported: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    retried: int = 0
    throttled: int = 0
    waiting: int = 0
    parked: int = 0
    paused: list[str] = field(default_factory=list)
    paused_since: str | None = None
    next_probe: str | None = None
    oldest_waiting: str | None = None
    gone: int = 0

    def add(self, status: FlowStatus, *, lives: bool) -> None:
        """Add what one worker reports."""
        self.decided.update(status.decided)
        self.skipped.update(status.skipped)
        self.dead_lettered.update(status.dead_lettered)
        self.out_of_order.update(status.out_of_order)
        self.exported += status.exported
        self.delivered += status.delivered
        self.delivered_bytes += status.delivered_bytes
        self.retried += status.retried
        self.throttled += status.throttled
        self.gone += status.gone
        if lives:
            self.waiting += status.waiting
            self.parked += status.parked
            self._add_pause(status.paused, status.paused_since, status.oldest_waiting)
            self.next_probe = _earliest(self.next_probe, status.next_probe)

    def add_parked(self, row: ParkedFlowRow) -> None:
        """Add a row of a partition that nobody owns."""
        self.waiting += row.waiting
        self.parked += row.waiting
        self.gone += row.gone
        oldest = None if row.oldest is None or not row.waiting else format_time(row.oldest // 1000)
        self._add_pause(row.reason, row.since, oldest)

    def _add_pause(self, reason: str | None, since: str | None, oldest: str | None) -> None:
        if reason is not None and reason not in self.paused:
            self.paused.append(reason)
        self.paused_since = _earliest(self.paused_since, since)
        self.oldest_waiting = _earliest(self.oldest_waiting, oldest)


def sum_flows(
    workers: Sequence[ReportingWorker], flows: Mapping[str, Flow], parked: Iterable[ParkedFlowRow]
) -> list[FlowTotals]:
    """Sum the flows over workers and parked rows, by flow id.

    A row of a partition whose owner lives, and knows the flow, is in the owner's report already.
    """
    totals = {flow_id: FlowTotals(flow_id, flow) for flow_id, flow in flows.items()}
    known = {
        (owned.partition, flow)
        for worker in workers
        if worker.lives
        for owned in worker.status.partitions
        for flow in worker.status.flows
    }
    for row in parked:
        if (row.partition, row.flow) not in known:
            totals.setdefault(row.flow, FlowTotals(row.flow, None)).add_parked(row)
    for worker in workers:
        for flow_id, status in worker.status.flows.items():
            totals.setdefault(flow_id, FlowTotals(flow_id, None)).add(status, lives=worker.lives)
    return [totals[flow_id] for flow_id in sorted(totals)]


def _earliest(*times: str | None) -> str | None:
    """Return the earliest of times in the form of C8, which sort as text."""
    return min((time for time in times if time is not None), default=None)
