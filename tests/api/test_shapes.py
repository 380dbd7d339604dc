"""Every item has the shape that Adobe's clients expect: a schema, written from the published examples of the Flow
Service API.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from cryptography.fernet import Fernet
from jsonschema import Draft202012Validator

from processor.api.access import Access, Role, Token
from processor.api.errors import Code
from processor.foundation.secrets import Secrets
from tests.api.conftest import Api
from tests.api.test_errors import NATIVE, refused
from tests.api.tutorial import BASE, HEADERS, KINESIS, PROFILE_SERVICE, SECRET, Tutorial

TOKENS = {"ada": "ada's own token", "bob": "bob's own token"}
ETAG = {"type": "string", "pattern": '^"[^"]+"$'}
MILLISECONDS = {"type": "integer", "minimum": 1_500_000_000_000}
TEXT = {"type": "string", "minLength": 1}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


SPEC = an_object(id=TEXT, version=TEXT)
BASE_CONNECTION = an_object(id=TEXT, connectionSpec=SPEC)
ITEM = an_object(
    id=TEXT,
    name=TEXT,
    createdAt=MILLISECONDS,
    updatedAt=MILLISECONDS,
    createdBy=TEXT,
    updatedBy=TEXT,
    imsOrgId=TEXT,
    sandboxName=TEXT,
    state={"enum": ["enabled", "disabled"]},
    version=ETAG,
    etag=ETAG,
)
CONNECTION = {"allOf": [ITEM, an_object(connectionSpec=SPEC, state={"const": "enabled"})]}
ON_A_BASE = {
    "allOf": [
        CONNECTION,
        an_object(baseConnectionId=TEXT, data={"type": "object"}, params={"type": "object"}),
        an_object(inheritedAttributes=an_object(baseConnection=BASE_CONNECTION)),
    ]
}
INHERITED = {
    "type": "array",
    "minItems": 1,
    "items": an_object(id=TEXT, connectionSpec=SPEC, baseConnection=BASE_CONNECTION),
}
FLOW = {
    "allOf": [
        ITEM,
        an_object(
            flowSpec=SPEC,
            sourceConnectionIds={"type": "array", "items": TEXT, "minItems": 1},
            targetConnectionIds={"type": "array", "items": TEXT, "minItems": 1},
            transformations={"type": "array", "items": an_object(name=TEXT, params={"type": "object"})},
            inheritedAttributes=an_object(
                properties=an_object(isDestinationFlow={"const": True}),
                sourceConnections=INHERITED,
                targetConnections=INHERITED,
            ),
        ),
    ]
}
SCHEMAS = {"connections": CONNECTION, "sourceConnections": ON_A_BASE, "targetConnections": ON_A_BASE, "flows": FLOW}


@pytest.fixture
def api() -> Iterator[Api]:
    """With two tokens."""
    tokens = [
        Token(name=name, sha256=sha256(token.encode()).hexdigest(), role=Role.WRITE) for name, token in TOKENS.items()
    ]
    with Api(Secrets([Fernet.generate_key().decode()]), Access(tokens, 5)) as client:
        yield client


@pytest.fixture
def ada(api: Api, monkeypatch: pytest.MonkeyPatch) -> Tutorial:
    """She calls, where nobody else does."""
    monkeypatch.setitem(HEADERS, "Authorization", f"Bearer {TOKENS['ada']}")
    api.headers["Authorization"] = f"Bearer {TOKENS['ada']}"
    return Tutorial(api)


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("made_by", ["the tutorial", "a file"])
def test_every_item_has_the_shape_of_the_published_examples(api: Api, ada: Tutorial, kind: str, made_by: str) -> None:
    if made_by == "a file":
        assert api.put("/v1/flows/by-file", json=NATIVE).status_code == 200
    else:
        ada.whole()

    items = ada.get(f"/{kind}")["items"]

    assert items
    for item in [*items, ada.one(f"/{kind}/{items[0]['id']}")]:
        assert [error.message for error in Draft202012Validator(SCHEMAS[kind]).iter_errors(item)] == []


def test_a_flow_names_the_base_connections_that_there_are(ada: Tutorial) -> None:
    flow = ada.one(f"/flows/{ada.whole()['id']}")

    for kind, spec in (("sourceConnections", PROFILE_SERVICE), ("targetConnections", KINESIS)):
        (inherited,) = flow["inheritedAttributes"][kind]
        connection = ada.one(f"/{kind}/{inherited['id']}")
        base = ada.one(f"/connections/{inherited['baseConnection']['id']}")
        assert connection["baseConnectionId"] == base["id"]
        assert connection["inheritedAttributes"]["baseConnection"] == inherited["baseConnection"]
        assert (
            inherited["connectionSpec"]
            == inherited["baseConnection"]["connectionSpec"]
            == {
                "id": spec,
                "version": "1.0",
            }
        )
        assert base["connectionSpec"]["id"] == spec


@pytest.mark.parametrize(
    "place", ["targetConnections[].connectionSpec", "targetConnections[].baseConnection.connectionSpec"]
)
def test_flows_are_found_by_the_spec_of_their_target(ada: Tutorial, place: str) -> None:
    created = ada.whole()

    found = ada.get("/flows", property=f"inheritedAttributes.{place}.id=={KINESIS}")["items"]
    others = ada.get("/flows", property=f"inheritedAttributes.{place}.id=={PROFILE_SERVICE}")["items"]

    assert [item["id"] for item in found] == [created["id"]]
    assert others == []


def test_the_organisation_and_the_sandbox_are_those_of_the_caller_or_stable_ones(api: Api, ada: Tutorial) -> None:
    ada.whole()

    of_the_caller = ada.get("/flows")["items"][0]
    without = api.get(f"{BASE}/flows").json()["items"][0]

    assert (of_the_caller["imsOrgId"], of_the_caller["sandboxName"]) == (
        HEADERS["x-gw-ims-org-id"],
        HEADERS["x-sandbox-name"],
    )
    assert (without["imsOrgId"], without["sandboxName"]) == ("profile-exporter@AdobeOrg", "prod")
    assert api.get(f"{BASE}/flows", headers={"x-sandbox-name": "x" * 600}).status_code == 400


def test_who_created_and_who_changed_an_object_is_kept_on_the_topics(api: Api, ada: Tutorial) -> None:
    flow = ada.one(f"/flows/{ada.whole()['id']}")
    (target_id,) = flow["targetConnectionIds"]
    target = ada.one(f"/targetConnections/{target_id}")
    as_bob = {"Authorization": f"Bearer {TOKENS['bob']}", "If-Match": target["etag"]}

    renamed = api.patch(
        f"{BASE}/targetConnections/{target_id}",
        json=[{"op": "replace", "path": "/params/stream", "value": "other"}],
        headers=as_bob,
    )

    assert renamed.status_code == 200, renamed.text
    assert (flow["createdBy"], flow["updatedBy"], target["createdBy"], target["updatedBy"]) == ("ada",) * 4
    restarted = api.log.state()  # a fold of what is on the topics, and of nothing else
    assert {(kept.created_by, kept.updated_by) for kept in restarted.flows.values()} == {("ada", "bob")}
    for path in (f"/flows/{flow['id']}", f"/targetConnections/{target_id}"):
        assert [ada.one(path)[name] for name in ("createdBy", "updatedBy")] == ["ada", "bob"]


@pytest.mark.parametrize("name", ["createdBy", "updatedBy", "imsOrgId", "sandboxName", "state", "inheritedAttributes"])
def test_no_client_changes_who_made_an_object_nor_whose_it_is(ada: Tutorial, name: str) -> None:
    connection = ada.one(f"/connections/{ada.connect_base()}")

    answer = ada.patch(
        f"/connections/{connection['id']}", [{"op": "add", "path": f"/{name}", "value": "mallory"}], connection["etag"]
    )

    assert answer.status_code == 400
    assert name in answer.json()["errorDetails"]


@pytest.mark.parametrize("etag", ['""', "", "no-quotes", "'8b03'", 'W/"8b03"', '"8b03", "8b04"'])
def test_an_if_match_that_names_no_etag_of_the_object_is_stale(ada: Tutorial, etag: str) -> None:
    connection = ada.one(f"/connections/{ada.connect_base()}")

    answer = ada.patch(f"/connections/{connection['id']}", [{"op": "replace", "path": "/name", "value": "lost"}], etag)

    assert (answer.status_code, answer.json()["type"][-13:]) == (412, "FLOW-1404-412")
    assert ada.one(f"/connections/{connection['id']}") == connection


WRONG = [None, "", " \n", 5, True, [], {}]


@pytest.mark.parametrize("name", ["accessKeyId", "secretKey"])
@pytest.mark.parametrize("value", [*WRONG, "missing"])
def test_credentials_that_are_none_are_named(api: Api, ada: Tutorial, name: str, value: object) -> None:
    params = {"accessKeyId": "AK", "secretKey": SECRET, "region": "us-east-2"} | {name: value}
    if value == "missing":
        del params[name]
    auth = {"specName": "Aws Kinesis authentication credentials", "params": params}

    answer = api.post(
        f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS, "version": "1.0"}, "auth": auth}
    )

    refused(api, answer, Code.INVALID, f"auth.params.{name}")
    assert SECRET not in answer.text
    assert not api.log.state().objects


@pytest.mark.parametrize("params", [{}, None, "missing"])
def test_credentials_without_params_are_named(api: Api, ada: Tutorial, params: object) -> None:
    auth = {"specName": "Aws Kinesis authentication credentials"} | ({} if params == "missing" else {"params": params})

    refused(
        api,
        api.post(f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS}, "auth": auth}),
        Code.INVALID,
        "auth.params",
    )


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ("missing", "params"),
        (None, "params"),
        ({}, "params.stream"),
        ({"region": "us-east-2"}, "params.stream"),
        ({"stream": "s"}, "params.region"),
        ({"stream": "", "region": "us-east-2"}, "params.stream"),
        ({"stream": "s", "region": ""}, "params.region"),
        ({"stream": 5, "region": "us-east-2"}, "params.stream"),
        ({"stream": "s", "region": 5}, "params.region"),
        ({"stream": "s", "region": "no region"}, "region"),
    ],
)
def test_a_target_without_stream_region_or_params_is_refused_by_their_names(
    api: Api, ada: Tutorial, params: object, name: str
) -> None:
    body = {"name": "t", "baseConnectionId": ada.connect_base(), "connectionSpec": {"id": KINESIS, "version": "1.0"}}

    answer = api.post(f"{BASE}/targetConnections", json=body if params == "missing" else body | {"params": params})

    refused(api, answer, Code.INVALID, name)
