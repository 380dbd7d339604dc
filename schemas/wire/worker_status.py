"""The compacted topic `worker-status`: what each worker says of itself.

key    the worker's name     value  schemas/worker_status.py, WorkerStatus
"""

from pydantic import ValidationError

from schemas.kafka import BadRecord, ProducerRecord
from schemas.worker_status import WorkerStatus


def encode_worker_status(status: WorkerStatus) -> ProducerRecord:
    """Return the record of a worker's report."""
    return ProducerRecord(status.name.encode(), status.model_dump_json(by_alias=True).encode())


def decode_worker_status(key: bytes, value: bytes) -> WorkerStatus:
    """Return the report of a record; raise BadRecord."""
    try:
        return WorkerStatus.model_validate_json(value)
    except ValidationError as error:
        name, faults = key.decode(errors="replace"), error.error_count()
        raise BadRecord(
            f"what worker {name} says of itself cannot be read (another version?): {faults} faults"
        ) from None
