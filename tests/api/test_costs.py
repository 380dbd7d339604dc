"""What one small request may cost: patches that double, filters without end, lists of the same, deep and wide bodies
(docs/control-api.md).
"""

import json
import time
from typing import Any

import pytest

from processor.api.access import Access
from processor.api.errors import Code
from processor.api.flow_service.patching import MAX_OBJECT_BYTES, MAX_OPERATIONS
from processor.api.limits import MAX_VALUES, Limits
from processor.foundation.secrets import Secrets
from processor.foundation.sizes import MIB
from tests.api.conftest import Api
from tests.api.test_errors import NATIVE, refused
from tests.api.tutorial import BASE, PROFILE_SERVICE, Tutorial

DEEP = 800
MOST_SECONDS_OF_CPU = 3.0  # each takes a tenth; a hundred times as much, or more, where nothing bounds it


@pytest.fixture
def source(api: Api) -> dict[str, Any]:
    """A source connection, whose `data` is whatever a client likes."""
    tutorial = Tutorial(api)
    return tutorial.one(f"/sourceConnections/{tutorial.connect_source()}")


def patch(api: Api, source: dict[str, Any], operations: Any) -> Any:
    return Tutorial(api).patch(f"/sourceConnections/{source['id']}", operations, source["etag"])


@pytest.mark.parametrize("count", [18, 200])
def test_a_patch_that_doubles_the_object_with_each_operation_is_refused(
    api: Api, source: dict[str, Any], count: int
) -> None:
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(count)]

    refused(api, patch(api, source, doubling), Code.PATCH_FAILED, str(MAX_OBJECT_BYTES))
    assert Tutorial(api).one(f"/sourceConnections/{source['id']}") == source


def test_what_is_copied_and_removed_again_counts(api: Api, source: dict[str, Any]) -> None:
    large = [{"op": "add", "path": "/data/large", "value": "x" * 10_000}]
    copying = [
        {"op": "copy", "from": "/data/large", "path": "/data/other"},
        {"op": "remove", "path": "/data/other"},
    ] * 100

    refused(api, patch(api, source, [*large, *copying]), Code.PATCH_FAILED, str(MAX_OBJECT_BYTES))


def test_a_patch_of_too_many_operations_is_refused(api: Api, source: dict[str, Any]) -> None:
    operations = [{"op": "add", "path": "/name", "value": "x"}] * (MAX_OPERATIONS + 1)

    refused(api, patch(api, source, operations), Code.PATCH_FAILED, str(MAX_OPERATIONS))


def test_a_patch_of_as_many_operations_as_are_allowed_is_applied(api: Api, source: dict[str, Any]) -> None:
    operations = [{"op": "add", "path": f"/data/x{number}", "value": "x"} for number in range(MAX_OPERATIONS)]

    assert patch(api, source, operations).status_code == 200
    assert len(Tutorial(api).one(f"/sourceConnections/{source['id']}")["data"]) == MAX_OPERATIONS + 1


@pytest.mark.parametrize(
    "operation",
    [{"op": "copy", "from": "", "path": "/data/whole"}, {"op": "copy", "from": "/data", "path": "/data/itself"}],
)
def test_a_small_copy_into_itself_is_a_copy_of_what_was_there(
    api: Api, source: dict[str, Any], operation: dict[str, str]
) -> None:
    answer = patch(api, source, [operation])

    assert answer.status_code == 200, answer.text


def test_nothing_is_moved_into_itself(api: Api, source: dict[str, Any]) -> None:
    refused(api, patch(api, source, [{"op": "move", "from": "/data", "path": "/data/itself"}]), Code.PATCH_FAILED)


@pytest.mark.parametrize("op", ["add", "replace", "test"])
@pytest.mark.parametrize("depth", [100, 300, DEEP])
def test_a_value_that_is_nested_deeply_is_refused_or_stored(
    api: Api, source: dict[str, Any], op: str, depth: int
) -> None:
    value = '{"a":' * depth + "1" + "}" * depth
    body = f'[{{"op": "{op}", "path": "/data", "value": {value}}}]'

    answer = api.patch(
        f"{BASE}/sourceConnections/{source['id']}",
        content=body,
        headers={"content-type": "application/json", "if-match": "*"},
    )

    assert answer.status_code in (200, 400), answer.text


def test_a_body_of_too_many_values_is_refused_before_it_is_read(api: Api) -> None:
    body = "[" + "," * (MAX_VALUES + 1) + "]"

    refused(
        api,
        api.put("/v1/flows/vip", content=body, headers={"content-type": "application/json"}),
        Code.TOO_LARGE,
        str(MAX_VALUES),
    )


