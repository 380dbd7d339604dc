"""Suite of the port Fetching: in memory, and by our consumer with aiokafka's own fetcher."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from processor.pipeline.ports import Fetching
from tests.kit.virtual_time import in_virtual_time
from tests.pipeline.fakes import MemoryFetching
from tests.transport.memory_logs import MemoryBroker
from tests.transport.test_log_position import OTHER, PLACE, append, reading

PORT: Final = Fetching
FORMS: Final = ("memory", "consumer")
SETTLE_SECONDS: Final = 2.0
every_form: Final = pytest.mark.parametrize("form", FORMS)


class Opened(NamedTuple):
    """What fetches the partitions 0 and 1 of a topic, and says which of them is fetched when both have a new record."""

    fetching: Fetching
    fetched: Callable[[], Awaitable[set[int]]]


@asynccontextmanager
async def opened(form: str, folder: Path) -> AsyncIterator[Opened]:
    if form == "memory":
        memory = MemoryFetching()

        async def not_paused() -> set[int]:
            return {0, 1} - memory.paused

        yield Opened(memory, not_paused)
        return
    broker = MemoryBroker([PLACE, OTHER])
    async with reading(broker, folder) as reader:

        async def fetched() -> set[int]:
            before = {place: len(offsets) for place, offsets in reader.read.items()}
            for place in (PLACE, OTHER):
                append(broker, place)
            await asyncio.sleep(SETTLE_SECONDS)
            return {place.partition for place, offsets in reader.read.items() if len(offsets) > before[place]}

        yield Opened(reader.consumer, fetched)


@every_form
@in_virtual_time
async def test_a_partition_that_is_paused_is_not_fetched_until_it_is_resumed_and_others_are(
    form: str, tmp_path: Path
) -> None:
    async with opened(form, tmp_path) as (fetching, fetched):
        at_first = await fetched()
        fetching.pause(PLACE.topic, 0)
        await fetched()  # a fetch that is in flight still comes
        while_paused = await fetched()
        fetching.resume(PLACE.topic, 0)
        again = await fetched()

    assert (at_first, while_paused, again) == ({0, 1}, {1}, {0, 1})


@every_form
@in_virtual_time
async def test_a_partition_that_is_not_paused_may_be_resumed_and_one_that_is_may_be_paused(
    form: str, tmp_path: Path
) -> None:
    async with opened(form, tmp_path) as (fetching, fetched):
        fetching.resume(PLACE.topic, 0)
        as_before = await fetched()
        fetching.pause(PLACE.topic, 0)
        fetching.pause(PLACE.topic, 0)
        fetching.resume(PLACE.topic, 0)
        once = await fetched()

    assert (as_before, once) == ({0, 1}, {0, 1})
