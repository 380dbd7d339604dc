"""Jobs that somebody orders, and cancels (E1, E4). What a change of a flow starts is in core/job_lifecycle.py.

order    backfill or resend: every profile realized in the audiences, one record each; once a day, unless forced
cancel   any job that has not ended
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import Field, field_validator

from processor.control.draft import Draft
from processor.control.job_status import JobsProgress, find_job_status
from processor.control.native import NoSuchFlow
from processor.foundation.errors import CommandError, UsageError
from schemas.audience import AudienceKey
from schemas.flow import Flow
from schemas.job import Job, JobAudience, JobKind, JobState
from schemas.model import Items, Model, Name, NamedModel
from schemas.times import plus_days

BY_HAND: Final = frozenset({JobKind.BACKFILL, JobKind.RESEND})
_DO_NOT_COUNT: Final = frozenset({JobState.CANCELLED, JobState.PARTIAL})  # of the daily limit
_SHOWN: Final = 5
_MOST_RECORDS_PER_SECOND: Final = 1_000_000_000


class OrderedAudience(Model):
    """An audience that an order names."""

    namespace: Name
    id: Name


class JobOrder(NamedModel):
    """An order of a job.

    `audiences`: none named is all that the flow maps; `force`: also where there was one today, or one is open.
    """

    kind: JobKind = Field(strict=False)
    flow: Name
    audiences: Annotated[tuple[OrderedAudience, ...], Items] = ()
    records_per_second: Annotated[int, Field(ge=1, le=_MOST_RECORDS_PER_SECOND)] | None = None
    force: bool = False

    @field_validator("kind")
    @classmethod
    def _by_hand(cls, kind: JobKind) -> JobKind:
        if kind not in BY_HAND:
            raise ValueError("is none of backfill, resend: the others begin by themselves when a flow changes")
        return kind


class NothingMapped(UsageError):
    """The flow of an order maps no audience, so nobody could be meant."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(f"flow {flow_id} maps no audience: map one first; mapping it exports who is in it")


class AudienceNotMapped(UsageError):
    """An order names an audience that its flow does not map: only who is in a mapped audience leaves."""

    def __init__(self, flow: Flow, key: AudienceKey) -> None:
        mapped = ["/".join(mapping.key) for mapping in flow.audiences]
        near = get_close_matches("/".join(key), mapped, n=1)
        more = ", …" if len(mapped) > _SHOWN else ""
        remedy = f"did you mean {near[0]}?" if near else f"it maps {', '.join(mapped[:_SHOWN])}{more}"
        super().__init__(f"flow {flow.id} does not map the audience {'/'.join(key)}; {remedy}")


class OneADay(CommandError):
    """An order comes within a day of the last one (E4). `allowed_at`: when the next one is allowed."""

    def __init__(self, order: JobOrder, key: AudienceKey, last: Job, force: str) -> None:
        self.allowed_at = plus_days(_when(last), 1)
        super().__init__(
            f"flow {order.flow} had a {last.kind} of audience {'/'.join(key)} at {_when(last)} ({last.id}): once a day"
            f" is allowed\n  the next is at {self.allowed_at}; {force} orders it all the same"
        )


class OneIsOpen(CommandError):
    """A job of the kind is about the audience already."""

    def __init__(self, key: AudienceKey, job: Job, force: str) -> None:
        begun = f"since {job.started_at}" if job.started_at is not None else "and waits until the flow is enabled"
        super().__init__(
            f"a {job.kind} of audience {'/'.join(key)} is open for flow {job.flow} {begun}: {job.id}\n"
            f"  wait until it ends, or cancel it; {force} orders another one all the same"
        )


class NoSuchJob(UsageError):
    """No job has this id; ended jobs are forgotten after 30 days."""

    def __init__(self, job_id: str, known: Iterable[str]) -> None:
        near = get_close_matches(job_id, known, n=1)
        super().__init__(
            f"there is no job {job_id}"
            + (f"; did you mean {near[0]}?" if near else ": ended ones are forgotten after 30 days")
        )


class JobHasEnded(CommandError):
    """A job has ended, so nothing is to cancel."""

    def __init__(self, job: Job, state: str, at: str | None) -> None:
        super().__init__(
            f"{job.kind} {job.id} of flow {job.flow} has ended{'' if at is None else f' at {at}'}: {state}; there is"
            " nothing to cancel"
        )


def order_job(draft: Draft, order: JobOrder, progress: JobsProgress, *, force: str = "force: true") -> Job:
    """Order a job: it starts at once, or when its flow is enabled. Home of E4.

    `force`: what says so, in the words of whoever asks. Raises NoSuchFlow, NothingMapped, AudienceNotMapped, OneADay,
    OneIsOpen.
    """
    flow = _flow(draft, order.flow)
    keys = _audiences(flow, order)
    if not order.force:
        _refuse(draft, order, keys, progress, force)
    job = Job(
        id=draft.new_job_id(),
        kind=order.kind,
        flow=flow.id,
        audiences=tuple(JobAudience(namespace=namespace, id=audience) for namespace, audience in keys),
        created_at=draft.now,
        started_at=draft.now if flow.enabled else None,
        requested_by=draft.author.who,
        records_per_second=order.records_per_second,
    )
    draft.put_job(job)
    return job


def cancel_job(draft: Draft, job_id: str, progress: JobsProgress) -> Job:
    """Cancel a job: what is decided already still leaves.

    Of a catchup, nothing is caught up. Raises NoSuchJob, JobHasEnded.
    """
    job = draft.state.jobs.get(job_id)
    if job is None:
        raise NoSuchJob(job_id, draft.state.jobs)
    stands = find_job_status(draft.state, progress, job, draft.now)
    if not stands.is_open:
        raise JobHasEnded(job, stands.state, stands.ended_at)
    cancelled = job.model_copy(update={"cancelled_at": draft.now})
    draft.put_job(cancelled, by_hand=True)
    return cancelled


def _flow(draft: Draft, flow_id: str) -> Flow:
    kept = draft.state.flows.get(flow_id)
    if kept is None:
        raise NoSuchFlow(flow_id, draft.state.flows)
    return kept.item


def _audiences(flow: Flow, order: JobOrder) -> list[AudienceKey]:
    mapped = {mapping.key: None for mapping in flow.audiences}
    if not mapped:
        raise NothingMapped(flow.id)
    wanted = list(dict.fromkeys((each.namespace, each.id) for each in order.audiences))
    for key in wanted:
        if key not in mapped:
            raise AudienceNotMapped(flow, key)
    return wanted or list(mapped)


def _refuse(draft: Draft, order: JobOrder, keys: Collection[AudienceKey], progress: JobsProgress, force: str) -> None:
    jobs = sorted((job for job in draft.state.jobs.values() if job.flow == order.flow), key=_when, reverse=True)
    stands = {job.id: find_job_status(draft.state, progress, job, draft.now) for job in jobs}
    for key in keys:
        for job in jobs:
            if job.kind is order.kind and key in job.wanted and stands[job.id].is_open:
                raise OneIsOpen(key, job, force)
        for job in jobs:
            has_sent = (
                job.kind in BY_HAND and job.requested_by is not None and stands[job.id].state not in _DO_NOT_COUNT
            )
            if (
                has_sent
                and draft.now < plus_days(_when(job), 1)
                and key in {audience.key for audience in job.audiences}
            ):
                raise OneADay(order, key, job, force)


def _when(job: Job) -> str:
    """Return when a job was sent: it may have waited."""
    return job.started_at or job.created_at
