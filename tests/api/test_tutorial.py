"""A tutorial written for Adobe's Flow Service works unchanged but for the base URL."""

from tests.api.conftest import NOW_MS, Api
from tests.api.tutorial import BASE, FLOW_SPEC, HEADERS, KINESIS, PROFILE_SERVICE, SECRET, Tutorial


def test_from_the_list_of_specs_to_a_deleted_flow(api: Api) -> None:
    tutorial = Tutorial(api)

    specs = tutorial.get("/connectionSpecs", property='name=="Amazon Kinesis"')["items"]
    assert [spec["id"] for spec in specs] == [KINESIS]
    assert "Aws Kinesis authentication credentials" in [auth["name"] for auth in specs[0]["authSpec"]]
    assert [spec["id"] for spec in tutorial.get("/flowSpecs")["items"]] == [FLOW_SPEC]

    created = tutorial.whole()
    flow = tutorial.one(f"/flows/{created['id']}")
    assert flow["state"] == "enabled"
    assert flow["etag"] == flow["version"] == created["etag"]
    assert flow["etag"].startswith('"')
    assert (flow["createdAt"], flow["updatedAt"]) == (NOW_MS, NOW_MS)
    assert flow["inheritedAttributes"]["properties"] == {"isDestinationFlow": True}
    assert [each["connectionSpec"]["id"] for each in flow["inheritedAttributes"]["sourceConnections"]] == [
        PROFILE_SERVICE
    ]
    assert [each["connectionSpec"]["id"] for each in flow["inheritedAttributes"]["targetConnections"]] == [KINESIS]

    mapped = tutorial.map(flow["id"], flow["etag"])
    assert mapped.status_code == 200
    after = tutorial.one(f"/flows/{flow['id']}")
    assert after["etag"] == mapped.json()["etag"] != flow["etag"]
    params = after["transformations"][0]["params"]
    seconds = str(NOW_MS // 1000)
    assert params["segmentSelectors"]["selectors"] == [
        {
            "type": "PLATFORM_SEGMENT",
            "value": {
                "id": "aud-delorean",
                "namespace": "ups",
                "name": "DeLorean owners",
                "description": "of the future",
                "createTime": seconds,
                "updateTime": seconds,
            },
        }
    ]
    assert params["profileSelectors"]["selectors"][0]["value"]["path"] == "personalEmail.address"
    native = api.get(f"/v1/flows/{flow['id']}").json()["flow"]
    assert native["audiences"] == [
        {
            "namespace": "ups",
            "id": "aud-delorean",
            "createdAt": "2026-01-11T23:37:33Z",
            "updatedAt": "2026-01-11T23:37:33Z",
        }
    ]
    assert native["attributes"] == ["personalEmail.address"]

    for action, state in (("disable", "disabled"), ("ENABLE", "enabled")):
        answer = api.post(f"{BASE}/flows/{flow['id']}/action", params={"op": action}, headers=HEADERS)
        assert answer.status_code == 200
        assert tutorial.one(f"/flows/{flow['id']}")["state"] == state
    etag = tutorial.one(f"/flows/{flow['id']}")["etag"]
    again = api.post(f"{BASE}/flows/{flow['id']}/action?op=enable", headers=HEADERS)
    assert again.json() == {"id": flow["id"], "etag": etag}

    renamed = tutorial.patch(f"/flows/{flow['id']}", [{"op": "Replace", "path": "/name", "value": "VIPs"}], etag)
    assert renamed.status_code == 200
    removed = tutorial.patch(
        f"/flows/{flow['id']}",
        [
            {
                "op": "remove",
                "path": "/transformations/0/params/segmentSelectors/selectors/0",
                "value": {"superfluous": True},
            }
        ],
        renamed.json()["etag"],
    )
    assert removed.status_code == 200
    assert tutorial.one(f"/flows/{flow['id']}")["transformations"][0]["params"]["segmentSelectors"]["selectors"] == []

    assert api.delete(f"{BASE}/flows/{flow['id']}/", headers=HEADERS).status_code == 204
    assert api.get(f"{BASE}/flows/{flow['id']}", headers=HEADERS).status_code == 404


def test_the_secret_is_nowhere_but_encrypted(api: Api) -> None:
    tutorial = Tutorial(api)
    tutorial.whole()

    answers = [
        api.get(f"{BASE}/{kind}", headers=HEADERS).text
        for kind in ("connections", "sourceConnections", "targetConnections", "flows")
    ]
    answers += [api.get("/v1/flows").text]

    assert not any(SECRET in answer or "encrypted:" in answer or 'secretKey":"*' in answer for answer in answers[:-1])
    assert SECRET not in answers[-1]
    written = b"".join(record.value or b"" for _, record in api.shared.records)
    assert SECRET.encode() not in written
    assert written.count(b"encrypted:") == 2  # the connection and the flow; the audit event is masked
    (flow,) = api.log.state().flows.values()
    assert api.services.secrets.decrypt(flow.item.destination.credentials.secret_key) == SECRET  # type: ignore[union-attr]


def test_an_etag_that_is_bare_quoted_or_escaped_matches_and_a_stale_or_missing_one_changes_nothing(api: Api) -> None:
    tutorial = Tutorial(api)
    flow = tutorial.whole()
    path, bare = f"/flows/{flow['id']}", flow["etag"].strip('"')

    for number, form in enumerate(("{}", '"{}"', '"\\"{}\\""')):
        answer = tutorial.patch(
            path, [{"op": "replace", "path": "/name", "value": f"name {number}"}], form.format(bare)
        )
        assert answer.status_code == 200, answer.text
        bare = answer.json()["etag"].strip('"')
    stale = tutorial.patch(path, [{"op": "replace", "path": "/name", "value": "lost"}], flow["etag"])
    missing = api.patch(f"{BASE}{path}", json=[{"op": "replace", "path": "/name", "value": "lost"}], headers=HEADERS)
    by_query = api.patch(
        f"{BASE}{path}?if-match={bare}", json=[{"op": "replace", "path": "/name", "value": "lost"}], headers=HEADERS
    )

    assert (stale.status_code, stale.json()["type"][-13:]) == (412, "FLOW-1404-412")
    assert (missing.status_code, missing.json()["type"][-13:]) == (400, "FLOW-1403-400")
    assert (by_query.status_code, by_query.json()["status"]) == (400, 400)
    assert "items" not in stale.json()
    assert tutorial.one(path)["name"] == "name 2"


def test_a_change_of_a_target_connection_holds_for_its_flows_in_the_same_transaction(api: Api) -> None:
    tutorial = Tutorial(api)
    target_id = tutorial.connect_target(tutorial.connect_base())
    source_id = tutorial.connect_source()
    flows = [tutorial.create_flow(source_id, target_id)["id"] for _ in range(2)]
    etag, written = tutorial.one(f"/targetConnections/{target_id}")["etag"], len(api.shared.records)
    operations = [
        {"op": "replace", "path": "/params/stream", "value": "elsewhere"},
        {"op": "add", "path": "/params/includeSegmentNames", "value": True},
    ]

    answer = tutorial.patch(f"/targetConnections/{target_id}", operations, etag)

    assert answer.status_code == 200, answer.text
    state = api.log.state()
    assert {state.flows[flow].item.destination.stream for flow in flows} == {"elsewhere"}
    assert all(state.flows[flow].item.options.include_segment_names for flow in flows)
    assert len({state.flows[flow].etag for flow in flows}) == 2
    assert len(api.shared.records) > written


def test_a_flow_that_a_file_made_is_shown_with_connections_that_become_real_when_they_are_changed(api: Api) -> None:
    body = {
        "name": "from a file",
        "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"},
        "attributes": ["person"],
    }
    assert api.put("/v1/flows/by-file", json=body).status_code == 200
    tutorial = Tutorial(api)
    flow = tutorial.one("/flows/by-file")
    (target_id,) = flow["targetConnectionIds"]
    target = tutorial.one(f"/targetConnections/{target_id}")
    assert target["params"] == {"stream": "s", "region": "us-east-2"}
    assert not api.log.state().objects

    answer = tutorial.patch(
        f"/targetConnections/{target_id}",
        [{"op": "replace", "path": "/params/stream", "value": "other"}],
        target["etag"],
    )

    assert answer.status_code == 200, answer.text
    assert api.log.state().flows["by-file"].item.destination.stream == "other"
    assert tutorial.one("/flows/by-file")["targetConnectionIds"] == [target_id]
    assert (
        tutorial.one("/flows/by-file")["transformations"][0]["params"]["profileSelectors"]["selectors"][0]["value"][
            "path"
        ]
        == "person"
    )


