"""Every error of the control API: its code, its form, and that nothing was changed (docs/control-api.md)."""

from typing import Any

import pytest
from httpx2 import Response

from processor.api.errors import Code
from processor.foundation.secrets import Secrets
from schemas.flow import MAX_FLOWS
from tests.api.conftest import Access, Api
from tests.api.tutorial import BASE, FLOW_SPEC, KINESIS, PROFILE_SERVICE, SECRET, Tutorial

NATIVE = {"destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"}}


def code_of(answer: Response) -> str:
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("https://")
    assert body["title"] == body["errorMessage"]
    assert body["errorDetails"] == body["report"]["detailed-message"]
    assert body["report"]["request-id"]
    assert "items" not in body
    assert "Traceback" not in answer.text
    return str(body["type"].rpartition("/")[2])


def refused(api: Api, answer: Response, code: Code, *words: str) -> None:
    assert code_of(answer) == code, answer.text
    for word in words:
        assert word in answer.json()["errorDetails"]


@pytest.fixture
def made(api: Api) -> dict[str, Any]:
    """A flow of the tutorial, as it is shown."""
    tutorial = Tutorial(api)
    return tutorial.one(f"/flows/{tutorial.whole()['id']}")


@pytest.mark.parametrize("body", [b"", b"null"])
@pytest.mark.parametrize("path", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_an_empty_or_null_body(api: Api, path: str, body: bytes) -> None:
    refused(
        api, api.post(f"{BASE}/{path}", content=body, headers={"content-type": "application/json"}), Code.BODY_MISSING
    )


def test_a_body_that_is_no_json(api: Api) -> None:
    refused(
        api,
        api.post(f"{BASE}/flows", content=b"{", headers={"content-type": "application/json"}),
        Code.INVALID,
        "no JSON",
    )


def test_faults_of_a_body_are_told_all_at_once_with_their_places_and_without_their_values(api: Api) -> None:
    auth = {
        "specName": "Aws Kinesis authentication credentials",
        "params": {"accessKeyId": "AK", "secretKey": {"is": SECRET}, "token": SECRET},
    }

    answer = api.post(f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS}, "auth": auth})

    refused(api, answer, Code.INVALID, "auth.params.secretKey", "auth.params.token")
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("keys", "place", "why"),
    [
        ({"accessKeyId": "${SHOP_SECRET}", "secretKey": "${SHOP_SECRET}"}, "accessKeyId", "sent in clear"),
        (
            {"accessKeyId": "${PROFILE_EXPORTER_ACCESS_KEY_ID}", "secretKey": "${SHOP_SECRET}"},
            "accessKeyId",
            "a setting of profile-exporter",
        ),
        (
            {"accessKeyId": "AK", "secretKey": "${PROFILE_EXPORTER_SECRETS_KEY}"},
            "secretKey",
            "a setting of profile-exporter",
        ),
    ],
)
def test_g7_nobody_has_other_variables_sent_to_an_endpoint_of_his(
    api: Api, keys: dict[str, str], place: str, why: str
) -> None:
    auth = {"specName": "Aws Kinesis authentication credentials", "params": keys}
    flow = {
        "name": "Mine",
        "destination": {
            "type": "kinesis",
            "stream": "s",
            "region": "us-east-2",
            "credentials": {"type": "keys", **keys},
        },
    }

    connection = api.post(f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS}, "auth": auth})
    native = api.put("/v1/flows/mine", json=flow)

    refused(api, connection, Code.INVALID, f"auth.params.{place}", why)
    refused(api, native, Code.INVALID, "destination.credentials", place, why)


def test_an_unknown_spec_and_one_that_does_not_fit(api: Api) -> None:
    base_id = Tutorial(api).connect_base()
    body = {"name": "x", "baseConnectionId": base_id, "params": {"stream": "s"}}

    refused(
        api, api.post(f"{BASE}/connections", json={"name": "x", "connectionSpec": {"id": "nothing"}}), Code.UNKNOWN_SPEC
    )
    refused(
        api,
        api.post(f"{BASE}/targetConnections", json=body | {"connectionSpec": {"id": PROFILE_SERVICE}}),
        Code.UNKNOWN_SPEC,
    )


