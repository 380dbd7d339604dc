"""What `apply` would change, from the file and the topics' last values alone (contract M2 to M4, 4b)."""

from collections.abc import Callable
from itertools import count
from typing import Any

import orjson
import pytest

from processor.cli.plan import Action, Write, plan
from processor.configuration import Configuration, parse_configuration
from processor.errors import UsageError
from processor.kafka.catalog_records import StoredFlow, audience_key, audience_value, flow_key, flow_value
from schemas.audience import Audience
from schemas.flow import MAX_FLOWS, Flow

DESTINATION = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
GOLD = {"namespace": "ups", "id": "gold"}


def configuration(flows: list[dict[str, Any]] = [], audiences: list[dict[str, Any]] = []) -> Configuration:  # noqa: B006  # never changed
    return parse_configuration(orjson.dumps({"flows": flows, "audiences": audiences}), "test")


def flow(flow_id: str, **more: Any) -> dict[str, Any]:
    return {"id": flow_id, "destination": DESTINATION, **more}


def stored_flows(*flows: dict[str, Any]) -> dict[bytes, bytes]:
    return {flow_key(fields["id"]): flow_value(StoredFlow(Flow.model_validate(fields), "old")) for fields in flows}


def stored_audiences(*audiences: dict[str, Any]) -> dict[bytes, bytes]:
    read = [Audience.model_validate(fields) for fields in audiences]
    return {audience_key(audience.key): audience_value(audience) for audience in read}


def etags() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"etag-{next(numbers)}"


def planned(wanted: Configuration, flows: dict[bytes, bytes], audiences: dict[bytes, bytes], *, prune: bool = False) -> list[Write]:
    return plan(wanted, flows, audiences, prune=prune, new_etag=etags())


def told(writes: list[Write]) -> list[tuple[str, str, Action]]:
    return [(write.kind, write.name, write.action) for write in writes]


def test_what_is_new_is_created_audiences_before_the_flows_that_name_them() -> None:
    writes = planned(configuration([flow("vip", audiences=[GOLD])], [GOLD]), {}, {})

    assert told(writes) == [("audience", "ups/gold", Action.CREATE), ("flow", "vip", Action.CREATE)]
    assert [(write.key, write.writes) for write in writes] == [(b'["ups","gold"]', True), (b"vip", True)]
    assert orjson.loads(writes[1].value or b"")["etag"] == "etag-1"


def test_what_says_the_same_is_unchanged_however_it_is_spelled() -> None:
    spelled_out = flow("vip", state="enabled", name="", options={"suppressUnchanged": False})

    writes = planned(configuration([spelled_out], [GOLD | {"mergePolicyId": "default"}]), stored_flows(flow("vip")), stored_audiences(GOLD))

    assert {write.action for write in writes} == {Action.UNCHANGED}
    assert not any(write.writes or write.value for write in writes)


def test_m2_what_differs_is_changed_and_a_flow_gets_a_new_etag() -> None:
    writes = planned(configuration([flow("vip", state="disabled")], [GOLD | {"name": "Gold"}]), stored_flows(flow("vip")), stored_audiences(GOLD))

    assert told(writes) == [("audience", "ups/gold", Action.CHANGE), ("flow", "vip", Action.CHANGE)]
    assert orjson.loads(writes[1].value or b"")["etag"] == "etag-1"


@pytest.mark.parametrize(("prune", "action"), [(False, Action.KEEP), (True, Action.REMOVE)])
def test_what_the_file_does_not_name_is_kept_or_pruned(prune: bool, action: Action) -> None:
    writes = planned(configuration([flow("new")]), stored_flows(flow("old")), stored_audiences(GOLD), prune=prune)

    assert told(writes) == [("flow", "new", Action.CREATE), ("flow", "old", action), ("audience", '["ups","gold"]', action)]
    assert [(write.writes, write.value) for write in writes[1:]] == [(prune, None)] * 2


@pytest.mark.parametrize("value", [b"no json", b"[]", b"{}", b'{"flow": {"id": "vip"}, "etag": "e"}'])
def test_a_record_that_is_no_flow_is_written_over(value: bytes) -> None:
    writes = planned(configuration([flow("vip")]), {b"vip": value}, {})

    assert told(writes) == [("flow", "vip", Action.CHANGE)]


def test_a_secret_stays_the_reference_that_the_file_has() -> None:
    keys = {"type": "keys", "accessKeyId": "AK", "secretKey": "${VIP_SECRET}"}

    (write,) = planned(configuration([flow("vip") | {"destination": DESTINATION | {"credentials": keys}}]), {}, {})

    assert orjson.loads(write.value or b"")["flow"]["destination"]["credentials"]["secretKey"] == "${VIP_SECRET}"


def test_m3_more_flows_than_are_allowed_are_refused_with_those_that_the_file_does_not_name() -> None:
    there = stored_flows(*(flow(f"old-{number}") for number in range(MAX_FLOWS)))

    with pytest.raises(UsageError, match=rf"{MAX_FLOWS + 1} flows would be in force \({MAX_FLOWS} of them not in the file\)"):
        planned(configuration([flow("one-more")]), there, {})
    assert len(planned(configuration([flow("one-more")]), there, {}, prune=True)) == MAX_FLOWS + 1
