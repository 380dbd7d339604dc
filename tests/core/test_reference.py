"""The core against an independent model written from the contract alone (sections 1, 3, 4, F3, F4, F5, G5): equal on
random histories.
"""

from typing import Any

import orjson
from hypothesis import given

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits, Step
from schemas.audience import Audience
from schemas.flow import Flow
from schemas.kafka import ReadRecord
from tests.core import strategies
from tests.core.reference import ReferenceReplay, Sent
from tests.kit.examples import law

WINDOW = 2
MAX_BYTES = 2_000


def replay_of(configuration: dict[str, Any]) -> Replay:
    flows = [Flow.model_validate(flow) for flow in configuration["flows"]]
    audiences = [Audience.model_validate(audience) for audience in configuration["audiences"]]
    return Replay(Catalog.of(flows, audiences), Limits(max_document_bytes=MAX_BYTES, dedup_window=WINDOW))


def told(result: Step) -> tuple[list[Sent], str | None]:
    """A step as the reference tells it, the records by flow."""
    sent = [
        Sent(
            {
                "id": record.id,
                "flow": record.flow_id,
                "key": record.key,
                "time": record.time,
                "version": record.version,
                "causes": list(record.causes),
                "data": orjson.loads(record.data),
            },
            orjson.loads(record.value),
            record.partition_key,
        )
        for record in result.records
    ]
    return by_id(sent), result.dead_letter.reason if result.dead_letter else None


def by_id(sent: list[Sent]) -> list[Sent]:
    """Sorted, with the causes of an envelope (a string of JSON, D2) read: its spacing is not part of the contract."""
    for each in sent:
        if isinstance(each.value.get("causes"), str):
            each.value["causes"] = orjson.loads(each.value["causes"])
    return sorted(sent, key=lambda each: each.line["id"])


@law(300)
@given(strategies.configurations(), strategies.histories())
def test_law_the_core_sends_what_the_reference_sends(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    core = replay_of(configuration)
    reference = ReferenceReplay(configuration, max_document_bytes=MAX_BYTES, dedup_window=WINDOW)
    for record in history:
        sent, reason = reference.feed_in_full(record)

        assert told(core.feed(record)) == (by_id(sent), reason)
