"""Sum up what `status` shows, from what Kafka knows and what the workers report. Pure.

    worker-status ─► WorkerStatus ┐
    flows ─────────► Flow ────────┼─► Overview ─► JSON, tables
    group lag ────────────────────┤
    delivery-positions ► rows ────┤
    dead-letters ──► DeadLetterCounts

Counts are of all workers that the topic names; each counts since its own start. Dead letters are counted besides as the
topic holds them. What is so *now* (owners, waiting, paused) is of the workers that live: neither stopped nor silent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from processor.cli.views.flow_totals import FlowTotals, ReportingWorker, sum_flows
from processor.core.misplaced import NAMES, remedy_of_misplaced, tell_misplaced
from processor.dead_letters.counts import DeadLetterCounts
from schemas.flow import Flow
from schemas.parked_flow import ParkedFlowRow
from schemas.times import parse_time
from schemas.worker_status import REPORT_SECONDS, PartitionStatus, WorkerStatus

SILENT_SECONDS: Final = 3 * REPORT_SECONDS
DELETED: Final = "(deleted flows)"
"""In place of an id, which has no such characters: all flows together that workers reported once, and are gone."""


@dataclass(frozen=True, slots=True)
class Lag:
    """The group's lag in one partition of a topic, in offsets; `committed` is None before the first commit."""

    committed: int | None
    start: int
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of profile-events and of exports; what only its owner knows is None where nobody owns it."""

    number: int
    owner: str | None
    owned: PartitionStatus | None
    profile_events: Lag | None
    exports: Lag | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All that `status` knows; `problems` are what could not be read, or is not as it should be, in words."""

    workers: Sequence[ReportingWorker]
    partitions: Sequence[Partition]
    flows: Sequence[FlowTotals]
    events: int
    events_skipped: Counter[str]
    dead_letters: Counter[str]
    problems: Sequence[str]
    dead_letter_counts: DeadLetterCounts
    deleted_flows: FlowTotals
    misplaced: int
    misplaced_fitting: Counter[str]

    @property
    def rows(self) -> int:
        """Count the profiles in the partitions that have an owner."""
        return sum(partition.owned.rows for partition in self.partitions if partition.owned is not None)

    @property
    def lag_of_events(self) -> int:
        """Count the profile events that the group has not committed."""
        return sum(
            partition.profile_events.lag for partition in self.partitions if partition.profile_events is not None
        )

    @property
    def lag_of_exports(self) -> int:
        """Count the records on `exports` that are not acknowledged."""
        return sum(partition.exports.lag for partition in self.partitions if partition.exports is not None)


def build_overview(
    statuses: Iterable[WorkerStatus],
    flows: Mapping[str, Flow],
    lags: Mapping[str, Mapping[int, Lag]],
    dead_letter_counts: DeadLetterCounts,
    parked: Iterable[ParkedFlowRow],
    problems: Sequence[str],
    now: datetime,
) -> Overview:
    """Sum everything; `lags` by "profile-events" and "exports" and partition, `parked` as on the topic."""
    statuses = sorted(statuses, key=lambda status: status.name)
    workers = [ReportingWorker(status, _silence(status, now)) for status in statuses]
    totals, deleted = sum_flows(workers, flows, parked), FlowTotals(DELETED, None)
    for worker in workers:
        deleted.add(worker.status.deleted_flows, lives=worker.lives)
    dead_lettered = [flow.dead_lettered for flow in (*totals, deleted)]
    return Overview(
        workers=workers,
        partitions=_partitions(workers, lags),
        flows=totals,
        events=sum(status.events for status in statuses),
        events_skipped=_sum(status.events_skipped for status in statuses),
        dead_letters=_sum([*(status.dead_letters for status in statuses), *dead_lettered]),
        problems=[*problems, *_left_out(statuses), *_misplaced(statuses)],
        dead_letter_counts=dead_letter_counts,
        deleted_flows=deleted,
        misplaced=sum(status.misplaced for status in statuses),
        misplaced_fitting=_sum(status.misplaced_fitting for status in statuses),
    )


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


def _misplaced(statuses: Sequence[WorkerStatus]) -> Iterator[str]:
    """Explain events that are elsewhere than their keys belong, and the remedy, for each PARTITIONER."""
    for partitioner in NAMES:
        reports = [status for status in statuses if status.misplaced and status.partitioner is partitioner]
        if events := sum(status.misplaced for status in reports):
            fitting = _sum(status.misplaced_fitting for status in reports)
            yield f"{tell_misplaced(partitioner, events)}; {remedy_of_misplaced(partitioner, events, fitting)}"


def _left_out(statuses: Sequence[WorkerStatus]) -> Iterator[str]:
    for status in statuses:
        if status.left_out:
            yield f"worker {status.name} knows of too many flows: {status.left_out} are counted with the deleted ones"


def _silence(status: WorkerStatus, now: datetime) -> int:
    seconds = int(now.timestamp()) - parse_time(status.time)
    return seconds if status.state != "stopped" and seconds > SILENT_SECONDS else 0


def _partitions(workers: Iterable[ReportingWorker], lags: Mapping[str, Mapping[int, Lag]]) -> list[Partition]:
    owners: dict[int, tuple[str, PartitionStatus]] = {}
    for worker in sorted((worker for worker in workers if worker.lives), key=lambda worker: worker.status.time):
        # the later report wins
        owners |= {owned.partition: (worker.status.name, owned) for owned in worker.status.partitions}
    events, exports = lags["profile-events"], lags["exports"]
    numbers = sorted({*events, *exports, *owners})
    return [_partition(number, owners.get(number), events.get(number), exports.get(number)) for number in numbers]


def _partition(
    number: int, owner: tuple[str, PartitionStatus] | None, events: Lag | None, exports: Lag | None
) -> Partition:
    return Partition(number, owner[0] if owner else None, owner[1] if owner else None, events, exports)
