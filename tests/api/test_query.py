"""Filters, order and pages of lists."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.tutorial import BASE

STREAMS = [f"s-{number}" for number in range(7)]


@pytest.fixture
def many(api: Api) -> Api:
    for number, stream in enumerate(STREAMS):
        api.now_ms += 1000
        body = {
            "name": f"flow {number % 3}",
            "destination": {"type": "kinesis", "stream": stream, "region": "us-east-2"},
        }
        assert api.put(f"/v1/flows/f{number}", json=body).status_code == 200
    api.post(f"{BASE}/flows/f3/action?op=disable")
    return api


def ids(api: Api, query: str) -> list[str]:
    answer = api.get(f"{BASE}/flows?{query}")
    assert answer.status_code == 200, answer.text
    assert "_links" in answer.json()
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("property=name==flow 1", "f1 f4"),
        ('property=name=="flow 1"', "f1 f4"),
        ("property=id==f2,f5", "f2 f5"),
        ("property=name==flow 1&property=id==f2,f4", "f4"),
        ("property=state==disabled", "f3"),
        ("property=state!=enabled", "f3"),
        ("property=flowSpec.id==71471eba-b620-49e4-90fd-23f1fa0174d8&property=id==f0", "f0"),
        ("property=inheritedAttributes.properties.isDestinationFlow==true&property=id==f0", "f0"),
        ("property=createdAt>1768174658000", "f5 f6"),
        ("property=nothing==x", ""),
        ("orderby=-createdAt&limit=2", "f6 f5"),
        ("orderby=%2Bname&limit=3", "f0 f3 f6"),
        ("orderby=+name&limit=3", "f0 f3 f6"),
    ],
)
def test_filters_and_order(many: Api, query: str, found: str) -> None:
    assert ids(many, query) == found.split()


def test_a_count_is_of_all_that_fit(many: Api) -> None:
    assert many.get(f"{BASE}/flows?count=true&property=state==enabled").json() == {"count": 6}


@pytest.mark.parametrize("order", ["", "orderby=-updatedAt&", "orderby=name&"])
def test_pages_hold_every_object_once_also_when_one_is_removed_between_them(many: Api, order: str) -> None:
    seen: list[str] = []
    answer: dict[str, Any] = many.get(f"{BASE}/flows?{order}limit=2").json()
    while True:
        seen += [item["id"] for item in answer["items"]]
        if "next" not in answer["_links"]:
            break
        path = answer["_links"]["next"]["href"]
        token = path.partition("continuationToken=")[2].partition("&")[0]
        assert not set("=%&") & set(token)
        if len(seen) == 2:
            many.delete(f"{BASE}/flows/{seen[0]}")
        answer = many.get(f"{BASE}/flows?{order}limit=2&continuationToken={token}").json()

    assert sorted(seen) == [f"f{number}" for number in range(7)]


def test_the_next_link_leads_to_the_next_page_by_itself(many: Api) -> None:
    first = many.get(f"{BASE}/flows?limit=4&property=state==enabled&orderby=-createdAt").json()

    second = many.get(BASE + first["_links"]["next"]["href"]).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ["f6", "f5", "f4", "f2", "f1", "f0"]