def test_an_unknown_authentication(api: Api) -> None:
    body = {"name": "x", "connectionSpec": {"id": KINESIS}}

    refused(
        api,
        api.post(f"{BASE}/connections", json=body | {"auth": {"specName": "OAuth", "params": {}}}),
        Code.UNKNOWN_AUTH,
        "Default credential",
    )
    refused(api, api.post(f"{BASE}/connections", json=body), Code.UNKNOWN_AUTH, "auth is missing")


def test_a_state_in_a_flow_that_is_created(api: Api) -> None:
    body = {
        "name": "x",
        "flowSpec": {"id": FLOW_SPEC},
        "sourceConnectionIds": ["a"],
        "targetConnectionIds": ["b"],
        "state": "disabled",
    }

    refused(api, api.post(f"{BASE}/flows", json=body), Code.STATE_IN_CREATE)


@pytest.mark.parametrize("name", ["sourceConnectionIds", "targetConnectionIds"])
def test_a_flow_of_connections_that_are_not_there(api: Api, name: str) -> None:
    tutorial = Tutorial(api)
    body = {
        "name": "x",
        "flowSpec": {"id": FLOW_SPEC},
        "sourceConnectionIds": [tutorial.connect_source()],
        "targetConnectionIds": [tutorial.connect_target(tutorial.connect_base())],
    }

    refused(api, api.post(f"{BASE}/flows", json=body | {name: ["nobody"]}), Code.INVALID, name, "nobody")
    assert not api.log.state().flows


def test_a_target_without_any_region(api: Api) -> None:
    auth = {"specName": "Default credential chain", "params": {}}
    base = api.post(f"{BASE}/connections", json={"name": "x", "connectionSpec": {"id": KINESIS}, "auth": auth}).json()
    body = {"name": "x", "baseConnectionId": base["id"], "connectionSpec": {"id": KINESIS}, "params": {"stream": "s"}}

    refused(api, api.post(f"{BASE}/targetConnections", json=body), Code.INVALID, "region")


def test_an_option_of_the_target_connection_at_the_flow(api: Api, made: dict[str, Any]) -> None:
    operations = [{"op": "add", "path": "/options/envelope", "value": "cloudevents"}]

    refused(
        api,
        Tutorial(api).patch(f"/flows/{made['id']}", operations, made["etag"]),
        Code.INVALID,
        "options.envelope",
        "target connection",
    )


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([], Code.BODY_MISSING),
        ([{"op": "merge", "path": "/name", "value": 1}], Code.UNSUPPORTED_OPERATION),
        ([{"op": "replace", "path": "/nothing/there", "value": 1}], Code.PATCH_FAILED),
        ([{"op": "replace", "path": "name", "value": "x"}], Code.PATCH_FAILED),
        ([{"op": "add", "path": "/name"}], Code.PATCH_FAILED),
        ([{"op": "remove", "path": "/transformations/0/params/segmentSelectors/selectors/7"}], Code.PATCH_FAILED),
        ([{"op": "test", "path": "/name", "value": "another"}], Code.PATCH_FAILED),
        ([{"op": "replace", "path": "/id", "value": "x"}], Code.PATCH_FAILED),
        ([{"op": "replace", "path": "/state", "value": "disabled"}], Code.PATCH_FAILED),
        ([{"op": "replace", "path": "/flowSpec/id", "value": KINESIS}], Code.PATCH_FAILED),
        ([{"op": "remove", "path": ""}], Code.PATCH_FAILED),
        ([{"op": "replace", "path": "/name", "value": ""}], Code.INVALID),
        ([{"op": "copy", "from": "/name/x", "path": "/description"}], Code.PATCH_FAILED),
        ([{"op": "move", "path": "/description"}], Code.PATCH_FAILED),
    ],
)
def test_a_patch_that_fails_changes_nothing_not_even_what_came_before_in_it(
    api: Api, made: dict[str, Any], operations: list[Any], code: Code
) -> None:
    first = [{"op": "replace", "path": "/name", "value": "half"}] if operations else []

    answer = Tutorial(api).patch(f"/flows/{made['id']}", [*first, *operations], made["etag"])

    refused(api, answer, code)
    assert Tutorial(api).one(f"/flows/{made['id']}") == made


