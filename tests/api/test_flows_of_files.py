"""Flows that a file made, seen and changed by a client of the Flow Service: what is derived, what is stored, and what
is in force.
"""

from typing import Any

import pytest

from schemas.connection import Kind
from tests.api.conftest import Api
from tests.api.test_errors import code_of
from tests.api.tutorial import BASE, FLOW_SPEC, Tutorial

DESTINATION = {"type": "kinesis", "stream": "a", "region": "us-east-2"}
MAPPED = {"namespace": "ups", "id": "gold", "createdAt": "2022-04-13T13:29:30Z", "updatedAt": "2022-04-14T00:00:00Z"}


def put(api: Api, stream: str = "a", **more: Any) -> None:
    answer = api.put("/v1/flows/vip", json={"name": "VIPs", "destination": DESTINATION | {"stream": stream}, **more})
    assert answer.status_code == 200, answer.text


def stream_in_force(api: Api) -> str:
    return api.log.state().flows["vip"].item.destination.stream


@pytest.fixture
def tutorial(api: Api) -> Tutorial:
    put(api)
    return Tutorial(api)


def replace(path: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "add", "path": path, "value": value}]


def patch_flow(tutorial: Tutorial, operations: list[dict[str, Any]]) -> None:
    answer = tutorial.patch("/flows/vip", operations, tutorial.one("/flows/vip")["etag"])
    assert answer.status_code == 200, answer.text


def test_a_harmless_patch_leaves_a_flow_where_a_file_sent_it_meanwhile(api: Api, tutorial: Tutorial) -> None:
    patch_flow(tutorial, replace("/name", "renamed"))  # its connections become real, and say a
    put(api, stream="b")

    (target_id,) = tutorial.one("/flows/vip")["targetConnectionIds"]
    patch_flow(tutorial, replace("/description", "harmless"))

    assert tutorial.one(f"/targetConnections/{target_id}")["params"]["stream"] == "b"
    assert stream_in_force(api) == "b"


def test_a_flow_hangs_on_its_own_target_also_when_its_source_was_derived(api: Api, tutorial: Tutorial) -> None:
    (source_id,) = tutorial.one("/flows/vip")["sourceConnectionIds"]
    target_id = tutorial.connect_target(tutorial.connect_base())
    flow = tutorial.create_flow(source_id, target_id)

    assert tutorial.one(f"/flows/{flow['id']}")["targetConnectionIds"] == [target_id]
    target = tutorial.one(f"/targetConnections/{target_id}")
    assert (
        tutorial.patch(
            f"/targetConnections/{target_id}", replace("/params/stream", "other"), target["etag"]
        ).status_code
        == 200
    )
    assert api.log.state().flows[flow["id"]].item.destination.stream == "other"
    assert code_of(api.delete(f"{BASE}/targetConnections/{target_id}")) == "FLOW-1447-400"


def test_a_target_moves_to_a_base_connection_that_was_derived(api: Api, tutorial: Tutorial) -> None:
    (target_id,) = tutorial.one("/flows/vip")["targetConnectionIds"]
    base_id = tutorial.one(f"/targetConnections/{target_id}")["baseConnectionId"]
    own = tutorial.connect_target(tutorial.connect_base())
    flow = tutorial.create_flow(tutorial.connect_source(), own)

    answer = tutorial.patch(
        f"/targetConnections/{own}",
        replace("/baseConnectionId", base_id),
        tutorial.one(f"/targetConnections/{own}")["etag"],
    )

    assert answer.status_code == 200, answer.text
    assert api.log.state().flows[flow["id"]].item.destination.credentials.type == "default"


def test_what_becomes_real_keeps_the_etag_and_the_times_that_were_shown(api: Api, tutorial: Tutorial) -> None:
    (target_id,) = tutorial.one("/flows/vip")["targetConnectionIds"]
    shown = tutorial.one(f"/targetConnections/{target_id}")
    api.now_ms += 60_000

    patch_flow(tutorial, replace("/description", "another"))

    assert (Kind.TARGET_CONNECTION, target_id) in api.log.state().objects
    assert tutorial.one(f"/targetConnections/{target_id}") == shown
    assert (
        tutorial.patch(f"/targetConnections/{target_id}", replace("/params/stream", "b"), shown["etag"]).status_code
        == 200
    )
    assert stream_in_force(api) == "b"


