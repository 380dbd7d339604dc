"""Suite of the port Destinations (G9): in memory, and by the catalog that is followed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import pytest

from processor.catalog.follower import CatalogFollower
from processor.delivery.ports import Destinations
from processor.worker.adapters.destinations import CatalogDestinations
from schemas.destination import Destination
from schemas.flow import Flow
from tests.contracts.test_catalog_view import put_on_kafka, raise_it
from tests.delivery.fakes import FakeDestinations, a_destination
from tests.kit.installation import Installation

PORT: Final = Destinations
FORMS: Final = ("memory", "kafka")


class Opened(NamedTuple):
    destinations: Destinations
    put: Callable[[Flow], Awaitable[None]]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = FakeDestinations()

        async def put(flow: Flow) -> None:
            memory[flow.id] = flow.destination

        yield Opened(memory, put)
        return
    installation: Installation = request.getfixturevalue("installation")
    installation.init(1)
    follower = CatalogFollower(installation.settings, raise_it)
    await follower.start()

    async def put_and_wait(flow: Flow) -> None:
        put_on_kafka(installation, flow)
        await follower.reach_end()

    yield Opened(CatalogDestinations(follower), put_and_wait)
    await follower.close()


def a_flow(destination: Destination, state: str = "enabled") -> Flow:
    return Flow.model_validate({"id": "vip", "destination": destination.model_dump(by_alias=True), "state": state})


async def test_g9_the_destination_is_the_one_in_force_also_of_a_disabled_flow(opened: Opened) -> None:
    before, after = a_destination("before"), a_destination("after")

    await opened.put(a_flow(before))
    first = opened.destinations.destination("vip")
    await opened.put(a_flow(after, "disabled"))

    assert first == before
    assert opened.destinations.destination("vip") == after


async def test_g9_a_flow_that_is_not_there_has_no_destination(opened: Opened) -> None:
    assert opened.destinations.destination("vip") is None