def test_a_connection_spec_that_is_changed(api: Api, made: dict[str, Any]) -> None:
    target = Tutorial(api).one(f"/targetConnections/{made['targetConnectionIds'][0]}")
    operations = [{"op": "replace", "path": "/connectionSpec/id", "value": PROFILE_SERVICE}]

    refused(
        api, Tutorial(api).patch(f"/targetConnections/{target['id']}", operations, target["etag"]), Code.SPEC_CHANGED
    )


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/auth/params/secretKey", "value": "guess"},
        {"op": "test", "path": "/auth/params", "value": {}},
        {"op": "copy", "from": "/auth/params/secretKey", "path": "/description"},
        {"op": "move", "from": "/auth/params/secretKey", "path": "/description"},
    ],
)
def test_a_secret_can_neither_be_guessed_nor_copied_by_a_patch(api: Api, operation: dict[str, Any]) -> None:
    tutorial = Tutorial(api)
    connection = tutorial.one(f"/connections/{tutorial.connect_base()}")

    refused(
        api,
        tutorial.patch(f"/connections/{connection['id']}", [operation], connection["etag"]),
        Code.UNSUPPORTED_OPERATION,
    )


def test_a_secret_is_replaced_and_otherwise_stays(api: Api) -> None:
    tutorial = Tutorial(api)
    connection = tutorial.one(f"/connections/{tutorial.connect_base()}")
    path = f"/connections/{connection['id']}"

    renamed = tutorial.patch(path, [{"op": "replace", "path": "/name", "value": "other"}], connection["etag"])
    ((_, kept),) = api.log.state().objects.items()
    same = api.services.secrets.decrypt(kept.item.credentials.secret_key)  # type: ignore[union-attr]
    replaced = tutorial.patch(
        path, [{"op": "replace", "path": "/auth/params/secretKey", "value": "new secret"}], renamed.json()["etag"]
    )
    ((_, kept),) = api.log.state().objects.items()

    assert (renamed.status_code, replaced.status_code) == (200, 200)
    assert same == SECRET
    assert api.services.secrets.decrypt(kept.item.credentials.secret_key) == "new secret"  # type: ignore[union-attr]


def test_without_a_key_a_secret_is_refused_with_the_remedy() -> None:
    with Api(Secrets(), Access([], 5)) as api:
        auth = {
            "specName": "Aws Kinesis authentication credentials",
            "params": {"accessKeyId": "AK", "secretKey": SECRET},
        }

        answer = api.post(f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS}, "auth": auth})

        refused(api, answer, Code.NO_SECRETS_KEY, "PROFILE_EXPORTER_SECRETS_KEY", "default credential chain")
        assert SECRET not in answer.text


def test_m3_a_hundred_flows_are_allowed_and_no_more(api: Api) -> None:
    for number in range(MAX_FLOWS):
        assert api.put(f"/v1/flows/flow-{number}", json=NATIVE).status_code == 200

    refused(api, api.put("/v1/flows/one-more", json=NATIVE), Code.TOO_MANY_FLOWS)
    tutorial = Tutorial(api)
    source_id, target_id = tutorial.connect_source(), tutorial.connect_target(tutorial.connect_base())
    body = {
        "name": "x",
        "flowSpec": {"id": FLOW_SPEC},
        "sourceConnectionIds": [source_id],
        "targetConnectionIds": [target_id],
    }
    refused(api, api.post(f"{BASE}/flows", json=body), Code.TOO_MANY_FLOWS)
    assert len(api.log.state().flows) == MAX_FLOWS


def test_m3_fifty_one_attributes_and_251_audiences_are_warned_of(api: Api) -> None:
    body = NATIVE | {
        "attributes": [f"a.x{number}" for number in range(51)],
        "audiences": [{"namespace": "ups", "id": f"aud-{number}"} for number in range(251)],
    }

    answer = api.put("/v1/flows/many", json=body)

    assert answer.status_code == 200
    assert answer.json()["warnings"] == [
        "attributes: 51 are mapped, more than 50",
        "audiences: 251 are mapped, more than 250",
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("count=true&limit=5", Code.COUNT_WITH_LIMIT),
        ("property=name~=x", Code.BAD_FILTER),
        ("property=name=x", Code.BAD_FILTER),
        ("property=name", Code.BAD_FILTER),
        ("property===x", Code.BAD_FILTER),
        ("limit=0", Code.BAD_PAGE),
        ("limit=101", Code.BAD_PAGE),
        ("limit=many", Code.INVALID),
        ("continuationToken=forged", Code.BAD_PAGE),
        ("orderby=-", Code.BAD_PAGE),
    ],
)
def test_a_list_that_is_asked_for_wrongly(api: Api, query: str, code: Code) -> None:
    refused(api, api.get(f"{BASE}/flows?{query}"), code)


