"""The status of jobs: what was ordered, and what workers say of each partition, in one view (E1, E4). Pure.

    queued      nothing is sent yet: its flow is disabled, or no partition has begun it
    running     at least one partition has begun it
    succeeded   every partition is done
    cancelled   before anything of it was sent
    partial     cancelled when some of it was sent, or some partitions were done
    failed      reserved: none ends so today. What a destination does not take waits, or becomes a dead letter of its
                flow

A job whose flow is gone is cancelled. One that was done before somebody cancelled it remains done.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from processor.catalog.state import ControlState
from schemas.job import Job, JobAudience, JobKind, JobProgress, JobState, PartitionState
from schemas.model import NamedModel
from schemas.times import MAX_SECONDS, format_time, parse_time

OPEN: Final = frozenset({JobState.QUEUED, JobState.RUNNING})

ProgressByPartition = Mapping[int, JobProgress]
"""What workers say of one job, by partition."""


class FlowCondition(StrEnum):
    """The condition of a job's flow, as far as it concerns the job."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    LEAVING = "leaving"  # deleted; its last exits still leave (F2)
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class JobsProgress:
    """The progress of all jobs, as `job-progress` has it.

    `unreadable`: what is wrong with records that cannot be read.
    """

    by_job: Mapping[str, ProgressByPartition] = field(default_factory=dict)
    partitions: int = 1
    unreadable: tuple[str, ...] = ()


class JobCounts(NamedModel):
    """Counts of a job's profiles.

    `to_go`: those still to be looked at, of as many as there were at the beginning; None: not known, as of a catchup.
    """

    seen: int
    exported: int
    skipped: dict[str, int]
    to_go: int | None


class JobPartitions(NamedModel):
    """Numbers of partitions: those that have begun a job, that are done, and that there are."""

    done: int
    begun: int
    total: int


class JobRate(NamedModel):
    """The rate of a second of work, over all partitions, without what it waited for.

    None: it has not worked for a second.
    """

    records_per_second: float | None
    profiles_per_second: float | None


class JobStatus(NamedModel):
    """The status of one job, whole.

    `reason`: why it waits; `records_per_second`: its own bound; a time that is not known is None.
    """

    id: str
    kind: JobKind
    flow: str
    audiences: tuple[JobAudience, ...]
    state: JobState
    reason: str | None
    counts: JobCounts
    partitions: JobPartitions
    rate: JobRate
    estimated_end: str | None
    created_at: str
    started_at: str | None
    begun_at: str | None
    ended_at: str | None
    cancelled_at: str | None
    requested_by: str | None
    records_per_second: int | None

    @property
    def is_open(self) -> bool:
        """Return whether something of the job may still happen."""
        return self.state in OPEN

    def as_object(self) -> dict[str, Any]:
        """Return the status as JSON; what is not known is null."""
        return self.model_dump(mode="json", by_alias=True)


def find_flow_condition(state: ControlState, flow_id: str) -> FlowCondition:
    """Return the condition of a flow, by the flows there are."""
    kept = state.flows.get(flow_id)
    if kept is not None:
        return FlowCondition.ENABLED if kept.item.enabled else FlowCondition.DISABLED
    return FlowCondition.LEAVING if flow_id in state.leaving else FlowCondition.GONE


def list_job_statuses(state: ControlState, progress: JobsProgress, now: str) -> list[JobStatus]:
    """Return the status of all jobs, the newest first."""
    jobs = sorted(state.jobs.values(), key=lambda job: job.order, reverse=True)
    return [find_job_status(state, progress, job, now) for job in jobs]


def find_job_status(state: ControlState, progress: JobsProgress, job: Job, now: str) -> JobStatus:
    """Return the status of one job of a state."""
    flow, parts = find_flow_condition(state, job.flow), progress.by_job.get(job.id, {})
    waits = (
        not any(part.seen for part in parts.values())
        and _state(job, parts.values(), flow, progress.partitions) is JobState.RUNNING
    )
    return describe_job(
        job, parts, flow, progress.partitions, now, _find_older_job(state, progress, job, flow) if waits else None
    )


def _find_older_job(state: ControlState, progress: JobsProgress, job: Job, flow: FlowCondition) -> Job | None:
    """Return the first job of the same flow that is not done, where that is another.

    A flow's jobs are done one after the other, the oldest first.
    """
    before = [each for each in state.jobs.values() if each.flow == job.flow and each.order < job.order]
    running = [
        each
        for each in before
        if _state(each, progress.by_job.get(each.id, {}).values(), flow, progress.partitions) is JobState.RUNNING
    ]
    return min(running, key=lambda each: each.order, default=None)


