"""Streams of other accounts and records with a line feed (G10), as clients of the Flow Service and of our own calls say
them.
"""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.tutorial import BASE, KINESIS, Tutorial

ARN = "arn:aws:kinesis:eu-west-1:210987654321:stream/profiles"


def post_target(api: Api, base_id: str, **params: Any) -> Any:
    body = {"name": "stream", "baseConnectionId": base_id, "connectionSpec": {"id": KINESIS}, "params": params}
    return api.post(f"{BASE}/targetConnections", json=body)


@pytest.mark.parametrize("beside", [{}, {"region": "eu-west-1"}, {"stream": "profiles", "region": "eu-west-1"}])
def test_g10_a_target_connection_names_a_stream_of_another_account(api: Api, beside: dict[str, str]) -> None:
    """The base connection names a region of its own, for streams that name none."""
    tutorial = Tutorial(api)
    target = post_target(api, tutorial.connect_base(), streamArn=ARN, recordDelimiter="newline", **beside)
    assert target.status_code == 201, target.text

    flow_id = tutorial.create_flow(tutorial.connect_source(), target.json()["id"])["id"]

    flow = api.log.state().flows[flow_id].item
    assert (flow.destination.stream_arn, flow.destination.stream, flow.destination.region) == (
        ARN,
        "profiles",
        "eu-west-1",
    )
    assert flow.options.record_delimiter == "newline"
    assert tutorial.one(f"/targetConnections/{target.json()['id']}")["params"] == {
        "streamArn": ARN,
        "recordDelimiter": "newline",
        **beside,
    }


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"streamArn": ARN, "stream": "other"}, "params.streamArn: names the stream profiles, and stream says other"),
        (
            {"streamArn": ARN, "region": "us-east-2"},
            "params.streamArn: names the region eu-west-1, and region says us-east-2",
        ),
        ({"streamArn": "profiles"}, "params.streamArn: is no ARN of a Kinesis stream"),
        ({"stream": ARN, "region": "eu-west-1"}, "params.stream: is an ARN, and no name: write it as streamArn"),
        ({"region": "eu-west-1"}, "params.stream: Field required, or streamArn"),
        ({"stream": "s", "region": "eu-west-1", "recordDelimiter": "crlf"}, "params.recordDelimiter"),
    ],
)
def test_g10_m4_what_does_not_agree_is_refused_with_its_place(api: Api, params: dict[str, str], told: str) -> None:
    answer = post_target(api, Tutorial(api).connect_base(), **params)

    assert answer.status_code == 400
    assert told in answer.json()["errorDetails"]


def test_g10_a_flow_moves_to_another_account_and_back_by_its_target_connection(api: Api) -> None:
    tutorial = Tutorial(api)
    flow_id = tutorial.whole()["id"]
    (target_id,) = tutorial.one(f"/flows/{flow_id}")["targetConnectionIds"]
    target = tutorial.one(f"/targetConnections/{target_id}")

    there = tutorial.patch(
        f"/targetConnections/{target_id}",
        [{"op": "replace", "path": "/params", "value": {"streamArn": ARN}}],
        target["etag"],
    )
    assert there.status_code == 200, there.text
    assert api.log.state().flows[flow_id].item.destination.stream_arn == ARN
    back = tutorial.patch(
        f"/targetConnections/{target_id}",
        [{"op": "replace", "path": "/params", "value": target["params"]}],
        there.json()["etag"],
    )
    assert back.status_code == 200, back.text

    assert api.log.state().flows[flow_id].item.destination.stream_arn is None
    assert tutorial.one(f"/targetConnections/{target_id}")["params"] == target["params"]


def test_g10_a_flow_of_a_file_is_shown_with_its_arn_and_hangs_together_with_what_is_derived(api: Api) -> None:
    flow = {"destination": {"type": "kinesis", "streamArn": ARN}, "options": {"recordDelimiter": "newline"}}
    assert api.put("/v1/flows/vip", json=flow).status_code == 200
    tutorial = Tutorial(api)

    (target_id,) = tutorial.one("/flows/vip")["targetConnectionIds"]
    params = tutorial.one(f"/targetConnections/{target_id}")["params"]
    changed = tutorial.patch(
        "/flows/vip", [{"op": "add", "path": "/description", "value": "x"}], tutorial.one("/flows/vip")["etag"]
    )

    assert params == {"streamArn": ARN, "recordDelimiter": "newline"}
    assert changed.status_code == 200, changed.text
    shown = api.get("/v1/flows/vip").json()["flow"]
    assert shown["destination"]["streamArn"] == ARN
    assert shown["options"]["recordDelimiter"] == "newline"
    assert tutorial.one("/flows/vip")["targetConnectionIds"] == [target_id]


def test_g10_the_option_of_records_at_the_target_is_refused_at_the_flow(api: Api) -> None:
    tutorial = Tutorial(api)
    source_id, target_id = tutorial.connect_source(), tutorial.connect_target(tutorial.connect_base())
    body = {"name": "f", "flowSpec": {"id": "71471eba-b620-49e4-90fd-23f1fa0174d8"}, "sourceConnectionIds": [source_id]}

    answer = api.post(
        f"{BASE}/flows", json=body | {"targetConnectionIds": [target_id], "options": {"recordDelimiter": "newline"}}
    )

    assert answer.status_code == 400
    assert "options.recordDelimiter is said by params of the target connection" in answer.text