def test_a_flow_that_a_file_sent_elsewhere_leaves_its_connections_alone(api: Api) -> None:
    tutorial = Tutorial(api)
    flow = tutorial.whole()
    view = tutorial.one(f"/flows/{flow['id']}")
    native = api.get(f"/v1/flows/{flow['id']}").json()["flow"]
    native["destination"]["stream"] = "elsewhere"

    assert api.put(f"/v1/flows/{flow['id']}", json=native).status_code == 200

    after = tutorial.one(f"/flows/{flow['id']}")
    assert after["targetConnectionIds"] != view["targetConnectionIds"]
    assert tutorial.one(f"/targetConnections/{after['targetConnectionIds'][0]}")["params"]["stream"] == "elsewhere"
    assert tutorial.one(f"/targetConnections/{view['targetConnectionIds'][0]}")["params"]["stream"] == "vip-profiles"
    assert (
        api.log.state().flows[flow["id"]].item.destination.credentials.type == "keys"
    )  # the masked secret stayed what it was


def test_what_is_in_use_cannot_be_removed(api: Api) -> None:
    tutorial = Tutorial(api)
    flow = tutorial.one(f"/flows/{tutorial.whole()['id']}")
    (target_id,), (source_id,) = flow["targetConnectionIds"], flow["sourceConnectionIds"]
    base_id = tutorial.one(f"/targetConnections/{target_id}")["baseConnectionId"]

    used = (f"connections/{base_id}", f"targetConnections/{target_id}", f"sourceConnections/{source_id}")
    refused = [api.delete(f"{BASE}/{path}") for path in used]
    assert [(each.status_code, each.json()["type"][-13:]) for each in refused] == [
        (400, "FLOW-1418-400"),
        (400, "FLOW-1447-400"),
        (400, "FLOW-1447-400"),
    ]
    for path in (
        f"flows/{flow['id']}",
        f"targetConnections/{target_id}",
        f"connections/{base_id}",
        f"sourceConnections/{source_id}",
    ):
        assert api.delete(f"{BASE}/{path}").status_code == 204, path


