"""The only fold of the topics `flows`, `audiences` and `connections`, for workers, control plane and commands. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from schemas.audience import Audience, AudienceKey
from schemas.connection import AnyObject, Kind
from schemas.flow import Flow
from schemas.job import Job
from schemas.kafka import BadRecord, ConsumerRecord, ProducerRecord
from schemas.wire.audiences import decode_audience, decode_audience_key, encode_audience
from schemas.wire.connections import (
    ACCEPTED_KEY,
    WRITER_KEY,
    decode_accepted,
    decode_object,
    decode_object_key,
    decode_writer,
)
from schemas.wire.flows import StoredFlow, decode_flow, decode_flow_key, decode_job, decode_job_key, is_job_key

Item = TypeVar("Item", bound=Flow | Audience | AnyObject)
Record = ConsumerRecord | ProducerRecord


class Topic(StrEnum):
    """The topics of the control plane."""

    FLOWS = "flows"
    AUDIENCES = "audiences"
    CONNECTIONS = "connections"
    AUDIT_EVENTS = "audit-events"


@dataclass(frozen=True, slots=True)
class Kept(Generic[Item]):
    """Something as it is kept.

    Times in milliseconds since 1970; of flows and audiences that came without the API, when its record was written.

    `created_by`, `updated_by`: the author's name, as audit events have it; None where its record does not say.
    """

    item: Item
    etag: str
    created_at: int
    updated_at: int
    created_by: str | None = None
    updated_by: str | None = None


TopicRecord = tuple[Topic, Record]
"""A record as read or to be written, and the topic that it is of, by the name that it has in every installation."""

ControlRecord = tuple[Topic, ProducerRecord]
"""A record that the control plane writes, and the topic that it is for."""


@dataclass(frozen=True, slots=True)
class ControlState:
    """A snapshot of the topics flows and audiences; `after` makes the state that one more record leads to.

    `jobs`: by id, kept for 30 days. `leaving`: flows that were deleted, by id, which stay on the topic for their last
    exits (F2). `writer`: the API that claimed the topics last. `accepted`: by topic, below which offset an operator
    knows records to be gone. `unreadable`: what is wrong with a key's last record, where it cannot be read; what is
    written over it mends that.
    """

    flows: Mapping[str, Kept[Flow]] = field(default_factory=dict)
    audiences: Mapping[AudienceKey, Kept[Audience]] = field(default_factory=dict)
    objects: Mapping[tuple[Kind, str], Kept[AnyObject]] = field(default_factory=dict)
    writer: str | None = None
    accepted: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[tuple[Topic, bytes], str] = field(default_factory=dict)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    leaving: Mapping[str, StoredFlow] = field(default_factory=dict)

    def after(self, records: Iterable[TopicRecord]) -> "ControlState":
        """Return the state after these records, in their order."""
        state = self.copied()
        for topic, record in records:
            state = put_record(state, topic, record)
        return state

    def copied(self) -> "ControlState":
        """Copy the state into maps of its own, for `put_record`."""
        return ControlState(
            dict(self.flows),
            dict(self.audiences),
            dict(self.objects),
            self.writer,
            dict(self.accepted),
            dict(self.unreadable),
            dict(self.jobs),
            dict(self.leaving),
        )


def put_record(state: ControlState, topic: Topic, record: Record) -> ControlState:
    """Return the state after one more record; change the maps of `state`, which must be nobody else's yet.

    `ControlState.copied` makes such maps.
    """
    key, value = record.key or b"", record.value
    unreadable: dict[tuple[Topic, bytes], str] = state.unreadable  # type: ignore[assignment]
    unreadable.pop((topic, key), None)
    try:
        if topic is Topic.CONNECTIONS and key == WRITER_KEY:
            return replace(state, writer=None if value is None else decode_writer(value))
        if topic is Topic.CONNECTIONS and key == ACCEPTED_KEY:
            return replace(state, accepted={} if value is None else decode_accepted(value))
        if topic is Topic.FLOWS:
            (_put_job if is_job_key(key) else _put_flow)(state, key, record)
        elif topic in _PUT:
            put, items = _PUT[topic]
            put(getattr(state, items), key, record)
    except BadRecord as bad:
        unreadable[topic, key] = str(bad)
    return state


def audience_etag(audience: Audience) -> str:
    """Return the etag of an audience, which is of its content: nobody asks for the history of audiences."""
    return sha256(encode_audience(audience).value or b"").hexdigest()[:32]


def _put_flow(state: ControlState, key: bytes, record: Record) -> None:
    flows: dict[str, Kept[Flow]] = state.flows  # type: ignore[assignment]  # nobody else's yet, as `leaving`
    leaving: dict[str, StoredFlow] = state.leaving  # type: ignore[assignment]
    flow_id, timestamp = decode_flow_key(key), record.timestamp or 0
    before = flows.pop(flow_id, None)
    leaving.pop(flow_id, None)
    if record.value is not None:
        stored = decode_flow(key, record.value)
        if stored.deleted_at is None:
            created_at = timestamp if before is None else before.created_at
            flows[stored.flow.id] = Kept(
                stored.flow, stored.etag, created_at, timestamp, stored.created_by, stored.updated_by
            )
        else:
            leaving[stored.flow.id] = stored


def _put_job(state: ControlState, key: bytes, record: Record) -> None:
    jobs: dict[str, Job] = state.jobs  # type: ignore[assignment]
    if record.value is None:
        jobs.pop(decode_job_key(key), None)
    else:
        job = decode_job(key, record.value)
        jobs[job.id] = job


def _put_audience(audiences: dict[AudienceKey, Kept[Audience]], key: bytes, record: Record) -> None:
    before, timestamp = audiences.pop(decode_audience_key(key), None), record.timestamp or 0
    if record.value is not None:
        audience = decode_audience(key, record.value)
        created_at = timestamp if before is None else before.created_at
        audiences[audience.key] = Kept(audience, audience_etag(audience), created_at, timestamp)


def _put_object(objects: dict[tuple[str, str], Kept[AnyObject]], key: bytes, record: Record) -> None:
    objects.pop(decode_object_key(key), None)
    if record.value is not None:
        stored, item = decode_object(key, record.value)
        objects[stored.kind, stored.id] = Kept(
            item, stored.etag, stored.created_at, stored.updated_at, stored.created_by, stored.updated_by
        )


_PUT: Final[dict[Topic, tuple[Callable[[Any, bytes, Record], None], str]]] = {
    Topic.AUDIENCES: (_put_audience, "audiences"),
    Topic.CONNECTIONS: (_put_object, "objects"),
}
