"""Paths in other notations and namespaces in another case (M5): the API refuses and warns as a file's author is
told.
"""

from typing import Any

import pytest

from processor.catalog.state import Topic
from schemas.flow import Flow
from schemas.model import STORED
from schemas.wire.flows import StoredFlow, encode_flow
from tests.api.conftest import NOW_MS, Api
from tests.api.tutorial import BASE, KINESIS, Tutorial

DESTINATION = {"type": "kinesis", "stream": "a", "region": "us-east-2"}
PREFIXED = "xdm:person.xdm:name"
DROPPED = f"{PREFIXED} is read as person.name: the prefix xdm: is dropped"
SHOUTED = "audiences: namespace UPS is not ups: they differ in case only, and are two; write ups if it is meant"


def selectors(path: str, namespace: str = "ups") -> list[dict[str, Any]]:
    paths = [{"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": path, "name": "noted"}}]
    audiences = [{"type": "PLATFORM_SEGMENT", "value": {"id": "a", "namespace": namespace}}]
    params = {"profileSelectors": {"selectors": paths}, "segmentSelectors": {"selectors": audiences}}
    return [{"name": "GeneralTransform", "params": params}]


@pytest.mark.parametrize(
    "rest",
    [
        {"attributes": ["/person/name"]},
        {"options": {"consentGate": "person/name"}},
        {"options": {"partitionKey": "attribute:$.person.name"}},
    ],
)
def test_m5_a_flow_as_in_a_file_is_refused_with_the_right_path(api: Api, rest: dict[str, Any]) -> None:
    answer = api.put("/v1/flows/vip", json={"destination": DESTINATION, **rest})

    assert answer.status_code == 400
    assert "write person.name" in answer.text
    assert api.log.state().flows == {}


def test_m5_a_flow_as_in_a_file_is_warned_of_the_prefix_and_of_the_namespace(api: Api) -> None:
    flow = {"destination": DESTINATION, "attributes": [PREFIXED], "audiences": [{"namespace": "UPS", "id": "a"}]}

    answer = api.put("/v1/flows/vip", json=flow)

    assert answer.json()["warnings"] == [f"attributes: {DROPPED}", SHOUTED]
    assert api.get("/v1/flows/vip").json()["flow"]["attributes"] == ["person.name"]


def test_m5_an_audience_is_warned_of_its_namespace(api: Api) -> None:
    answer = api.put("/v1/audiences/customerAudienceUpload/a", json={"name": "A"})

    assert answer.status_code == 200
    assert "namespace customerAudienceUpload is not CustomerAudienceUpload" in answer.json()["warnings"][0]


def test_m5_a_flow_of_the_flow_service_is_refused_or_warned_of_when_it_is_created_and_when_it_is_changed(
    api: Api,
) -> None:
    tutorial = Tutorial(api)
    source_id, target_id = tutorial.connect_source(), tutorial.connect_target(tutorial.connect_base())

    made = tutorial.create_flow(
        source_id, target_id, transformations=selectors(PREFIXED, "UPS"), options={"consentGate": "xdm:consents"}
    )
    path = "/transformations/0/params/profileSelectors/selectors/-"
    more = [{"op": "add", "path": path, "value": {"type": "JSON_PATH", "value": {"path": "xdm:email"}}}]
    changed = tutorial.patch(f"/flows/{made['id']}", more, made["etag"])
    wrong = [{"op": "add", "path": path, "value": {"type": "JSON_PATH", "value": {"path": "emails[0].address"}}}]
    refused = tutorial.patch(f"/flows/{made['id']}", wrong, changed.json()["etag"])

    gate = "options.consentGate: xdm:consents is read as consents: the prefix xdm: is dropped"
    assert made["warnings"] == [gate, f"attributes: {DROPPED}", SHOUTED]
    assert changed.json()["warnings"] == ["attributes: xdm:email is read as email: the prefix xdm: is dropped", SHOUTED]
    assert refused.status_code == 400
    assert "write emails, the whole of it" in refused.text
    assert api.log.state().flows[made["id"]].item.attributes == ("person.name", "email")
    shown = tutorial.one(f"/flows/{made['id']}")["transformations"][0]["params"]["profileSelectors"]["selectors"]
    assert [(each["value"]["path"], each["value"].get("name")) for each in shown] == [
        ("person.name", "noted"),
        ("email", None),
    ]


def test_m5_the_path_of_a_target_connection_is_read_in_the_same_way(api: Api) -> None:
    tutorial = Tutorial(api)
    base_id = tutorial.connect_base()
    body = {"name": "stream", "baseConnectionId": base_id, "connectionSpec": {"id": KINESIS}}
    place = {"stream": "s", "region": "us-east-2"}

    refused = api.post(
        f"{BASE}/targetConnections", json=body | {"params": place | {"partitionKey": "attribute:person/name"}}
    )
    made = tutorial.post("/targetConnections", body | {"params": place | {"partitionKey": f"attribute:{PREFIXED}"}})

    assert refused.status_code == 400
    assert "write person.name" in refused.text
    assert made["warnings"] == [f"params.partitionKey: {DROPPED}"]
    assert tutorial.one(f"/targetConnections/{made['id']}")["params"]["partitionKey"] == "attribute:person.name"


def test_m5_a_flow_that_was_put_into_force_before_is_shown_switched_and_corrected(api: Api) -> None:
    """The connections that are derived from the flow have its path, too."""
    options = {"partitionKey": "attribute:/person/name", "consentGate": "consents[0]"}
    fields = {"id": "old", "destination": DESTINATION, "attributes": ["/person/name"], "options": options}
    old = Flow.model_validate(fields, context=STORED)
    api.shared.records.append((Topic.FLOWS, encode_flow(StoredFlow(old, "etag-0"))._replace(timestamp=NOW_MS)))
    tutorial = Tutorial(api)

    assert tutorial.get("/targetConnections")["items"][0]["params"]["partitionKey"] == "attribute:/person/name"
    assert api.post(f"{BASE}/flows/old/action?op=disable", headers={"If-Match": "etag-0"}).status_code == 200
    assert not api.log.state().flows["old"].item.enabled
    corrected = api.put("/v1/flows/old", json={"destination": DESTINATION, "attributes": ["person.name"]})
    assert corrected.status_code == 200, corrected.text