def test_a_connection_is_tested_alone_and_with_its_streams(api: Api) -> None:
    tutorial = Tutorial(api)
    api.access_warned, api.warned = ["us-east-2: the secret is wrong"], ["stream: there is none"]
    base_id, source_base = (
        tutorial.connect_base(),
        tutorial.post("/connections", {"name": "p", "connectionSpec": {"id": PROFILE_SERVICE}})["id"],
    )
    path = f"/connections/{base_id}/test"

    alone = tutorial.get(path)
    tutorial.connect_target(base_id)
    with_stream = tutorial.get(path)
    api.warned = []

    assert alone == {"result": False, "findings": ["us-east-2: the secret is wrong"]}
    assert with_stream == {"result": False, "findings": ["stream: there is none"]}
    assert tutorial.get(path) == {"result": True, "findings": []}
    assert tutorial.get(f"/connections/{source_base}/test")["result"] is True


def test_enabling_says_what_is_wrong_and_with_strict_it_is_refused(api: Api) -> None:
    tutorial = Tutorial(api)
    flow = tutorial.whole()
    path = f"{BASE}/flows/{flow['id']}/action"
    api.post(f"{path}?op=disable")
    api.warned = ["vip-profiles in us-east-2: there is no such stream"]

    refused = api.post(f"{path}?op=enable&strict=true")
    enabled = api.post(f"{path}?op=enable")

    assert (refused.status_code, refused.json()["type"][-13:]) == (400, "FLOW-1422-400")
    assert "there is no such stream" in refused.json()["errorDetails"]
    assert (enabled.status_code, enabled.json()["warnings"]) == (200, api.warned)
