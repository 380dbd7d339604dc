"""The compacted topic `job-progress`: how far jobs are, as the owners of the partitions say.

    key    ["<job>",<partition>]     value  schemas/job.py, JobProgress

A record stands in the partition that it is about; a tombstone removes a job that is forgotten.
"""

import orjson
from pydantic import ValidationError

from schemas.job import JobProgress
from schemas.kafka import BadRecord, ProducerRecord
from schemas.model import describe_record_fault
from schemas.wire.profiles_changelog import encode_job_row


def job_progress_key(job_id: str, partition: int) -> bytes:
    """Return the key of a job's progress in one partition."""
    return b'["%b",%d]' % (job_id.encode(), partition)


def decode_job_progress_key(key: bytes) -> tuple[str, int]:
    """Return job and partition of a key; raise BadRecord."""
    try:
        named = orjson.loads(key)
    except orjson.JSONDecodeError as error:
        raise _bad(key, error) from None
    if not isinstance(named, list) or [type(each) for each in named] != [str, int]:
        raise _bad(key, ValueError())
    return named[0], named[1]


def encode_job_progress(progress: JobProgress) -> ProducerRecord:
    """Return the record of a job's progress in one partition."""
    return ProducerRecord(job_progress_key(progress.job, progress.partition), encode_job_row(progress))


def decode_job_progress(key: bytes, value: bytes) -> JobProgress:
    """Return the progress of a record; raise BadRecord."""
    named = decode_job_progress_key(key)
    try:
        progress = JobProgress.model_validate_json(value)
    except ValidationError as error:
        raise _bad(key, error) from None
    if (progress.job, progress.partition) != named:
        raise _bad(key, ValueError())
    return progress


def _bad(key: bytes, error: Exception) -> BadRecord:
    return BadRecord(f"job-progress {key.decode(errors='replace')}: {describe_record_fault(error)}")
