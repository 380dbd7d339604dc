"""What the topics `flows`, `audiences` and `connections` say: a fold of their records. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Generic, NamedTuple, TypeVar

import orjson

from processor.kafka.catalog_records import BadCatalogRecord, audience_value, read_audience, read_flow
from processor.kafka.connection_records import ACCEPTED_KEY, WRITER_KEY, read_accepted, read_object, read_writer
from schemas.audience import Audience, AudienceKey
from schemas.connection import AnyObject, Kind
from schemas.flow import Flow

Item = TypeVar("Item", bound=Flow | Audience | AnyObject)


class Topic(StrEnum):
    """The topics of the control plane."""

    FLOWS = "flows"
    AUDIENCES = "audiences"
    CONNECTIONS = "connections"
    AUDIT_EVENTS = "audit-events"


@dataclass(frozen=True, slots=True)
class Kept(Generic[Item]):
    """Something as it is kept. Times in milliseconds since 1970; of flows and audiences that came without the API, when its record was written."""

    item: Item
    etag: str
    created_at: int
    updated_at: int


class TopicRecord(NamedTuple):
    """A record of one of the topics; `timestamp` in milliseconds since 1970."""

    topic: Topic
    key: bytes
    value: bytes | None
    timestamp: int


@dataclass(frozen=True, slots=True)
class ControlState:
    """A snapshot; `after` makes the next one.

    `writer`: the API that claimed the topics last. `accepted`: by topic, below which offset an operator knows records to be gone.
    """

    flows: Mapping[str, Kept[Flow]] = field(default_factory=dict)
    audiences: Mapping[AudienceKey, Kept[Audience]] = field(default_factory=dict)
    objects: Mapping[tuple[Kind, str], Kept[AnyObject]] = field(default_factory=dict)
    writer: str | None = None
    accepted: Mapping[str, int] = field(default_factory=dict)

    def after(self, records: Iterable[TopicRecord]) -> "ControlState":
        """The state after these records, in their order; raises BadCatalogRecord."""
        flows, audiences, objects = dict(self.flows), dict(self.audiences), dict(self.objects)
        writer, accepted = self.writer, self.accepted
        for topic, key, value, timestamp in records:
            if topic is Topic.FLOWS:
                _put_flow(flows, key, value, timestamp)
            elif topic is Topic.AUDIENCES:
                _put_audience(audiences, key, value, timestamp)
            elif topic is Topic.CONNECTIONS and key == WRITER_KEY:
                writer = None if value is None else read_writer(value)
            elif topic is Topic.CONNECTIONS and key == ACCEPTED_KEY:
                accepted = {} if value is None else read_accepted(value)
            elif topic is Topic.CONNECTIONS:
                _put_object(objects, key, value)
        return ControlState(flows, audiences, objects, writer, accepted)


def audience_etag(audience: Audience) -> str:
    """Of its content: audiences have no history that anybody asks for."""
    return sha256(audience_value(audience)).hexdigest()[:32]


def _put_flow(flows: dict[str, Kept[Flow]], key: bytes, value: bytes | None, timestamp: int) -> None:
    before = flows.pop(key.decode(errors="replace"), None)
    if value is not None:
        flow, etag = read_flow(key, value)
        flows[flow.id] = Kept(flow, etag, timestamp if before is None else before.created_at, timestamp)


def _put_audience(audiences: dict[AudienceKey, Kept[Audience]], key: bytes, value: bytes | None, timestamp: int) -> None:
    before = audiences.pop(_pair(key), None)
    if value is not None:
        audience = read_audience(key, value)
        audiences[audience.key] = Kept(audience, audience_etag(audience), timestamp if before is None else before.created_at, timestamp)


def _put_object(objects: dict[tuple[Kind, str], Kept[AnyObject]], key: bytes, value: bytes | None) -> None:
    if value is None:
        kind, object_id = _pair(key)
        objects.pop((Kind(kind), object_id), None)
        return
    stored, item = read_object(key, value)
    objects[stored.kind, stored.id] = Kept(item, stored.etag, stored.created_at, stored.updated_at)


def _pair(key: bytes) -> tuple[str, str]:
    try:
        first, second = orjson.loads(key)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise BadCatalogRecord(f"the key {key.decode(errors='replace')} is no pair of texts") from None
    return str(first), str(second)