@pytest.mark.parametrize(
    "kind", ["connections", "sourceConnections", "targetConnections", "flows", "connectionSpecs", "flowSpecs", "runs"]
)
def test_what_is_not_there(api: Api, kind: str) -> None:
    refused(api, api.get(f"{BASE}/{kind}/nobody"), Code.NOT_FOUND, "nobody")


@pytest.mark.parametrize("kind", ["connections", "sourceConnections", "targetConnections", "flows"])
def test_what_is_not_there_cannot_be_changed_or_removed(api: Api, kind: str) -> None:
    operations = [{"op": "replace", "path": "/name", "value": "x"}]

    refused(api, Tutorial(api).patch(f"/{kind}/nobody", operations, "etag"), Code.NOT_FOUND)
    refused(api, api.delete(f"{BASE}/{kind}/nobody"), Code.NOT_FOUND)


def test_paths_methods_media_types_and_sizes(api: Api) -> None:
    refused(api, api.get(f"{BASE}/nothing"), Code.NO_SUCH_PATH)
    refused(api, api.delete(f"{BASE}/flows"), Code.METHOD_NOT_ALLOWED)
    refused(
        api,
        api.post(f"{BASE}/flows", content=b" " * 70_000, headers={"content-type": "application/json"}),
        Code.TOO_LARGE,
    )
    chunks = (b" " * 10_000 for _ in range(10))
    refused(
        api, api.post(f"{BASE}/flows", content=chunks, headers={"content-type": "application/json"}), Code.TOO_LARGE
    )


def test_an_action_that_there_is_none_of(api: Api, made: dict[str, Any]) -> None:
    refused(api, api.post(f"{BASE}/flows/{made['id']}/action?op=explode"), Code.ACTION_NOT_VALID)
    refused(api, api.post(f"{BASE}/flows/{made['id']}/action"), Code.INVALID, "op")
    refused(api, api.post(f"{BASE}/flows/nobody/action?op=enable"), Code.NOT_FOUND)


def test_native_calls_hold_the_etag_and_the_path(api: Api) -> None:
    etag = api.put("/v1/flows/vip", json=NATIVE).json()["etag"]

    refused(api, api.put("/v1/flows/vip", json=NATIVE | {"name": "x"}, headers={"If-Match": "old"}), Code.STALE)
    refused(api, api.put("/v1/flows/new", json=NATIVE, headers={"If-Match": etag}), Code.STALE)
    refused(api, api.put("/v1/flows/vip", json=NATIVE | {"id": "other"}), Code.INVALID, "id")
    refused(api, api.put("/v1/flows/vip", json=NATIVE | {"colour": "red"}), Code.INVALID, "colour")
    refused(api, api.put("/v1/flows/no%20id", json=NATIVE), Code.INVALID, "id")
    refused(api, api.delete("/v1/flows/vip", headers={"If-Match": "old"}), Code.STALE)
    refused(api, api.get("/v1/audiences/ups/nobody"), Code.NOT_FOUND)
    refused(api, api.delete("/v1/audiences/ups/nobody"), Code.NOT_FOUND)
    assert api.put("/v1/flows/vip", json=NATIVE | {"name": "x"}, headers={"If-Match": etag}).status_code == 200


def test_g9_a_flow_that_still_has_exits_to_send_is_given_up_only_on_demand(api: Api) -> None:
    exiting = {"id": "exiting", "audiences": [{"namespace": "ups", "id": "gold"}], "options": {"emitExitOnUnmap": True}}
    api.put("/v1/flows/exiting", json=NATIVE | exiting)

    refused(api, api.delete("/v1/flows/exiting?giveUp=true"), Code.INVALID, "delete it first")
    assert api.delete("/v1/flows/exiting").status_code == 204
    refused(api, api.delete("/v1/flows/exiting"), Code.NOT_FOUND)
    assert api.delete("/v1/flows/exiting?giveUp=true").status_code == 204
    refused(api, api.delete("/v1/flows/exiting?giveUp=true"), Code.NOT_FOUND)


def test_something_unforeseen_is_told_without_its_text(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(api.plane, "state", fail)

    refused(api, answer := api.get(f"{BASE}/flows"), Code.INTERNAL)
    assert SECRET not in answer.text