def test_the_faults_of_a_body_are_told_up_to_a_hundred(api: Api) -> None:
    answer = api.put("/v1/flows/vip", json=NATIVE | {"audiences": [1] * 5_000})

    refused(api, answer, Code.INVALID, "audiences.99", "and 4900 more faults")
    assert len(answer.content) < 30_000


def test_a_list_that_names_the_same_again_and_again_costs_what_it_is_long(api: Api) -> None:
    begun = time.process_time()
    answer = api.put("/v1/flows/vip", json=NATIVE | {"attributes": ["a", "b"] * 8_100})

    refused(api, answer, Code.INVALID, "mapped twice: a, b")
    assert time.process_time() - begun < MOST_SECONDS_OF_CPU


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("&".join(["property=id==a"] * 21), Code.BAD_FILTER),
        ("property=id==" + "a," * 3_000, Code.BAD_FILTER),
        ("property=" + "a." * 3_000 + "b==1", Code.BAD_FILTER),
        ("orderby=" + "a." * 3_000, Code.BAD_PAGE),
        ("continuationToken=" + "W1tbW1tb" * 1_000, Code.BAD_PAGE),
        ("limit=" + "9" * 5_000, Code.INVALID),
    ],
)
def test_a_list_that_is_asked_for_at_length_is_refused(api: Api, query: str, code: Code) -> None:
    refused(api, api.get(f"{BASE}/flows?{query}"), code)


def test_many_ids_are_looked_for_at_the_price_of_one(api: Api) -> None:
    for number in range(3):
        audiences = [{"namespace": "ups", "id": f"a{each}"} for each in range(2_000)]
        assert api.put(f"/v1/flows/flow-{number}", json=NATIVE | {"audiences": audiences}).status_code == 200
    path = "transformations.params.segmentSelectors.selectors.value.id"
    wanted = ",".join(f"b{number}" for number in range(550))
    conditions = [*[f"property={path}!={wanted}"] * 9, *[f"property={path}<{wanted.replace('b', '')}"] * 3]
    begun = time.process_time()

    answer = api.get(f"{BASE}/flows?{'&'.join(conditions)}")

    assert answer.json()["items"] == []
    assert time.process_time() - begun < MOST_SECONDS_OF_CPU


def test_a_property_that_is_a_map_is_no_text(api: Api) -> None:
    body = {"name": "x", "connectionSpec": {"id": PROFILE_SERVICE}}
    assert api.post(f"{BASE}/connections", json=body).status_code == 201

    assert (
        api.get(f"{BASE}/connections?property=connectionSpec=={{'id': '{PROFILE_SERVICE}', 'version': '1.0'}}").json()[
            "items"
        ]
        == []
    )
    assert len(api.get(f"{BASE}/connections?orderby=connectionSpec").json()["items"]) == 1


def a_selector(number: int) -> dict[str, Any]:
    """Return a selector with all that Adobe's clients send of an audience."""
    said = {
        "id": f"aud-{number}",
        "namespace": "ups",
        "name": f"audience {number}",
        "description": "d",
        "createTime": 1,
        "updateTime": 2,
    }
    return {"type": "PLATFORM_SEGMENT", "value": said}


def test_a_flow_of_four_thousand_selectors_is_created_and_can_be_patched_as_long_as_it_does_not_grow() -> None:
    with Api(Secrets(), Access([], 5), Limits(MIB)) as api:
        tutorial = Tutorial(api)
        source_id, target_id = tutorial.connect_source(), tutorial.connect_target(tutorial.connect_base("${SECRET}"))
        selectors = {"selectors": [a_selector(number) for number in range(4_000)]}
        params = {"profileSelectors": {"selectors": []}, "segmentSelectors": selectors}
        flow_id = tutorial.create_flow(
            source_id, target_id, transformations=[{"name": "GeneralTransform", "params": params}]
        )["id"]
        path, place = f"/flows/{flow_id}", "/transformations/0/params/segmentSelectors/selectors"
        whole = tutorial.one(path)

        renamed = tutorial.patch(path, [{"op": "replace", "path": "/name", "value": "VIPs"}], whole["etag"])
        removed = tutorial.patch(path, [{"op": "remove", "path": f"{place}/0"}], tutorial.one(path)["etag"])
        grown = tutorial.patch(
            path, [{"op": "add", "path": f"{place}/-", "value": a_selector(5_000)}] * 2, tutorial.one(path)["etag"]
        )

        assert len(json.dumps(whole)) > MAX_OBJECT_BYTES
        assert (renamed.status_code, removed.status_code) == (200, 200), renamed.text + removed.text
        refused(api, grown, Code.PATCH_FAILED, str(MAX_OBJECT_BYTES))
        assert len(tutorial.one(path)["transformations"][0]["params"]["segmentSelectors"]["selectors"]) == 3_999
