"""The ids of export records: the same event, or job, gives the same ids on every machine and in every replay."""

from schemas.job import JobKind
from schemas.kafka import ConsumerRecord


def event_record_id(source: ConsumerRecord, flow_id: str) -> str:
    """Return the id of what a flow sends after an event. Home of D3."""
    return f"{source.topic}-{source.partition}-{source.offset}-{flow_id}"


def job_record_id(kind: JobKind, job_id: str, flow_id: str, profile_id: str) -> str:
    """Return the id of what a job of a flow sends for a profile (E1)."""
    return f"{kind.value}-{job_id}-{flow_id}-{profile_id}"
