"""The calls of jobs, /v1/jobs, which Adobe does not have: list, order and cancel them (contract E1, E4)."""

from typing import Any

from fastapi import APIRouter, Response

from processor.api.calls import TheCall
from processor.api.errors import ApiError, Code, not_found
from processor.api.flow_service.bodies import checked
from processor.control import job_orders
from processor.control.job_status import JobStatus, find_job_status, list_job_statuses
from processor.control.native import NoSuchFlow
from processor.foundation.errors import CommandError
from schemas.job import JobKind, JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JsonObject = dict[str, Any]


@router.get("")
def list_jobs(
    call: TheCall, flow: str | None = None, kind: JobKind | None = None, state: JobState | None = None
) -> JsonObject:
    """List the jobs of the last 30 days, the newest first; only of a flow, a kind, a state, where one is named."""
    current, progress = call.state, call.services.jobs()
    found = [
        status.as_object()
        for status in list_job_statuses(current, progress, call.now)
        if flow in (None, status.flow) and kind in (None, status.kind) and state in (None, status.state)
    ]
    return {"items": found} | ({"warnings": list(progress.unreadable)} if progress.unreadable else {})


@router.get("/{job_id}")
def get_job(call: TheCall, job_id: str) -> JsonObject:
    """Show a job: its state, why it waits, counts, rates, times."""
    return _status(call, job_id).as_object()


@router.post("", status_code=201)
def order_job(call: TheCall, response: Response, body: JsonObject) -> JsonObject:
    """Order a backfill or a resend of some of the audiences that a flow maps, or of all; once a day, unless forced."""
    order, progress = checked(job_orders.JobOrder, body), call.services.jobs()
    try:
        job = call.change(lambda draft: job_orders.order_job(draft, order, progress))
    except NoSuchFlow as error:
        raise ApiError(Code.NOT_FOUND, str(error), kind="flows", object_id=order.flow) from None
    except job_orders.OneIsOpen as error:
        raise _refused(Code.JOB_OPEN, error) from None
    except job_orders.OneADay as error:
        raise _refused(Code.ONE_JOB_A_DAY, error) from None
    response.headers["Location"] = f"{router.prefix}/{job.id}"
    return _status(call, job.id).as_object()


@router.post("/{job_id}/cancel")
def cancel_job(call: TheCall, job_id: str) -> JsonObject:
    """Cancel a job; what is decided already still leaves."""
    progress = call.services.jobs()
    try:
        call.change(lambda draft: job_orders.cancel_job(draft, job_id, progress))
    except job_orders.NoSuchJob as error:
        raise ApiError(Code.NOT_FOUND, str(error), kind="jobs", object_id=job_id) from None
    except job_orders.JobHasEnded as error:
        raise _refused(Code.JOB_ENDED, error, job_id) from None
    return _status(call, job_id).as_object()


def _status(call: TheCall, job_id: str) -> JobStatus:
    state = call.state
    job = state.jobs.get(job_id)
    if job is None:
        raise not_found("jobs", job_id)
    return find_job_status(state, call.services.jobs(), job, call.now)


def _refused(code: Code, error: CommandError, job_id: str = "") -> ApiError:
    return ApiError(code, " ".join(str(error).split()), kind="jobs", object_id=job_id)
