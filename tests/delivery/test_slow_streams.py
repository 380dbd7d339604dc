"""A stream that takes less than comes holds up nobody else, and still gets what it takes (G3, G4); one that is silent
costs a row or two.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from schemas.destination import Destination
from schemas.export import Export
from tests.delivery.fakes import Record, World, a_destination, export_record
from tests.delivery.kinesis.test_responses import client_error
from tests.kit.virtual_time import in_virtual_time

TOO_FAST: Final = "ProvisionedThroughputExceededException"
TICK_SECONDS: Final = 0.1
BUFFER_RECORDS: Final = 1_600


class Shard:
    """What one stream takes: so many records a second, a second's worth at once (as AWS' token buckets)."""

    def __init__(self, a_second: float) -> None:
        self._a_second = self._left = a_second
        self._at = 0.0

    def takes(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._left = min(self._a_second, self._left + (now - self._at) * self._a_second)
        self._at = now
        taken = self._left >= 1
        self._left -= taken
        return taken


def throttle(world: World, **a_second: float) -> None:
    """These streams, of one shard each, take so much; the others take everything."""
    numbers = count(10**55)
    shards = {stream: Shard(limit) for stream, limit in a_second.items()}

    def respond(destination: Destination, exports: Sequence[Export]) -> object:
        shard = shards.get(destination.stream)
        failed = {} if shard is None else {index: TOO_FAST for index in range(len(exports)) if not shard.takes()}
        answered = world.kinesis.partly(destination, exports, failed)
        for entry in answered["Records"]:
            if not entry["ErrorCode"]:
                entry |= {"ShardId": "shardId-000000000000", "SequenceNumber": str(next(numbers))}
        return answered

    world.kinesis.behaviour = respond


async def feed(world: World, flows: Sequence[str], a_second: int, seconds: float) -> dict[int, float]:
    """Records of all flows in turn, in lanes of their own, paced; when each was due."""
    clock, due = asyncio.get_running_loop().time, dict[int, float]()
    began, each_tick = clock(), round(a_second * TICK_SECONDS) * len(flows)
    for tick in range(round(seconds / TICK_SECONDS)):
        at = began + tick * TICK_SECONDS
        await asyncio.sleep(max(0.0, at - clock()))
        batch = [_record(offset, flows) for offset in range(tick * each_tick, (tick + 1) * each_tick)]
        due.update((record.offset, at) for record in batch)
        await world.deliver(*batch)
    return due


def _record(offset: int, flows: Sequence[str]) -> Record:
    return export_record(offset, f"p-{offset // len(flows) % 300}", flows[offset % len(flows)])


def waited(world: World, stream: str, due: dict[int, float]) -> list[float]:
    """How long after it was due each record of a stream left."""
    return [
        at - due[export.record.offset] for at, to, exports in world.kinesis.calls if to == stream for export in exports
    ]


@in_virtual_time
async def test_g4_a_stream_that_takes_a_tenth_of_what_comes_does_not_delay_another_flow_and_gets_its_tenth() -> None:
    flows = {"vip": a_destination("slow"), "other": a_destination("fast")}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, slow=40)

        due = await feed(world, ["vip", "other"], 400, 30.0)
        await asyncio.sleep(1.0)

        assert len(world.kinesis.stored["fast"]) == 400 * 30
        assert max(waited(world, "fast", due)) < 0.5
        assert len(world.kinesis.stored["slow"]) > 0.9 * 40 * 31
        status = world.sink.status()["vip"]
        assert status.paused is None
        assert status.waiting == 400 * 30 - status.delivered
        assert status.waiting - status.parked <= BUFFER_RECORDS // 2
        throttle(world)
        assert await world.sink.drain(60.0)
        require_each_once_in_order(world, "slow", 400 * 30)
        assert {row.flow for _, _, row in world.parked.rows.written if row is not None} == {"vip"}


def require_each_once_in_order(world: World, stream: str, records: int) -> None:
    """Of streams that never leave a doubt."""
    lanes: dict[bytes | None, list[int]] = defaultdict(list)
    for export in world.kinesis.stored[stream]:
        lanes[export.record.key].append(export.record.offset)
    assert all(lane == sorted(set(lane)) for lane in lanes.values())
    assert sum(map(len, lanes.values())) == records


@in_virtual_time
async def test_one_flow_alone_may_use_the_whole_buffer_and_is_not_parked_for_being_slow() -> None:
    async with World(flows={"vip": a_destination("slow")}, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, slow=100)

        feeding = asyncio.create_task(feed(world, ["vip"], 400, 20.0))
        await asyncio.sleep(19.0)
        waiting = world.sink.status()["vip"].waiting
        await feeding
        assert await world.sink.drain(600.0)

        assert waiting >= BUFFER_RECORDS - 100
        assert world.parked.rows.written == []
        require_each_once_in_order(world, "slow", 400 * 20)


@in_virtual_time
async def test_g4_of_many_flows_only_those_are_parked_that_are_slow() -> None:
    """Twenty of them: two slow streams, one of which three flows share."""
    names = [f"flow-{number}" for number in range(20)]
    slow = {"flow-0": "slow-1", "flow-1": "slow-1", "flow-2": "slow-1", "flow-3": "slow-2"}
    flows = {name: a_destination(slow.get(name, "fast")) for name in names}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, **{"slow-1": 30, "slow-2": 10})

        due = await feed(world, names, 30, 30.0)
        await asyncio.sleep(1.0)

        assert max(waited(world, "fast", due)) < 0.5
        assert {row.flow for _, _, row in world.parked.rows.written if row is not None} == set(slow)
        assert len(world.kinesis.stored["slow-1"]) > 0.9 * 30 * 31
        throttle(world)
        assert await world.sink.drain(60.0)
        require_each_once_in_order(world, "slow-2", 30 * 30)


async def feed_at_random(world: World, flows: Sequence[str], seconds: float) -> None:
    """A backlog: as much as there is room for, of each flow as likely as of another."""
    draw = random.Random(1)  # always the same story
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for first in count(0, 100):
                await world.deliver(
                    *(
                        export_record(offset, f"p-{offset % 300}", draw.choice(flows))
                        for offset in range(first, first + 100)
                    )
                )
                await asyncio.sleep(TICK_SECONDS / 2)


def intervals(world: World) -> set[str]:
    """Each time that a flow was parked in a partition."""
    return {key for _, key, row in world.parked.rows.written if row is not None}


@in_virtual_time
async def test_equal_flows_that_work_off_a_backlog_are_not_parked_for_what_chance_gives_them() -> None:
    names = [f"flow-{number}" for number in range(10)]
    async with World(
        flows={name: a_destination(name) for name in names}, max_buffered_records=2_000
    ).running() as world:
        throttle(world, **dict.fromkeys(names, 100))

        await feed_at_random(world, names, 40.0)

        assert world.parked.rows.written == []
        assert sum(status.delivered for status in world.sink.status().values()) > 0.95 * 10 * 100 * 40


@in_virtual_time
async def test_g4_nine_slow_flows_of_ten_do_not_keep_the_tenth_from_its_pace() -> None:
    names = [f"flow-{number}" for number in range(10)]
    async with World(
        flows={name: a_destination(name) for name in names}, max_buffered_records=2_000
    ).running() as world:
        throttle(world, **dict.fromkeys(names[:9], 10))

        due = await feed(world, names, 100, 40.0)
        await asyncio.sleep(1.0)

        assert len(world.kinesis.stored["flow-9"]) == 100 * 40
        assert max(waited(world, "flow-9", due)[-2_000:]) < 0.5
        assert len(intervals(world)) == 9
        assert all(world.sink.status()[name].delivered > 0.9 * 10 * 41 for name in names[:9])


@in_virtual_time
async def test_where_all_flows_but_one_are_parked_that_one_may_use_the_buffer() -> None:
    """Both take less than comes, one of them much less than the other."""
    flows = {"vip": a_destination("slow"), "other": a_destination("fast")}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, slow=40, fast=300)

        feeding = asyncio.create_task(feed(world, ["vip", "other"], 400, 60.0))
        await asyncio.sleep(60.0)
        feeding.cancel()

        assert {row.flow for _, _, row in world.parked.rows.written if row is not None} == {"vip"}
        assert len(world.kinesis.stored["fast"]) > 0.9 * 300 * 60


@in_virtual_time
async def test_a_slow_flow_stays_parked_as_it_is_where_it_is_parked_in_another_partition_too() -> None:
    flows = {"vip": a_destination("slow"), "other": a_destination("fast")}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, slow=40)
        await feed(world, ["vip", "other"], 400, 10.0)
        first = intervals(world)

        records = [
            export_record(offset, f"q-{offset % 300}", ("vip", "other")[offset % 2], partition=1)
            for offset in range(4_000)
        ]
        for offset in range(0, 4_000, 80):
            await world.deliver(*records[offset : offset + 80])
            await asyncio.sleep(TICK_SECONDS)
        await asyncio.sleep(5.0)

        assert len(first) == 1
        assert [partition for partition, _, _ in world.parked.rows.written if partition == 1]
        assert len(intervals(world)) == 2


@in_virtual_time
async def test_a_flow_that_caught_up_is_not_parked_as_slow_again_at_the_next_burst() -> None:
    flows = {"vip": a_destination("slow"), "other": a_destination("fast")}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS).running() as world:
        throttle(world, slow=200)

        for first in range(0, 15_100, 1_510):
            await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(first, first + 1_500)))
            for offset in range(first + 1_500, first + 1_510):
                await world.deliver(export_record(offset, f"p-{offset}", "other"))
                await asyncio.sleep(0.9)
        assert await world.sink.drain(60.0)

        assert 2 <= len(intervals(world)) <= 6
        require_each_once_in_order(world, "slow", 15_000)


@in_virtual_time
async def test_a_slow_flow_that_catches_up_leaves_memory_to_one_that_is_fast() -> None:
    """Both were parked; records of the slow one are large, so that bytes are what is short."""
    flows = {"vip": a_destination("slow"), "other": a_destination("fast")}
    async with World(flows=flows, max_buffered_records=BUFFER_RECORDS, max_buffered_bytes=400_000).running() as world:
        records = [export_record(offset, f"p-{offset}", "vip", value=b"x" * 1_000) for offset in range(2_000)]
        records += [export_record(offset, f"p-{offset}", "other", value=b"x" * 100) for offset in range(2_000, 4_000)]
        world.kinesis.behaviour = lambda destination, exports: client_error(
            "AccessDeniedException", 400
        )  # a Behaviour's signature
        await world.deliver(*records)
        await asyncio.sleep(20.0)

        throttle(world, slow=10)
        await asyncio.sleep(40.0)

        assert len(world.kinesis.stored["fast"]) == 2_000
        assert 200 < len(world.kinesis.stored["slow"]) < 600


@in_virtual_time
async def test_a_silent_endpoint_costs_a_flow_and_partition_two_rows_and_not_one_at_every_look() -> None:
    """Its calls time out after 10 s, while more than a probe's worth is in flight."""
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: OSError("no answer")
        world.kinesis.seconds = lambda: 10.0
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(3_000)))

        await asyncio.sleep(85.0)

        rows = world.parked.rows
        intervals = {key for _, key, row in rows.written if row is not None}
        assert 1 <= len(intervals) <= 2
        assert len(rows.written) <= 10
        assert world.sink.status()["vip"].waiting == 3_000
        world.kinesis.behaviour, world.kinesis.seconds = world.kinesis.all_well, lambda: 0.02
        assert await world.sink.drain(120.0)
        require_each_once_in_order(world, "profiles", 3_000)
