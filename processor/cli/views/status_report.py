"""What `status` shows, put together from what Kafka knows and what the workers say of themselves. Pure.

    worker-status ─► WorkerStatus ┐
    flows ─────────► Flow ────────┼─► Overview ─► JSON, tables
    group lag ────────────────────┤
    delivery-positions ► rows ────┤
    dead-letters ──► DeadLetterCounts ───────┘

Counts are of all workers that the topic names; each counts since its own start. Dead letters are counted besides as the
topic holds them. What is so *now* (owners, waiting, paused) is of the workers that live: neither stopped nor silent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from processor.core.misplaced import NAMES, remedy_of_misplaced, tell_misplaced
from processor.dead_letters.counts import DeadLetterCounts
from schemas.flow import Flow
from schemas.parked_flow import ParkedFlowRow
from schemas.times import format_time, parse_time
from schemas.worker_status import REPORT_SECONDS, FlowStatus, PartitionStatus, WaitStatus, WorkerStatus

SILENT_SECONDS: Final = 3 * REPORT_SECONDS
DELETED: Final = "(deleted flows)"
"""In place of an id, which has no such characters: all flows together that workers told of once, and that are gone."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Where the group stands in one partition of a topic: offsets; `committed` None before its first commit."""

    committed: int | None
    start: int
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, and for how many seconds it has said nothing (0: it lives, or said that it stopped)."""

    status: WorkerStatus
    silent_seconds: int

    @property
    def lives(self) -> bool:
        """Whether it is at work."""
        return self.status.state != "stopped" and not self.silent_seconds

    @property
    def waiting(self) -> Sequence[WaitStatus]:
        """What it waits for now."""
        return self.status.waiting if self.lives else ()


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of profile-events and of exports; what only its owner knows is None where nobody owns it."""

    number: int
    owner: str | None
    owned: PartitionStatus | None
    profile_events: Lag | None
    exports: Lag | None


@dataclass(slots=True)
class FlowTotals:
    """One flow, summed over workers; `flow` is None where workers speak of one that is no longer there."""

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
        """Count what one worker says."""
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
            self._note_pause(status.paused, status.paused_since, status.oldest_waiting)
            self.next_probe = _earliest(self.next_probe, status.next_probe)

    def add_parked(self, row: ParkedFlowRow) -> None:
        """Count what a row says that nobody owns."""
        self.waiting += row.waiting
        self.parked += row.waiting
        self.gone += row.gone
        oldest = None if row.oldest is None or not row.waiting else format_time(row.oldest // 1000)
        self._note_pause(row.reason, row.since, oldest)

    def _note_pause(self, reason: str | None, since: str | None, oldest: str | None) -> None:
        if reason is not None and reason not in self.paused:
            self.paused.append(reason)
        self.paused_since = _earliest(self.paused_since, since)
        self.oldest_waiting = _earliest(self.oldest_waiting, oldest)


@dataclass(frozen=True, slots=True)
class Overview:
    """All that `status` knows. `problems` are what could not be read, or is not as it should be, in words."""

    workers: Sequence[Worker]
    partitions: Sequence[Partition]
    flows: Sequence[FlowTotals]
    events: int
    events_skipped: Counter[str]
    dead_letters: Counter[str]
    problems: Sequence[str]
    letters: DeadLetterCounts
    deleted_flows: FlowTotals
    misplaced: int
    misplaced_fitting: Counter[str]

    @property
    def rows(self) -> int:
        """Profiles in the partitions that have an owner."""
        return sum(partition.owned.rows for partition in self.partitions if partition.owned is not None)

    @property
    def lag_of_events(self) -> int:
        """Profile events that the group has not committed."""
        return sum(
            partition.profile_events.lag for partition in self.partitions if partition.profile_events is not None
        )

    @property
    def lag_of_exports(self) -> int:
        """Records on `exports` that are not acknowledged."""
        return sum(partition.exports.lag for partition in self.partitions if partition.exports is not None)


def overview(
    statuses: Iterable[WorkerStatus],
    flows: Mapping[str, Flow],
    lags: Mapping[str, Mapping[int, Lag]],
    letters: DeadLetterCounts,
    parked: Iterable[ParkedFlowRow],
    problems: Sequence[str],
    now: datetime,
) -> Overview:
    """Everything summed. `lags` by "profile-events" and "exports" and partition; `parked` as on the topic."""
    workers = [Worker(status, _silence(status, now)) for status in sorted(statuses, key=lambda status: status.name)]
    totals = _flow_totals(workers, flows, parked)
    dead_letters: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for worker in workers:
        dead_letters.update(worker.status.dead_letters)
        skipped.update(worker.status.events_skipped)
    deleted = FlowTotals(DELETED, None)
    for worker in workers:
        deleted.add(worker.status.deleted_flows, lives=worker.lives)
    for flow in (*totals, deleted):
        dead_letters.update(flow.dead_lettered)
    events = sum(worker.status.events for worker in workers)
    problems = [
        *problems,
        *map(_left_out, (worker for worker in workers if worker.status.left_out)),
        *_misplaced(workers),
    ]
    misplaced, fitting = sum(worker.status.misplaced for worker in workers), Counter[str]()
    for worker in workers:
        fitting.update(worker.status.misplaced_fitting)
    return Overview(
        workers,
        _partitions(workers, lags),
        totals,
        events,
        skipped,
        dead_letters,
        problems,
        letters,
        deleted,
        misplaced,
        fitting,
    )


def _misplaced(workers: Sequence[Worker]) -> Iterator[str]:
    """What workers say of events that are elsewhere than their keys belong, and what would mend it; those with one
    PARTITIONER together.
    """
    for partitioner in NAMES:
        told = [
            worker.status for worker in workers if worker.status.misplaced and worker.status.partitioner is partitioner
        ]
        fitting = sum((Counter(status.misplaced_fitting) for status in told), Counter[str]())
        if events := sum(status.misplaced for status in told):
            yield f"{tell_misplaced(partitioner, events)}; {remedy_of_misplaced(partitioner, events, fitting)}"


def _left_out(worker: Worker) -> str:
    status = worker.status
    return f"worker {status.name} knows of too many flows: {status.left_out} are counted with the deleted ones"


def _earliest(*times: str | None) -> str | None:
    """Of times in the form of C8, which sort as text."""
    return min((time for time in times if time is not None), default=None)


def _silence(status: WorkerStatus, now: datetime) -> int:
    seconds = int(now.timestamp()) - parse_time(status.time)
    return seconds if status.state != "stopped" and seconds > SILENT_SECONDS else 0


def _flow_totals(
    workers: Sequence[Worker], flows: Mapping[str, Flow], parked: Iterable[ParkedFlowRow]
) -> list[FlowTotals]:
    """A row of a partition whose owner lives, and knows the flow, is in the owner's own words already."""
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


def _partitions(workers: Iterable[Worker], lags: Mapping[str, Mapping[int, Lag]]) -> list[Partition]:
    owners: dict[int, tuple[str, PartitionStatus]] = {}
    for worker in sorted((worker for worker in workers if worker.lives), key=lambda worker: worker.status.time):
        owners |= {
            owned.partition: (worker.status.name, owned) for owned in worker.status.partitions
        }  # the later word wins
    events, exports = lags["profile-events"], lags["exports"]
    numbers = sorted({*events, *exports, *owners})
    return [_partition(number, owners.get(number), events.get(number), exports.get(number)) for number in numbers]


def _partition(
    number: int, owner: tuple[str, PartitionStatus] | None, events: Lag | None, exports: Lag | None
) -> Partition:
    return Partition(number, owner[0] if owner else None, owner[1] if owner else None, events, exports)
