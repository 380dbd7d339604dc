"""Words for tests: events, flows and what the product makes of them, through the front door."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits, Step
from schemas.audience import Audience
from schemas.export import ExportRecord
from schemas.flow import Flow
from schemas.kafka import ReadRecord

DESTINATION = {"type": "kinesis", "stream": "vip-profiles", "region": "us-east-2"}
NOON = "2026-01-11T12:00:00Z"
LATER = "2026-01-12T12:00:00Z"


def a_flow(
    flow_id: str = "f", audiences: Iterable[Any] = ("a",), attributes: Iterable[str] = (), **options: Any
) -> Any:
    """A flow of contract 4b. An audience is an id in `ups`, `namespace/id`, or a whole mapping."""
    return {
        "id": flow_id,
        "destination": DESTINATION,
        "audiences": [_mapping(each) for each in audiences],
        "attributes": list(attributes),
        "options": options,
    }


def _mapping(audience: Any) -> Any:
    if isinstance(audience, str):
        namespace, _, audience_id = audience.rpartition("/")
        return {"namespace": namespace or "ups", "id": audience_id}
    return audience


def a_catalog(configuration: Mapping[str, Any]) -> Catalog:
    """Return the catalog that the product makes of a parsed file of contract 4b."""
    flows = [Flow.model_validate(each) for each in configuration.get("flows", [])]
    return Catalog.of(flows, [Audience.model_validate(each) for each in configuration.get("audiences", [])])


def cloud_event(data: Any = None, kind: str = "profile.patched", key: str = "p-1", **attributes: Any) -> dict[str, Any]:
    """A CloudEvent at NOON; `attributes` replace or add any."""
    event = {"specversion": "1.0", "id": "e", "source": "/unified-profile", "type": kind, "subject": key, "time": NOON}
    return {**event, "data": {} if data is None else data, **attributes}


def realized(*ids: str, **fields: Any) -> dict[str, Any]:
    """`data` that realizes audiences, each an id in `ups` or `namespace/id`."""
    return membership({each: {"status": "realized", **fields} for each in ids})


def exited(*ids: str, **fields: Any) -> dict[str, Any]:
    """`data` in which audiences are exited."""
    return membership({each: {"status": "exited", **fields} for each in ids})


def membership(entries: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the given entries, by id in `ups` or `namespace/id`."""
    result: dict[str, Any] = {}
    for name, entry in entries.items():
        namespace, _, audience_id = name.rpartition("/")
        result.setdefault(namespace or "ups", {})[audience_id] = entry
    return {"segmentMembership": result}


def line_of(record: ExportRecord) -> dict[str, Any]:
    """The line of replay's output (contract 4b)."""
    return {
        "id": record.id,
        "flow": record.flow_id,
        "key": record.key,
        "time": record.time,
        "version": record.version,
        "causes": list(record.causes),
        "data": orjson.loads(record.data),
    }


@dataclass(slots=True)
class Scene:
    """A replay under test: events go in one after the other, each with its own offset and id."""

    replay: Replay
    offset: int = 0

    @staticmethod
    def of(
        *flows: Any, audiences: Iterable[Any] = (), dedup_window: int = 1, max_document_bytes: int = 524_288
    ) -> "Scene":
        """A fresh replay of these flows and described audiences."""
        limits = Limits(max_document_bytes=max_document_bytes, dedup_window=dedup_window)
        return Scene(Replay(a_catalog({"flows": flows, "audiences": list(audiences)}), limits))

    def value(self, value: bytes | None, key: bytes | None = b"p-1", timestamp: int | None = None) -> Step:
        """Feed bytes as they are, at the next offset."""
        step = self.replay.feed(ReadRecord("profile-events", 0, self.offset, timestamp, key, value))
        self.offset += 1
        return step

    def event(self, data: Any = None, kind: str = "profile.patched", key: str = "p-1", **attributes: Any) -> Step:
        """Feed a CloudEvent with an id of its own, at NOON unless told."""
        event = cloud_event(data, kind, key, **{"id": f"e-{self.offset}", **attributes})
        return self.value(json.dumps(event, ensure_ascii=False).encode(), key.encode())

    def patch(self, data: Any = None, **attributes: Any) -> list[dict[str, Any]]:
        """Feed a `profile.patched`; the lines that left."""
        return lines(self.event(data, **attributes))

    def replace(self, data: Any = None, **attributes: Any) -> list[dict[str, Any]]:
        """Feed a `profile.replaced`; the lines that left."""
        return lines(self.event(data, "profile.replaced", **attributes))

    def delete(self, **attributes: Any) -> list[dict[str, Any]]:
        """Feed a `profile.deleted`; the lines that left."""
        return lines(self.event(None, "profile.deleted", **attributes))

    def expire(self, data: Any, **attributes: Any) -> list[dict[str, Any]]:
        """Feed a `membership.expired`; the lines that left."""
        return lines(self.event(data, "membership.expired", source="/profile-exporter", **attributes))


def lines(step: Step) -> list[dict[str, Any]]:
    """The lines of a good event."""
    assert step.dead_letter is None, step.dead_letter
    return [line_of(record) for record in step.records]


def only(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The one line there is."""
    assert len(found) == 1, found
    return found[0]


def reason(step: Step) -> str | None:
    """Return why the event is a dead letter, in the contract's word."""
    return None if step.dead_letter is None else str(step.dead_letter.reason)
