"""Flows and audiences as records of their compacted topics; a tombstone removes one.

    flows       key: flow id                        value: {"flow": {…}, "etag": "<32 hex digits>", "deletedAt"?, "createdBy"?, "updatedBy"?}
                key: job/<job id>                   value: {"job": {…}}
    audiences   key: ["<namespace>","<id>"]         value: {"audience": {…}}

The etag is new with every change of the flow, also back to an earlier content. A secret stays the reference that the
file has. Jobs stand beside the flows, on one partition: whoever sees a change of a flow sees the jobs that it set
going, never one without the other. A flow with `deletedAt` is deleted for everybody but its last exits (F2).
"""

from typing import Final, NamedTuple

import orjson
from pydantic import ValidationError

from schemas.audience import Audience, AudienceKey
from schemas.faults import faults_of
from schemas.flow import Flow
from schemas.job import Job
from schemas.model import STORED, Model

_JOB: Final = b"job/"  # no flow's id has a slash


class BadCatalogRecord(ValueError):
    """The record is no flow, or no audience; the text says which and why."""


class StoredFlow(NamedTuple):
    """A flow, and the etag of this content.

    `deleted_at`: since when only its last exits are still to leave; None: it is in force.

    `created_by`, `updated_by`: the authors' names; None: nobody said.
    """

    flow: Flow
    etag: str
    deleted_at: str | None = None
    created_by: str | None = None
    updated_by: str | None = None


def flow_key(flow_id: str) -> bytes:
    """The key of a flow."""
    return flow_id.encode()


def audience_key(key: AudienceKey) -> bytes:
    """The key of an audience."""
    return orjson.dumps(key)


def flow_value(stored: StoredFlow) -> bytes:
    """The value of a flow."""
    more = {"deletedAt": stored.deleted_at, "createdBy": stored.created_by, "updatedBy": stored.updated_by}
    said = {name: text for name, text in more.items() if text is not None}
    return orjson.dumps({"flow": plain(stored.flow), "etag": stored.etag, **said})


def job_key(job_id: str) -> bytes:
    """The key of a job."""
    return _JOB + job_id.encode()


def is_job_key(key: bytes) -> bool:
    """Whether a record of `flows` is a job."""
    return key.startswith(_JOB)


def job_id_of(key: bytes) -> str:
    """The id in a job's key."""
    return key.removeprefix(_JOB).decode(errors="replace")


def job_value(job: Job) -> bytes:
    """The value of a job."""
    return orjson.dumps({"job": plain(job)})


def read_job(key: bytes, value: bytes) -> Job:
    """The job of a record; raises BadCatalogRecord."""
    try:
        job = Job.model_validate(orjson.loads(value)["job"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadCatalogRecord(f"{key.decode(errors='replace')}: {without_input(error)}") from None
    if job_key(job.id) != key:
        raise BadCatalogRecord(f"{key.decode(errors='replace')}: the key is not the job's")
    return job


def audience_value(audience: Audience) -> bytes:
    """The value of an audience."""
    return orjson.dumps({"audience": plain(audience)})


def read_flow(key: bytes, value: bytes) -> StoredFlow:
    """The flow of a record; raises BadCatalogRecord."""
    try:
        fields = orjson.loads(value)
        authors = (
            author if isinstance(author := fields.get(name), str) else None for name in ("createdBy", "updatedBy")
        )
        stored = StoredFlow(
            Flow.model_validate(fields["flow"], context=STORED), fields["etag"], fields.get("deletedAt"), *authors
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadCatalogRecord(f"flow {key.decode(errors='replace')}: {without_input(error)}") from None
    if (
        flow_key(stored.flow.id) != key
        or not isinstance(stored.etag, str)
        or not isinstance(stored.deleted_at, str | None)
    ):
        raise BadCatalogRecord(
            f"flow {key.decode(errors='replace')}: the key is not the flow's id, or the etag is no text"
        )
    return stored


def read_audience(key: bytes, value: bytes) -> Audience:
    """The audience of a record; raises BadCatalogRecord."""
    try:
        audience, named = Audience.model_validate(orjson.loads(value)["audience"], context=STORED), orjson.loads(key)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadCatalogRecord(f"audience {key.decode(errors='replace')}: {without_input(error)}") from None
    if named != list(audience.key):
        raise BadCatalogRecord(f"audience {key.decode(errors='replace')}: the key is not the audience's")
    return audience


def plain(model: Model) -> dict[str, object]:
    """As JSON, without what is not said."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def without_input(error: Exception) -> str:
    """What is wrong with a record, without its values: there may be secrets among them."""
    if not isinstance(error, ValidationError):
        return "it is no JSON object of the right form" if not isinstance(error, KeyError) else f"it lacks {error}"
    return "; ".join(faults_of(error, whole="the record"))
