"""Describe jobs as people read them: as lines, in a table, one whole."""

from collections.abc import Iterable, Sequence
from typing import Final

import click

from processor.cli.views.tables import Table
from processor.control.job_status import JobStatus
from schemas.job import Job, JobAudience, JobKind

_SHOWN_AUDIENCES: Final = 5


def print_jobs(jobs: Iterable[Job]) -> None:
    """Print a line for each job that a change made or started."""
    for job in jobs:
        click.echo(describe_job(job))


def describe_job(job: Job) -> str:
    """Describe what becomes of a job now."""
    name = f"{job.kind} {job.id} of flow {job.flow}"
    if job.kind is JobKind.CATCHUP:
        return f"{name} {_catchup(job)}"
    audiences = _named([each for each in job.audiences if each.dropped_at is None] or job.audiences)
    if job.cancelled_at is not None:
        return f"{name} is cancelled: {audiences}"
    return f"{name} {'waits until the flow is enabled' if job.started_at is None else 'starts'}: {audiences}"


def jobs_table(statuses: Iterable[JobStatus]) -> Table:
    """Return a table of jobs, in the order given."""
    columns = [
        "job",
        "kind",
        "flow",
        "audiences",
        "state",
        "exported",
        "skipped",
        "to go",
        "partitions",
        "ordered",
        "waits",
    ]
    return Table(
        "jobs",
        columns,
        [_row(status) for status in statuses],
        "none; mapping an audience, or `profile-exporter resend start`, begins one",
    )


def job_details(status: JobStatus) -> list[str]:
    """Return a line for each thing that is known of a job."""
    counts, rate, partitions = status.counts, status.rate, status.partitions
    by = f", by {status.requested_by}" if status.requested_by is not None else ", by a change of the flow"
    lines = {
        "job": f"{status.kind} {status.id}",
        "flow": status.flow,
        "audiences": _named(status.audiences),
        "state": status.state.value,
        "waits": status.reason,
        "profiles": f"{counts.seen:,} seen, {counts.exported:,} exported, {_count(counts.to_go)} to go",
        "skipped": ", ".join(f"{count:,} {reason}" for reason, count in counts.skipped.items()),
        "partitions": f"{partitions.done} of {partitions.total} done, {partitions.begun} begun",
        "rate": ""
        if rate.records_per_second is None
        else f"{rate.records_per_second:,} records a second, {rate.profiles_per_second:,} profiles",
        "bound": "" if status.records_per_second is None else f"{status.records_per_second:,} records a second",
        "ordered": f"{status.created_at}{by}",
        "started": status.started_at,
        "begun": status.begun_at,
        "ends about": status.estimated_end,
        "ended": status.ended_at,
    }
    return [f"{name:12}{text}" for name, text in lines.items() if text]


def describe_progress(status: JobStatus) -> str:
    """Describe how far a job is."""
    counts = status.counts
    waits = f"; waits: {status.reason}" if status.reason is not None else ""
    done = f"{counts.seen:,} profiles seen, {counts.exported:,} exported, {_count(counts.to_go)} to go"
    return f"{status.kind} {status.id} of flow {status.flow}: {status.state}, {done}{waits}"


def _catchup(job: Job) -> str:
    if job.cancelled_at is not None:
        return "is cancelled: what the flow missed is not caught up"
    return "begins to note what the flow misses" if job.started_at is None else "starts: what the flow missed"


def _row(status: JobStatus) -> list[str]:
    counts = status.counts
    return [
        status.id,
        status.kind.value,
        status.flow,
        _named(status.audiences),
        status.state.value,
        f"{counts.exported:,}",
        f"{sum(counts.skipped.values()):,}",
        _count(counts.to_go),
        f"{status.partitions.done}/{status.partitions.total}",
        status.created_at,
        status.reason or "",
    ]


def _named(audiences: Sequence[JobAudience]) -> str:
    names = [
        "/".join(each.key) + (" (dropped)" if each.dropped_at is not None else "")
        for each in audiences[:_SHOWN_AUDIENCES]
    ]
    return ", ".join(names) + (f", … ({len(audiences)})" if len(audiences) > _SHOWN_AUDIENCES else "")


def _count(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