def describe_job(
    job: Job, parts: ProgressByPartition, flow: FlowCondition, partitions: int, now: str, older: Job | None = None
) -> JobStatus:
    """Return the status of a job, of `partitions` there are.

    `now` in the form of C8. `older`: the job that it waits for.
    """
    reported = list(parts.values())
    state = _state(job, reported, flow, partitions)
    begun_at = min((part.begun_at for part in reported), default=None)
    ended_at = _ended_at(job, reported, state)
    reason = _reason(job, reported, flow, partitions, older) if state in OPEN else None
    counts = _counts(job, reported, state)
    rate = _rate(counts, max((part.worked_seconds for part in reported), default=0.0))
    done = sum(part.state is PartitionState.DONE for part in reported)
    sure = state is JobState.RUNNING and reason is None
    return JobStatus(
        id=job.id,
        kind=job.kind,
        flow=job.flow,
        audiences=job.audiences,
        state=state,
        reason=reason,
        counts=counts,
        partitions=JobPartitions(done=done, begun=len(reported), total=partitions),
        rate=rate,
        estimated_end=_estimated_end(counts, rate, now) if sure else None,
        created_at=job.created_at,
        started_at=job.started_at,
        begun_at=begun_at,
        ended_at=ended_at,
        cancelled_at=job.cancelled_at,
        requested_by=job.requested_by,
        records_per_second=job.records_per_second,
    )


def _state(job: Job, parts: Collection[JobProgress], flow: FlowCondition, partitions: int) -> JobState:
    done = sum(part.state is PartitionState.DONE for part in parts)
    if done >= partitions:
        return JobState.SUCCEEDED
    if job.cancelled_at is not None or flow is FlowCondition.GONE:
        return JobState.PARTIAL if done or any(part.exported for part in parts) else JobState.CANCELLED
    return JobState.QUEUED if job.started_at is None or not parts else JobState.RUNNING


def _ended_at(job: Job, parts: Iterable[JobProgress], state: JobState) -> str | None:
    if state is JobState.SUCCEEDED:
        return max(part.updated_at for part in parts)
    return None if state in OPEN else job.cancelled_at


def _reason(
    job: Job, parts: Collection[JobProgress], flow: FlowCondition, partitions: int, older: Job | None
) -> str | None:
    if job.started_at is None and job.kind is JobKind.CATCHUP:
        return f"flow {job.flow} is disabled: what it misses is noted, and sent when it is enabled"
    if job.started_at is None or flow is FlowCondition.DISABLED:
        return f"flow {job.flow} is disabled: it {'starts' if not parts else 'goes on'} when the flow is enabled"
    if not parts:
        return "no worker has begun it"
    reasons = sorted(
        {part.waiting for part in parts if part.waiting is not None and part.state is PartitionState.RUNNING}
    )
    if older is not None:
        reasons.append(f"{older.kind} {older.id} of flow {job.flow} goes first")
    missing = partitions - len(parts)
    if missing > 0:
        reasons.append(f"no worker has begun {missing} of {partitions} partitions")
    return "; ".join(reasons) or None


def _counts(job: Job, parts: Collection[JobProgress], state: JobState) -> JobCounts:
    skipped: dict[str, int] = {}
    for part in parts:
        for reason, count in part.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + count
    to_go: int | None = sum(max(0, part.total - part.seen) for part in parts if part.state is PartitionState.RUNNING)
    if state in OPEN and (not parts or job.kind is JobKind.CATCHUP):
        to_go = None
    seen, exported = sum(part.seen for part in parts), sum(part.exported for part in parts)
    return JobCounts(
        seen=seen, exported=exported, skipped=dict(sorted(skipped.items())), to_go=0 if state not in OPEN else to_go
    )


def _rate(counts: JobCounts, seconds: float) -> JobRate:
    """Return the rate; `seconds`: of the partition that has worked longest; they work beside each other."""
    if seconds < 1.0:
        return JobRate(records_per_second=None, profiles_per_second=None)
    return JobRate(
        records_per_second=round(counts.exported / seconds, 1), profiles_per_second=round(counts.seen / seconds, 1)
    )


def _estimated_end(counts: JobCounts, rate: JobRate, now: str) -> str | None:
    if counts.to_go is None or not rate.profiles_per_second:
        return None
    return format_time(min(MAX_SECONDS, parse_time(now) + round(counts.to_go / rate.profiles_per_second)))
