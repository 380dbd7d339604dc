"""What the topics `flows`, `audiences` and `connections` say: a fold of their records. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Generic, NamedTuple, TypeVar

import orjson

from schemas.audience import Audience, AudienceKey
from schemas.connection import AnyObject, Kind
from schemas.flow import Flow
from schemas.job import Job
from schemas.wire.catalog import (
    BadCatalogRecord,
    StoredFlow,
    audience_value,
    is_job_key,
    job_id_of,
    read_audience,
    read_flow,
    read_job,
)
from schemas.wire.connections import ACCEPTED_KEY, WRITER_KEY, read_accepted, read_object, read_writer

Item = TypeVar("Item", bound=Flow | Audience | AnyObject)


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


class TopicRecord(NamedTuple):
    """A record of one of the topics; `timestamp` in milliseconds since 1970."""

    topic: Topic
    key: bytes
    value: bytes | None
    timestamp: int


@dataclass(frozen=True, slots=True)
class ControlState:
    """A snapshot; `after` makes the next one.

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
        """The state after these records, in their order."""
        state = self.copied()
        for record in records:
            state = put_record(state, record)
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


def put_record(state: ControlState, record: TopicRecord) -> ControlState:
    """Return the state after one more record; changes the maps of `state`, which must be nobody else's yet
    (`ControlState.copied`).
    """
    topic, key, value, _ = record
    unreadable: dict[tuple[Topic, bytes], str] = state.unreadable  # type: ignore[assignment]
    unreadable.pop((topic, key), None)
    try:
        if topic is Topic.CONNECTIONS and key == WRITER_KEY:
            return replace(state, writer=None if value is None else read_writer(value))
        if topic is Topic.CONNECTIONS and key == ACCEPTED_KEY:
            return replace(state, accepted={} if value is None else read_accepted(value))
        if topic is Topic.FLOWS:
            (_put_job if is_job_key(key) else _put_flow)(state, record)
        elif topic in _PUT:
            put, items = _PUT[topic]
            put(getattr(state, items), record)
    except BadCatalogRecord as bad:
        unreadable[topic, key] = str(bad)
    return state


def audience_etag(audience: Audience) -> str:
    """Of its content: audiences have no history that anybody asks for."""
    return sha256(audience_value(audience)).hexdigest()[:32]


def _put_flow(state: ControlState, record: TopicRecord) -> None:
    flows: dict[str, Kept[Flow]] = state.flows  # type: ignore[assignment]  # nobody else's yet, as `leaving`
    leaving: dict[str, StoredFlow] = state.leaving  # type: ignore[assignment]
    flow_id = record.key.decode(errors="replace")
    before = flows.pop(flow_id, None)
    leaving.pop(flow_id, None)
    if record.value is not None:
        stored = read_flow(record.key, record.value)
        if stored.deleted_at is None:
            created_at = record.timestamp if before is None else before.created_at
            flows[stored.flow.id] = Kept(
                stored.flow, stored.etag, created_at, record.timestamp, stored.created_by, stored.updated_by
            )
        else:
            leaving[stored.flow.id] = stored


def _put_job(state: ControlState, record: TopicRecord) -> None:
    jobs: dict[str, Job] = state.jobs  # type: ignore[assignment]
    if record.value is None:
        jobs.pop(job_id_of(record.key), None)
    else:
        job = read_job(record.key, record.value)
        jobs[job.id] = job


def _put_audience(audiences: dict[AudienceKey, Kept[Audience]], record: TopicRecord) -> None:
    before = audiences.pop(_pair(record.key), None)
    if record.value is not None:
        audience = read_audience(record.key, record.value)
        created_at = record.timestamp if before is None else before.created_at
        audiences[audience.key] = Kept(audience, audience_etag(audience), created_at, record.timestamp)


def _put_object(objects: dict[tuple[str, str], Kept[AnyObject]], record: TopicRecord) -> None:
    objects.pop(_pair(record.key), None)
    if record.value is not None:
        stored, item = read_object(record.key, record.value)
        objects[stored.kind, stored.id] = Kept(
            item, stored.etag, stored.created_at, stored.updated_at, stored.created_by, stored.updated_by
        )


_PUT: Final[dict[Topic, tuple[Callable[[Any, TopicRecord], None], str]]] = {
    Topic.AUDIENCES: (_put_audience, "audiences"),
    Topic.CONNECTIONS: (_put_object, "objects"),
}


def _pair(key: bytes) -> tuple[str, str]:
    try:
        first, second = orjson.loads(key)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise BadCatalogRecord(f"the key {key.decode(errors='replace')} is no pair of texts") from None
    return str(first), str(second)