def test_an_option_that_is_taken_from_the_target_is_off_at_once(api: Api, tutorial: Tutorial) -> None:
    (target_id,) = tutorial.one("/flows/vip")["targetConnectionIds"]
    on = tutorial.patch(
        f"/targetConnections/{target_id}",
        replace("/params/includeSegmentNames", True),
        tutorial.one(f"/targetConnections/{target_id}")["etag"],
    )
    assert api.log.state().flows["vip"].item.options.include_segment_names

    off = tutorial.patch(
        f"/targetConnections/{target_id}", [{"op": "remove", "path": "/params/includeSegmentNames"}], on.json()["etag"]
    )

    assert off.status_code == 200
    assert not api.log.state().flows["vip"].item.options.include_segment_names


def test_c6_the_times_of_a_selector_are_those_of_its_mapping(api: Api, tutorial: Tutorial) -> None:
    put(api, audiences=[MAPPED, {"namespace": "ups", "id": "unknown-times"}])

    def values() -> list[dict[str, Any]]:
        params = tutorial.one("/flows/vip")["transformations"][0]["params"]
        return [selector["value"] for selector in params["segmentSelectors"]["selectors"]]

    before = values()
    patch_flow(tutorial, replace("/description", "another"))

    assert [(value.get("createTime"), value.get("updateTime")) for value in before] == [
        ("1649856570", "1649894400"),
        (None, None),
    ]
    assert values() == before
    assert [each.created_at for each in api.log.state().flows["vip"].item.audiences] == ["2022-04-13T13:29:30Z", None]


@pytest.mark.parametrize(
    "data", ['{"a": "\\ud800"}', '{"a": 123456789012345678901234567890}', '{"a":' * 300 + "1" + "}" * 300]
)
def test_what_cannot_be_stored_is_refused(api: Api, data: str) -> None:
    tutorial = Tutorial(api)
    base_id = tutorial.post(
        "/connections", {"name": "p", "connectionSpec": {"id": "8a9c3494-9708-43d7-ae3f-cda01e5030e1"}}
    )["id"]
    spec = '{"id": "8a9c3494-9708-43d7-ae3f-cda01e5030e1"}'
    body = f'{{"name": "x", "baseConnectionId": "{base_id}", "connectionSpec": {spec}, "data": {data}}}'

    answer = api.post(f"{BASE}/sourceConnections", content=body.encode(), headers={"content-type": "application/json"})

    assert code_of(answer) == "FLOW-9001-400"


def test_a_new_secret_is_not_quoted_by_the_error_of_a_later_operation(api: Api) -> None:
    tutorial = Tutorial(api)
    base = tutorial.one(f"/connections/{tutorial.connect_base()}")
    operations = [*replace("/auth/params/secretKey", "NEWSECRET"), *replace("/auth/params/nope/x", 1)]

    answer = tutorial.patch(f"/connections/{base['id']}", operations, base["etag"])

    assert code_of(answer) == "FLOW-1455-400"
    assert "operation 1" in answer.json()["errorDetails"]
    assert "NEWSECRET" not in answer.text


def test_a_wrong_media_type_is_called_one(api: Api) -> None:
    assert (
        code_of(api.post(f"{BASE}/flows", content=b"name=x", headers={"content-type": "text/plain"})) == "FLOW-9204-415"
    )


@pytest.mark.parametrize(
    "query",
    [
        'property=name=="a, b"',
        "property=sourceConnectionIds=={source}",
        "property=transformations.params.segmentSelectors.selectors.value.id==second",
    ],
)
def test_filters_hold_commas_in_quotes_and_find_any_item_of_a_list(api: Api, query: str) -> None:
    put(api, audiences=[MAPPED, {"namespace": "ups", "id": "second"}])
    api.put("/v1/flows/vip", json=api.get("/v1/flows/vip").json()["flow"] | {"name": "a, b"})
    (source_id,) = Tutorial(api).one("/flows/vip")["sourceConnectionIds"]

    items = api.get(f"{BASE}/flows?{query.replace('{source}', source_id)}").json()["items"]

    assert [item["id"] for item in items] == ["vip"]
    assert FLOW_SPEC in items[0]["flowSpec"]["id"]
