"""Short ways to say a flow, an event and a history."""

from typing import Any

import orjson

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits, Step
from schemas.audience import Audience
from schemas.flow import Flow
from schemas.kafka import ReadRecord
from schemas.profile import Profile

PLACE = ("profile-events", 0, b"p-1")
Headers = tuple[tuple[str, bytes | None], ...]
NOW = "2026-01-11T23:37:33Z"
BEFORE = "2026-01-02T08:00:00Z"


def flow(
    *audiences: str, attributes: tuple[str, ...] = (), id: str = "f", state: str = "enabled", **options: Any
) -> Flow:
    return Flow.model_validate(
        {
            "id": id,
            "state": state,
            "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"},
            "audiences": [dict(zip(("namespace", "id"), text.split("/"), strict=True)) for text in audiences],
            "attributes": list(attributes),
            "options": options,
        }
    )


class History:
    """Feeds events of one profile to a replay and keeps every step."""

    def __init__(self, *flows: Flow, audiences: tuple[Audience, ...] = (), limits: Limits | None = None) -> None:
        self.replay = Replay(Catalog.of(flows, audiences), limits)
        self.offset = -1

    def raw(
        self, value: bytes | None, key: bytes | None = b"p-1", timestamp: int | None = None, headers: Headers = ()
    ) -> Step:
        self.offset += 1
        return self.replay.feed(ReadRecord("profile-events", 0, self.offset, timestamp, key, value, headers))

    def event(self, type: str, data: Any = None, **attributes: Any) -> Step:
        envelope = {
            "specversion": "1.0",
            "id": f"e-{self.offset}",
            "source": "/u",
            "type": type,
            "time": NOW,
            "data": data,
        }
        return self.raw(orjson.dumps({**envelope, **attributes}))

    def patch(self, data: Any = None, **attributes: Any) -> Step:
        return self.event("profile.patched", data or {}, **attributes)

    def document(self) -> dict[str, Any]:
        return self.profile.document

    @property
    def profile(self) -> Profile:
        return self.replay.profiles[PLACE]


def member(
    status: str | None = "realized", time: str = NOW, *, audience: str = "a", namespace: str = "ups", **extra: Any
) -> dict[str, Any]:
    return {"segmentMembership": {namespace: {audience: {"status": status, "lastQualificationTime": time, **extra}}}}


def only(result: Step) -> dict[str, Any]:
    """The content of the one record of a step."""
    (record,) = result.records
    return orjson.loads(record.data)
