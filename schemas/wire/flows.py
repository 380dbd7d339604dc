"""The compacted topic `flows`: flows and their jobs; a tombstone removes one.

    key    flow id            value  {"flow": {…}, "etag": "<32 hex digits>", "deletedAt"?, "createdBy"?, "updatedBy"?}
    key    job/<job id>       value  {"job": {…}}

The etag is new with every change of the flow, also back to an earlier content. A secret stays the reference that the
file has. Jobs stand beside the flows, on one partition: whoever sees a change of a flow sees the jobs that it set
going, never one without the other. A flow with `deletedAt` is deleted for everybody but its last exits (F2).
"""

from typing import Final, NamedTuple

import orjson
from pydantic import ValidationError

from schemas.flow import Flow
from schemas.job import Job
from schemas.kafka import BadRecord, ProducerRecord
from schemas.model import STORED, describe_record_fault, dump_model

_JOB: Final = b"job/"  # no flow's id has a slash


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
    """Return the key of a flow."""
    return flow_id.encode()


def decode_flow_key(key: bytes) -> str:
    """Return the id in a flow's key."""
    return key.decode(errors="replace")


def encode_flow(stored: StoredFlow) -> ProducerRecord:
    """Return the record of a flow."""
    more = {"deletedAt": stored.deleted_at, "createdBy": stored.created_by, "updatedBy": stored.updated_by}
    said = {name: text for name, text in more.items() if text is not None}
    value = orjson.dumps({"flow": dump_model(stored.flow), "etag": stored.etag, **said})
    return ProducerRecord(flow_key(stored.flow.id), value)


def decode_flow(key: bytes, value: bytes) -> StoredFlow:
    """Return the flow of a record; raise BadRecord."""
    try:
        fields = orjson.loads(value)
        authors = (
            author if isinstance(author := fields.get(name), str) else None for name in ("createdBy", "updatedBy")
        )
        stored = StoredFlow(
            Flow.model_validate(fields["flow"], context=STORED), fields["etag"], fields.get("deletedAt"), *authors
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadRecord(f"flow {decode_flow_key(key)}: {describe_record_fault(error)}") from None
    if (
        flow_key(stored.flow.id) != key
        or not isinstance(stored.etag, str)
        or not isinstance(stored.deleted_at, str | None)
    ):
        raise BadRecord(f"flow {decode_flow_key(key)}: the key is not the flow's id, or the etag is no text")
    return stored


def job_key(job_id: str) -> bytes:
    """Return the key of a job."""
    return _JOB + job_id.encode()


def is_job_key(key: bytes) -> bool:
    """Return whether a record of `flows` is a job."""
    return key.startswith(_JOB)


def decode_job_key(key: bytes) -> str:
    """Return the id in a job's key."""
    return key.removeprefix(_JOB).decode(errors="replace")


def encode_job(job: Job) -> ProducerRecord:
    """Return the record of a job."""
    return ProducerRecord(job_key(job.id), orjson.dumps({"job": dump_model(job)}))


def decode_job(key: bytes, value: bytes) -> Job:
    """Return the job of a record; raise BadRecord."""
    try:
        job = Job.model_validate(orjson.loads(value)["job"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadRecord(f"{key.decode(errors='replace')}: {describe_record_fault(error)}") from None
    if job_key(job.id) != key:
        raise BadRecord(f"{key.decode(errors='replace')}: the key is not the job's")
    return job
