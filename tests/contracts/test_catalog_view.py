"""Suite of the port CatalogView (M2): in memory, and following the topics."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import pytest

from processor.catalog.follower import CatalogFollower
from processor.core.catalog import Catalog
from processor.kafka.writer import Writer
from processor.pipeline.ports import CatalogView
from schemas.flow import Flow
from schemas.wire.flows import StoredFlow, encode_flow
from tests.kit.installation import Installation
from tests.pipeline.fakes import FixedCatalog

PORT: Final = CatalogView
FORMS: Final = ("memory", "kafka")
DESTINATION: Final = {"type": "kinesis", "stream": "s", "region": "us-east-2"}


class Opened(NamedTuple):
    view: CatalogView
    put: Callable[[Flow], None]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = FixedCatalog(Catalog.of([], []))

        def set_catalog(flow: Flow) -> None:
            memory.change(Catalog.of([flow], []))

        yield Opened(memory, set_catalog)
        return
    installation: Installation = request.getfixturevalue("installation")
    installation.init(1)
    follower = CatalogFollower(installation.settings, raise_it)
    await follower.start()
    yield Opened(follower, lambda flow: put_on_kafka(installation, flow))
    await follower.close()


def raise_it(error: BaseException) -> None:
    raise error


def put_on_kafka(installation: Installation, flow: Flow) -> None:
    record = encode_flow(StoredFlow(flow=flow, etag="e"))
    with Writer(installation.settings) as writer:
        writer.write(installation.topics.flows, record.key, record.value, name=flow.id)


def a_flow(*attributes: str) -> Flow:
    return Flow.model_validate({"id": "vip", "destination": DESTINATION, "attributes": attributes})


async def test_m2_without_flows_the_catalog_is_empty(opened: Opened) -> None:
    catalog = await opened.view.as_of(time.monotonic())

    assert not catalog.flows


async def test_m2_what_was_acknowledged_holds_for_events_fetched_a_second_later(opened: Opened) -> None:
    seen: list[list[str]] = []

    for name in ("a", "b"):
        opened.put(a_flow(name))
        catalog = await opened.view.as_of(time.monotonic() + 1.0)
        seen += [list(flow.attributes_by_root) for flow in catalog.flows]

    assert seen == [["a"], ["b"]]


async def test_m2_a_subscriber_is_told_of_each_change_until_it_unsubscribes(opened: Opened) -> None:
    told: list[str] = []
    unsubscribe = opened.view.subscribe(lambda: told.append("changed"))

    opened.put(a_flow("a"))
    await opened.view.as_of(time.monotonic() + 1.0)
    after_a_change = list(told)
    unsubscribe()
    opened.put(a_flow("b"))
    await opened.view.as_of(time.monotonic() + 1.0)

    assert after_a_change
    assert told == after_a_change
