"""What `apply` would change, from the file and the topics' last values alone (contract M2 to M4, 4b)."""

from itertools import count
from typing import Any

import orjson
import pytest

from processor.catalog.state import ControlRecord, ControlState, Topic
from processor.control.apply_plan import Action, Step, carry_out, plan
from processor.control.draft import Draft
from processor.files.configuration import Configuration, parse_configuration
from processor.foundation.errors import UsageError
from schemas.audience import Audience
from schemas.flow import MAX_FLOWS, Flow
from schemas.kafka import ProducerRecord
from schemas.wire.audiences import encode_audience
from schemas.wire.audit_events import Author
from schemas.wire.flows import StoredFlow, encode_flow, is_job_key

DESTINATION = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
GOLD = {"namespace": "ups", "id": "gold"}


def configuration(flows: list[dict[str, Any]] = [], audiences: list[dict[str, Any]] = []) -> Configuration:  # noqa: B006  # never changed
    return parse_configuration(orjson.dumps({"flows": flows, "audiences": audiences}), "test")


def flow(flow_id: str, **more: Any) -> dict[str, Any]:
    return {"id": flow_id, "destination": DESTINATION, **more}


def state(flows: list[dict[str, Any]] = [], audiences: list[dict[str, Any]] = []) -> ControlState:  # noqa: B006  # never changed
    there = [Flow.model_validate(fields) for fields in flows]
    described = [Audience.model_validate(fields) for fields in audiences]
    return ControlState().after(
        [
            *((Topic.FLOWS, encode_flow(StoredFlow(flow, "old"))) for flow in there),
            *((Topic.AUDIENCES, encode_audience(audience)) for audience in described),
        ]
    )


def carried_out(steps: list[Step], there: ControlState) -> list[ControlRecord]:
    numbers = count(1)
    draft = Draft(there, Author("ada", "command"), 0, lambda: f"etag-{next(numbers)}")
    carry_out(draft, steps)
    return [
        (topic, record)
        for topic, record in draft.records
        if topic is not Topic.AUDIT_EVENTS and not is_job_key(record.key or b"")
    ]


def told(steps: list[Step]) -> list[tuple[str, str, Action]]:
    return [(step.kind, step.name, step.action) for step in steps]


def test_what_is_new_is_created_audiences_before_the_flows_that_name_them() -> None:
    steps = plan(configuration([flow("vip", audiences=[GOLD])], [GOLD]), state(), prune=False)

    records = carried_out(steps, state())

    assert told(steps) == [("audience", "ups/gold", Action.CREATE), ("flow", "vip", Action.CREATE)]
    assert [record.key for _, record in records] == [b'["ups","gold"]', b"vip"]
    assert orjson.loads(records[1][1].value or b"")["etag"] == "etag-1"


def test_what_says_the_same_is_unchanged_however_it_is_spelled() -> None:
    spelled_out = flow("vip", state="enabled", name="", options={"suppressUnchanged": False})
    there = state([flow("vip")], [GOLD])

    steps = plan(configuration([spelled_out], [GOLD | {"mergePolicyId": "default"}]), there, prune=False)

    assert {step.action for step in steps} == {Action.UNCHANGED}
    assert not carried_out(steps, there)


def test_m2_what_differs_is_changed_and_a_flow_gets_a_new_etag() -> None:
    there = state([flow("vip")], [GOLD])

    steps = plan(configuration([flow("vip", state="disabled")], [GOLD | {"name": "Gold"}]), there, prune=False)

    assert told(steps) == [("audience", "ups/gold", Action.CHANGE), ("flow", "vip", Action.CHANGE)]
    assert orjson.loads(carried_out(steps, there)[1][1].value or b"")["etag"] == "etag-1"


@pytest.mark.parametrize(("prune", "action"), [(False, Action.KEEP), (True, Action.REMOVE)])
def test_what_the_file_does_not_name_is_kept_or_pruned(prune: bool, action: Action) -> None:
    there = state([flow("old")], [GOLD])

    steps = plan(configuration([flow("new")]), there, prune=prune)

    assert told(steps) == [("flow", "new", Action.CREATE), ("flow", "old", action), ("audience", "ups/gold", action)]
    gone = [(record.key, record.value) for _, record in carried_out(steps, there)[1:]]
    assert gone == ([(b"old", None), (b'["ups","gold"]', None)] if prune else [])


@pytest.mark.parametrize("value", [b"no json", b"[]", b"{}", b'{"flow": {"id": "vip"}, "etag": "e"}'])
def test_a_record_that_is_no_flow_is_written_over(value: bytes) -> None:
    there = ControlState().after([(Topic.FLOWS, ProducerRecord(b"vip", value))])

    steps = plan(configuration([flow("vip")]), there, prune=False)

    assert told(steps) == [("flow", "vip", Action.CHANGE)]
    assert not there.after(carried_out(steps, there)).unreadable


def test_a_secret_stays_the_reference_that_the_file_has() -> None:
    keys = {"type": "keys", "accessKeyId": "AK", "secretKey": "${VIP_SECRET}"}
    steps = plan(
        configuration([flow("vip") | {"destination": DESTINATION | {"credentials": keys}}]), state(), prune=False
    )

    ((_, record),) = carried_out(steps, state())

    assert orjson.loads(record.value or b"")["flow"]["destination"]["credentials"]["secretKey"] == "${VIP_SECRET}"


def test_m3_more_flows_than_are_allowed_are_refused_with_those_that_the_file_does_not_name() -> None:
    there = state([flow(f"old-{number}") for number in range(MAX_FLOWS)])

    with pytest.raises(
        UsageError, match=rf"{MAX_FLOWS + 1} flows would be in force \({MAX_FLOWS} of them not in the file\)"
    ):
        plan(configuration([flow("one-more")]), there, prune=False)
    assert len(plan(configuration([flow("one-more")]), there, prune=True)) == MAX_FLOWS + 1


@pytest.mark.parametrize("gate", ["consents.share", ["consents.share"], ["consents.share", "optInOut.all"], []])
def test_f6_a_consent_gate_of_one_path_or_of_several_is_put_into_force_and_read_again_as_it_was_said(gate: Any) -> None:
    wanted = configuration([flow("vip", options={"consentGate": gate})])
    ((_, record),) = carried_out(plan(wanted, state(), prune=False), state())
    there = ControlState().after([(Topic.FLOWS, record)])

    again = plan(configuration([flow("vip", options={"consentGate": gate})]), there, prune=False)
    other = plan(
        configuration([flow("vip", options={"consentGate": [gate, "more"] if isinstance(gate, str) else "more"})]),
        there,
        prune=False,
    )

    assert orjson.loads(record.value or b"")["flow"]["options"]["consentGate"] == gate
    assert told(again) == [("flow", "vip", Action.UNCHANGED)]
    assert told(other) == [("flow", "vip", Action.CHANGE)]
