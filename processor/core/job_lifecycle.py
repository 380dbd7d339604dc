"""Tell which jobs begin, wait, go on or end with a change of a flow (E1, E3, F1, F2).

Pure.

    created, or an audience mapped     backfill of what is newly mapped; it waits while the flow is disabled
    un-mapped                          that audience is dropped from jobs; with `emitExitOnUnmap` an unmap job
    disabled                           a catchup job begins to track what the flow misses
    enabled                            what waited starts; the catchup is done, or cancelled with `onResume: skip`
    deleted                            every job is cancelled; with `emitExitOnUnmap` an unmap job

Attributes and options start nothing (E3). What workers have done of a job is not known here, and need not be: one that
is done stays done, whatever is said of it later.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from schemas.audience import AudienceKey
from schemas.flow import Flow
from schemas.job import Job, JobAudience, JobKind

Item = TypeVar("Item", Job, JobAudience)
NewId = Callable[[JobKind], str]


class Moment(NamedTuple):
    """The time of a change, in the form of C8, and the maker of names for the jobs that it starts."""

    now: str
    new_id: NewId


def jobs_after(before: Flow | None, after: Flow | None, jobs: Iterable[Job], moment: Moment) -> list[Job]:
    """Return the jobs of this flow that are new or different after the change. Home of E3 and F2.

    `jobs`: those there are, of any flow.
    """
    flow = after or before
    assert flow is not None
    known = {job.id: job for job in jobs if job.flow == flow.id and job.cancelled_at is None}
    after_jobs = dict(known)
    for change in (_mapping, _state):
        for job in change(before, after, after_jobs, moment):
            after_jobs[job.id] = job
    return [job for job_id, job in after_jobs.items() if known.get(job_id) != job]


def _mapping(before: Flow | None, after: Flow | None, jobs: Mapping[str, Job], moment: Moment) -> Iterable[Job]:
    was, now = _mapped(before), _mapped(after)
    new, gone = [key for key in now if key not in was], [key for key in was if key not in now]
    for job in jobs.values():
        dropped = gone if job.kind is not JobKind.UNMAP else new
        if after is not None or job.kind is JobKind.UNMAP:
            yield _without(job, dropped, moment)
    if after is not None and new:
        yield _job(JobKind.BACKFILL, after, new, moment, started=after.enabled)
    said = after or before
    if gone and said is not None and said.options.emit_exit_on_unmap and before is not None and before.enabled:
        yield _job(JobKind.UNMAP, said, gone, moment, started=True)


def _state(before: Flow | None, after: Flow | None, jobs: Mapping[str, Job], moment: Moment) -> Iterable[Job]:
    if before is None:
        return []
    if after is None:
        exits = before.options.emit_exit_on_unmap
        return [
            _with(job, cancelled_at=moment.now) for job in jobs.values() if not (exits and job.kind is JobKind.UNMAP)
        ]
    if before.enabled == after.enabled:
        return []
    if after.enabled:
        return [_resumed(job, after, moment) for job in jobs.values() if job.started_at is None]
    before_it = [job for job in jobs.values() if job.kind is JobKind.CATCHUP]
    first = next((job.missed_id for job in before_it), None)  # there is one at most: each is superseded by the next
    catchup = _with(_job(JobKind.CATCHUP, after, [], moment, started=False), first_catchup=first)
    return [*(_with(job, cancelled_at=moment.now) for job in before_it), catchup]


def _resumed(job: Job, flow: Flow, moment: Moment) -> Job:
    if job.kind is JobKind.CATCHUP and flow.options.on_resume == "skip":
        return _with(job, cancelled_at=moment.now)
    return _with(job, started_at=moment.now)


def _without(job: Job, gone: Iterable[AudienceKey], moment: Moment) -> Job:
    """Return the job with these audiences dropped; cancelled where none is left."""
    dropped = set(gone)
    if job.kind is JobKind.CATCHUP or dropped.isdisjoint(job.wanted):
        return job
    audiences = tuple(
        _with(each, dropped_at=moment.now) if each.dropped_at is None and each.key in dropped else each
        for each in job.audiences
    )
    left = any(each.dropped_at is None for each in audiences)
    return _with(job, audiences=audiences, cancelled_at=None if left else moment.now)


def _job(kind: JobKind, flow: Flow, keys: Iterable[AudienceKey], moment: Moment, *, started: bool) -> Job:
    audiences = tuple(JobAudience(namespace=namespace, id=audience) for namespace, audience in keys)
    job = Job(id=moment.new_id(kind), kind=kind, flow=flow.id, audiences=audiences, created_at=moment.now)
    return _with(job, started_at=moment.now) if started else job


def _mapped(flow: Flow | None) -> dict[AudienceKey, None]:
    return {} if flow is None else {mapping.key: None for mapping in flow.audiences}


def _with(item: Item, **changes: object) -> Item:
    return item.model_copy(update=changes)
