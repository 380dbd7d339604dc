"""Records that are rejected for good and a destination that rejects everything look alike: what is good must leave in
both cases (G4).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from processor.delivery.kinesis.faults import PauseReason
from schemas.destination import Destination
from schemas.export import Export
from tests.delivery.fakes import World, export_record
from tests.delivery.kinesis.test_responses import client_error
from tests.kit.virtual_time import in_virtual_time

HOUR: Final = 3_600.0
TOO_FAST: Final = "ProvisionedThroughputExceededException"
THROTTLED: Final = {
    "the call is throttled": lambda world, exports: client_error("ThrottlingException", 400),
    "its record is throttled": lambda world, exports: world.kinesis.partly(world.flows["vip"], exports, {0: TOO_FAST}),
    "nobody knows the error": lambda world, exports: client_error("NewException", 400),
}


def reject(world: World, is_bad: Callable[[int], bool]) -> None:
    """Calls that carry a bad record, by offset, are rejected as a whole."""

    def respond(destination: Destination, exports: Sequence[Export]) -> object:
        if any(is_bad(export.record.offset) for export in exports):
            return client_error("InvalidArgumentException", 400)
        return world.kinesis.all_well(destination, exports)

    world.kinesis.behaviour = respond


@pytest.mark.parametrize("bad", [10, 50])
@in_virtual_time
async def test_g4_bad_records_of_many_profiles_in_a_row_do_not_keep_good_ones_behind_them_for_ever(bad: int) -> None:
    """Ten are each tried three times; fifty pause the destination, and it is parked until a probe comes to a good
    one.
    """
    async with World().running() as world:
        reject(world, lambda offset: offset < bad)
        for offset in range(bad):
            await world.deliver(export_record(offset, f"p-{offset}"))
            await asyncio.sleep(5.0)
        await asyncio.sleep(60.0)
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(bad, bad + 200)))

        assert await world.sink.drain(HOUR)

        assert sorted(world.kinesis.offsets()) == list(range(bad, bad + 200))
        assert sorted(offset for offset, _ in world.dead_letters.reasons()) == list(range(bad))
        assert world.sink.status()["vip"].paused is None


@in_virtual_time
async def test_g4_a_probe_comes_to_other_profiles_although_more_waits_behind_a_bad_record_than_a_probe_takes() -> None:
    async with World().running() as world:
        reject(world, lambda offset: offset < 30)
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(30)))
        await asyncio.sleep(60.0)
        await world.deliver(*(export_record(offset, "p-0") for offset in range(30, 330)))
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(330, 400)))

        assert await world.sink.drain(HOUR)

        assert sorted(world.kinesis.offsets()) == list(range(30, 400))
        assert sorted(offset for offset, _ in world.dead_letters.reasons()) == list(range(30))


@in_virtual_time
async def test_g4_bad_records_that_are_far_apart_pause_nothing() -> None:
    async with World(max_rejections_in_a_row=3).running() as world:
        reject(world, lambda offset: True)
        for offset in range(4):
            await world.deliver(export_record(offset, f"p-{offset}"))
            await asyncio.sleep(0.6 * HOUR)

        assert [offset for offset, _ in world.dead_letters.reasons()] == list(range(4))
        assert world.sink.status()["vip"].paused is None


@in_virtual_time
async def test_g4_bad_records_of_one_profile_pause_nothing_however_many_they_are() -> None:
    async with World().running() as world:
        reject(world, lambda offset: offset < 100)
        await world.deliver(*(export_record(offset, "p-1") for offset in range(101)))

        assert await world.sink.drain(HOUR)

        assert world.kinesis.offsets() == [100]
        assert [offset for offset, _ in world.dead_letters.reasons()] == list(range(100))


@in_virtual_time
async def test_g4_a_destination_that_rejects_everything_for_hours_loses_nothing_and_fills_no_memory() -> None:
    async with World(max_buffered_records=800).running() as world:
        reject(world, lambda offset: True)
        for first in range(0, 1_000, 100):
            await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(first, first + 100)))
            await asyncio.sleep(10.0)
        await asyncio.sleep(0.5 * HOUR)
        status, calls = world.sink.status()["vip"], len(world.kinesis.calls)
        await asyncio.sleep(0.1 * HOUR)
        probes = len(world.kinesis.calls) - calls

        reject(world, lambda offset: False)
        assert await world.sink.drain(HOUR)

        assert (status.paused, status.waiting) == (PauseReason.DESTINATION_UNUSABLE, 1_000)
        assert status.waiting - status.parked <= 800 // 20 + world.limits.probe_records
        assert probes <= 0.1 * HOUR / world.limits.probe_seconds
        assert world.dead_letters.letters == []
        assert sorted(world.kinesis.offsets()) == list(range(1_000))


@pytest.mark.parametrize("how", THROTTLED)
@pytest.mark.parametrize("park_after_seconds", [5.0, 600.0], ids=["parked", "in memory"])
@in_virtual_time
async def test_g4_a_probe_that_is_not_rejected_and_not_delivered_leaves_the_pause_and_its_pace(
    how: str, park_after_seconds: float
) -> None:
    async with World(park_after_seconds=park_after_seconds).running() as world:
        reject(world, lambda offset: True)
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(2_000)))
        await asyncio.sleep(60.0)
        calls = len(world.kinesis.calls)
        world.kinesis.behaviour = lambda destination, exports: THROTTLED[how](world, exports)
        await asyncio.sleep(45.0)
        paused = world.sink.status()["vip"].paused
        reject(world, lambda offset: True)
        await asyncio.sleep(60.0)
        probes = world.kinesis.calls[calls:]

        reject(world, lambda offset: False)
        assert await world.sink.drain(120.0)

        assert paused is PauseReason.DESTINATION_UNUSABLE
        assert len(probes) == 105 // world.limits.probe_seconds
        assert {len(exports) for _, _, exports in probes} == {1}
        assert world.dead_letters.letters == []
