"""Suite of the port ParkedRows (G4): in memory, and on the topic `delivery-positions`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import pytest

from processor.delivery.ports import ParkedRows
from processor.kafka.producers import SharedProducer
from processor.worker.adapters.parked_rows import DeliveryPositions, read_positions
from schemas.parked_flow import ParkedFlowRow
from tests.delivery.fakes import FakeRows
from tests.kit.installation import Installation

PORT: Final = ParkedRows
FORMS: Final = ("memory", "kafka")
KEYS: Final = ('["vip","one"]', '["vip","two"]')


class Opened(NamedTuple):
    rows: ParkedRows
    found: Callable[[int], Awaitable[Mapping[str, ParkedFlowRow]]]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = FakeRows()

        async def kept(partition: int) -> Mapping[str, ParkedFlowRow]:
            return memory.rows[partition]

        yield Opened(memory, kept)
        return
    installation: Installation = request.getfixturevalue("installation")
    installation.init(2)
    producer = SharedProducer(installation.settings)
    await producer.start()

    async def read(partition: int) -> Mapping[str, ParkedFlowRow]:
        return (await read_positions(installation.settings, [partition]))[partition]

    yield Opened(DeliveryPositions(installation.settings, producer), read)
    await producer.stop()


def a_row(partition: int, first: int) -> ParkedFlowRow:
    return ParkedFlowRow(flow="vip", partition=partition, first=first, finished=((first + 2, first + 4),), waiting=7)


async def test_g4_the_last_row_of_a_key_is_kept_each_in_its_partition(opened: Opened) -> None:
    await opened.rows.write(0, {KEYS[0]: a_row(0, 1), KEYS[1]: a_row(0, 5)})
    await opened.rows.write(1, {KEYS[0]: a_row(1, 9)})
    await opened.rows.write(0, {KEYS[0]: a_row(0, 3)})

    assert await opened.found(0) == {KEYS[0]: a_row(0, 3), KEYS[1]: a_row(0, 5)}
    assert await opened.found(1) == {KEYS[0]: a_row(1, 9)}


async def test_g4_a_row_that_is_removed_is_gone_and_may_come_again(opened: Opened) -> None:
    await opened.rows.write(0, {KEYS[0]: a_row(0, 1)})
    await opened.rows.write(0, {KEYS[0]: None, KEYS[1]: None})
    gone = dict(await opened.found(0))

    await opened.rows.write(0, {KEYS[0]: a_row(0, 2)})

    assert gone == {}
    assert await opened.found(0) == {KEYS[0]: a_row(0, 2)}
