"""Parked flows, story by story; `test_parking_laws.py` has what holds for every story (contract G3, G4, G9)."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from processor.delivery.backoff import Backoff
from processor.delivery.kinesis.faults import PauseReason
from schemas.dead_letter import DeadLetterReason
from schemas.destination import Destination
from schemas.export import Export
from schemas.parked_flow import ParkedFlowRow
from tests.delivery.fakes import ANSWER_SECONDS, FakeParking, Record, World, a_destination, export_record
from tests.delivery.kinesis.test_responses import client_error
from tests.kit.virtual_time import in_virtual_time

FLOWS: Final = {"vip": a_destination("one"), "other": a_destination("two")}
PARK_SECONDS: Final = 5.0


def refuse(world: World, *streams: str) -> set[str]:
    """Streams that let nobody in, as long as they are in what this returns."""
    refused = set(streams)

    def respond(destination: Destination, exports: Sequence[Export]) -> object:
        if destination.stream in refused:
            return client_error("AccessDeniedException", 400)
        return world.kinesis.all_well(destination, exports)

    world.kinesis.behaviour = respond
    return refused


def held(world: World, records: Sequence[Record]) -> list[int]:
    """Those that a row says are still to be delivered."""
    return [record.offset for record in records if world.parked.rows.hold(record)]


def require_lanes_in_order(offsets: Sequence[int], lanes: int) -> None:
    """Of records whose lane is their offset modulo `lanes`."""
    by_lane: dict[int, list[int]] = defaultdict(list)
    for offset in offsets:
        by_lane[offset % lanes].append(offset)
    assert all(lane == sorted(lane) for lane in by_lane.values())


def in_lanes(count: int, lanes: int, **options: Any) -> list[Record]:
    return [export_record(offset, f"p-{offset % lanes}", **options) for offset in range(count)]


@in_virtual_time
async def test_g4_nothing_passes_before_the_row_that_parks_is_durable() -> None:
    async with World().running() as world:
        refuse(world, "profiles")
        world.parked.rows.gate.clear()

        await world.deliver(*in_lanes(20, 5))
        await asyncio.sleep(4 * PARK_SECONDS)
        before = list(world.progress[0])
        world.parked.rows.gate.set()
        await asyncio.sleep(1.0)

        assert before == []
        assert world.progress[0] == [20]
        assert held(world, in_lanes(20, 5)) == list(range(20))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(600.0):
        while not holds():
            await asyncio.sleep(0.01)


@in_virtual_time
async def test_g4_nothing_of_a_flow_that_relapses_after_it_caught_up_passes_before_its_new_row_is_durable() -> None:
    """The row of before gives the flow back to the group's offset, and nothing else that waits holds the partition
    back.
    """
    async with World(flows=FLOWS, calls_in_flight=1, max_records_per_call=5).running() as world:
        rows = world.parked.rows
        refused = refuse(world, "one")
        await world.deliver(*in_lanes(30, 3))
        await asyncio.sleep(2 * PARK_SECONDS)
        world.kinesis.seconds = lambda: 2.0
        refused.clear()
        await until(lambda: any(row.until is not None for row in rows.of("vip")))
        refused.add("one")
        await until(lambda: world.sink.status()["vip"].paused is not None)
        await asyncio.sleep(2.0)  # the last delivery is in the row by now
        rows.gate.clear()
        await until(lambda: world.sink.status()["vip"].parked > 0)

        late = export_record(30, "p-0")
        await world.deliver(late, export_record(31, "p-1", "other"))
        await until(lambda: world.kinesis.offsets("two") == [31])
        await asyncio.sleep(1.0)
        before, known_before = world.progress[0][-1], rows.hold(late)
        rows.gate.set()
        await asyncio.sleep(1.0)

        assert (before, known_before) == (30, False)
        assert world.progress[0][-1] == 32
        assert rows.hold(late)
        refused.clear()
        assert await world.sink.drain(600.0)
        assert sorted(world.kinesis.offsets("one")) == list(range(31))


@in_virtual_time
async def test_g4_a_partition_that_is_released_while_it_is_taken_over_is_left_to_its_next_owner() -> None:
    parking = FakeParking()
    parking.exports.log[0] = in_lanes(10, 2)
    parking.rows.rows[0]["old"] = ParkedFlowRow(flow="vip", partition=0, first=3, counted=10, waiting=7)
    async with World(parked=parking).running() as world:
        parking.rows.gate.clear()
        takeover = asyncio.create_task(world.take_over(0, 10))
        await asyncio.sleep(0.1)

        release = asyncio.create_task(world.sink.release([0]))
        await asyncio.sleep(0.1)
        parking.rows.gate.set()
        await asyncio.gather(takeover, release)
        await asyncio.sleep(10.0)

        assert "old" in parking.rows.rows[0]
        assert world.kinesis.calls == []
        assert not world.sink.has(0)


@in_virtual_time
async def test_g3_what_is_in_flight_when_its_flow_is_parked_is_neither_sent_twice_nor_passed_over() -> None:
    """A silent endpoint: its first call is answered after others ran out of patience, and half of it failed."""
    async with World(max_buffered_records=50, backoff=Backoff(base_seconds=20.0, cap_seconds=20.0)).running() as world:
        records = in_lanes(60, 10)
        seconds = [6.0]
        world.kinesis.seconds = lambda: seconds.pop() if seconds else ANSWER_SECONDS
        world.kinesis.behaviour = lambda destination, exports: world.kinesis.partly(
            destination,
            exports,
            dict.fromkeys(range(1, 10, 2), "InternalFailure") if len(world.kinesis.calls) == 1 else {},
        )

        await world.deliver(*records)
        await asyncio.sleep(2.0)  # the buffer was full for about three
        in_silence = world.progress[0], held(world, records), world.sink.status()["vip"].paused
        await asyncio.sleep(10.0)
        half_way = held(world, records)
        delivered_half_way = sorted(world.kinesis.offsets())
        assert await world.sink.drain(60.0)

        assert in_silence == ([60], list(range(60)), PauseReason.UNREACHABLE)
        assert half_way == [offset for offset in range(60) if offset not in delivered_half_way]
        assert {1, 3, 5, 7, 9} <= set(half_way)
        assert len(delivered_half_way) > 5
        assert sorted(world.kinesis.offsets()) == list(range(60))
        require_lanes_in_order(world.kinesis.offsets(), 10)


@in_virtual_time
async def test_g4_an_endpoint_that_never_answers_does_not_delay_another_flow_for_long() -> None:
    """Ten times what the buffer holds; each call to it hangs for as long as a call may."""
    async with World(flows=FLOWS, max_buffered_records=200).running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            OSError("no answer") if destination.stream == "one" else world.kinesis.all_well(destination, exports)
        )
        world.kinesis.seconds = lambda: 10.0 if world.kinesis.calls[-1][1] == "one" else ANSWER_SECONDS
        clock = asyncio.get_running_loop().time
        came: dict[int, float] = {}

        async def feed() -> None:
            for begin in range(0, 2_000, 10):
                batch = [
                    export_record(offset, f"p-{offset}", ("vip", "other")[offset % 2])
                    for offset in range(begin, begin + 10)
                ]
                came.update((record.offset, clock()) for record in batch)
                await world.deliver(*batch)
                await asyncio.sleep(0.1)

        await feed()
        await asyncio.sleep(1.0)

        waited = [
            at - came[export.record.offset]
            for at, stream, exports in world.kinesis.calls
            if stream == "two"
            for export in exports
        ]
        assert len(waited) == 1_000
        assert max(waited) < 0.5
        status = world.sink.status()
        assert (status["vip"].waiting, status["other"].waiting) == (1_000, 0)


@in_virtual_time
async def test_g4_a_flow_that_is_stopped_while_it_catches_up_gives_its_memory_to_one_that_is_not() -> None:
    async with World(flows=FLOWS, max_buffered_records=100, probe_records=3).running() as world:
        refused = refuse(world, "one", "two")
        records = [
            export_record(offset, f"p-{offset % 20}", ("vip", "other")[offset // 20 % 2]) for offset in range(2_000)
        ]
        await world.deliver(*records[:80])
        await asyncio.sleep(2 * PARK_SECONDS)
        await world.deliver(*records[80:])

        refused.remove("one")
        while not world.kinesis.stored["one"]:
            await asyncio.sleep(0.01)
        refused.add("one")
        await asyncio.sleep(2 * PARK_SECONDS)
        in_memory = world.sink.status()["vip"].waiting - world.sink.status()["vip"].parked
        refused.remove("two")
        await asyncio.sleep(60.0)
        others = world.kinesis.offsets("two")
        refused.clear()
        assert await world.sink.drain(120.0)

        assert in_memory <= 20
        assert len(others) == len(set(others)) == 1_000
        assert sorted(world.kinesis.offsets("one") + others) == list(range(2_000))


@in_virtual_time
async def test_g9_a_parked_flow_goes_to_the_destination_in_force_when_it_leaves() -> None:
    async with World().running() as world:
        refuse(world, "profiles")
        await world.deliver(*in_lanes(30, 3))
        await asyncio.sleep(2 * PARK_SECONDS)

        world.flows["vip"] = a_destination("elsewhere")
        assert await world.sink.drain(10.0)

        assert world.kinesis.offsets("profiles") == []
        require_lanes_in_order(world.kinesis.offsets("elsewhere"), 3)
        assert sorted(world.kinesis.offsets("elsewhere")) == list(range(30))


@in_virtual_time
async def test_g9_what_a_deleted_flow_had_parked_becomes_dead_letters_in_order_and_its_row_goes() -> None:
    async with World().running() as world:
        refuse(world, "profiles")
        await world.deliver(*in_lanes(100, 1))
        await asyncio.sleep(2 * PARK_SECONDS)

        del world.flows["vip"]
        assert await world.sink.drain(30.0)
        await asyncio.sleep(2.0)

        assert world.dead_letters.reasons() == [(offset, DeadLetterReason.FLOW_DELETED.value) for offset in range(100)]
        assert not world.parked.rows.rows[0]


@in_virtual_time
async def test_g9_a_flow_deleted_while_nobody_owned_its_partition_is_dead_lettered_by_the_next_owner() -> None:
    parking = FakeParking()
    parking.exports.log[0] = in_lanes(10, 2)
    parking.rows.rows[0]["old"] = ParkedFlowRow(
        flow="vip", partition=0, first=3, finished=((5, 6),), reason="access_denied", counted=10, waiting=6
    )
    async with World(flows={}, parked=parking).running() as world:
        await world.take_over(0, 10)
        await world.sink.deliver(0, [], 10)

        assert await world.sink.drain(30.0)
        await asyncio.sleep(2.0)

        dead = [offset for offset, _ in world.dead_letters.reasons()]
        assert sorted(dead) == [3, 4, 6, 7, 8, 9]
        require_lanes_in_order(dead, 2)
        assert not parking.rows.rows[0]


@in_virtual_time
async def test_g2_a_parked_record_that_is_too_large_becomes_a_dead_letter_and_its_lane_goes_on() -> None:
    async with World(max_record_bytes=50).running() as world:
        refused = refuse(world, "profiles")
        records = [export_record(offset, "p-1", value=b"x" * (60 if offset == 12 else 10)) for offset in range(30)]
        await world.deliver(*records[:5])
        await asyncio.sleep(2 * PARK_SECONDS)
        await world.deliver(*records[5:])

        refused.clear()
        assert await world.sink.drain(60.0)

        assert world.dead_letters.reasons() == [(12, DeadLetterReason.RECORD_TOO_LARGE.value)]
        assert world.kinesis.offsets() == [offset for offset in range(30) if offset != 12]


@in_virtual_time
async def test_what_the_log_lost_while_it_was_parked_is_counted_and_the_rest_leaves() -> None:
    async with World().running() as world:
        refused = refuse(world, "profiles")
        await world.deliver(*in_lanes(5, 5))
        await asyncio.sleep(2 * PARK_SECONDS)
        await world.deliver(*(export_record(offset, "p-9") for offset in range(5, 400)))
        world.parked.exports.begins[0] = 300

        refused.clear()
        assert await world.sink.drain(60.0)

        kept = world.kinesis.offsets()
        assert kept[-100:] == list(range(300, 400))
        assert world.sink.status()["vip"].gone == 400 - len(kept)


@in_virtual_time
@pytest.mark.parametrize("how", ["it fails", "it is cancelled"])
async def test_a_takeover_that_comes_to_nothing_leaves_the_partition_to_the_next_one(how: str) -> None:
    """Half of it would be a flow that nobody brings back."""
    parking = FakeParking()
    parking.exports.log[0] = in_lanes(10, 2)
    parking.rows.rows[0]["old"] = ParkedFlowRow(flow="vip", partition=0, first=3, counted=10, waiting=7)
    async with World(parked=parking).running() as world:
        parking.rows.gate.clear()
        first = asyncio.create_task(world.take_over(0, 10))
        await asyncio.sleep(1.0)
        if how == "it fails":
            parking.rows.error = OSError("Kafka is gone")
            parking.rows.gate.set()
        else:
            first.cancel()
        await asyncio.wait({first})
        was_open = world.sink.has(0)

        parking.rows.error = None
        parking.rows.gate.set()
        await world.take_over(0, 10)
        await world.sink.deliver(0, [], 10)
        assert await world.sink.drain(30.0)

        assert not was_open
        assert sorted(world.kinesis.offsets()) == list(range(3, 10))
