"""Delivery under a Kinesis that fails in every way at once (G1, G3, G4): same seed, same story."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import pytest

from schemas.destination import Destination
from schemas.export import Export
from tests.delivery.fakes import World, a_destination, export_record
from tests.delivery.kinesis.test_responses import client_error
from tests.kit.virtual_time import in_virtual_time

PROFILES, RECORDS, PARTITIONS = 40, 900, 3
FLOWS = {"vip": a_destination("one"), "other": a_destination("one"), "third": a_destination("two")}
HARMLESS = ("ProvisionedThroughputExceededException", "NewCode")


class Chaos:
    """Fails calls and entries by dice, and remembers which record was left in doubt."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self.in_doubt: Counter[tuple[str, int, int]] = Counter()

    def seconds(self) -> float:
        return self._dice.choice((0.001, 0.02, 0.02, 0.5))

    def behave(self, destination: Destination, exports: Sequence[Export]) -> object:
        """Half of all calls fail as a whole: some before, some after everything or a half was stored."""
        ways: list[Callable[[], object]] = [
            lambda: client_error("ProvisionedThroughputExceededException", 400),
            lambda: client_error("AccessDeniedException", 400),
            lambda: (
                client_error("InvalidArgumentException", 400)
                if len(exports) > 1
                else self._partly(destination, exports)
            ),
            lambda: client_error("NewException", 400),
            lambda: self._doubt(destination, exports, OSError("reset after it was stored")),
            lambda: self._doubt(destination, exports, client_error("InternalFailure", 500)),
            lambda: self._doubt(destination, exports, {}),
            lambda: self._doubt(destination, exports[: len(exports) // 2], {"Records": None}),
        ]
        way = self._dice.randrange(2 * len(ways))
        return ways[way]() if way < len(ways) else self._partly(destination, exports)

    def _doubt(self, destination: Destination, stored: Sequence[Export], outcome: object) -> object:
        self._world.kinesis.store(destination, stored)
        self.in_doubt.update(map(identity, stored))
        return outcome

    def _partly(self, destination: Destination, exports: Sequence[Export]) -> object:
        failed = {index: self._dice.choice(HARMLESS) for index in range(len(exports)) if self._dice.random() < 0.1}
        stored_all_the_same = {
            index: "InternalFailure"
            for index in range(len(exports))
            if index not in failed and self._dice.random() < 0.05
        }
        response = self._world.kinesis.partly(destination, exports, failed)
        self.in_doubt.update(identity(exports[index]) for index in stored_all_the_same)
        for index, code in stored_all_the_same.items():
            response["Records"][index] = {"ErrorCode": code}
        return response


def identity(export: Export) -> tuple[str, int, int]:
    return export.flow_id, export.record.partition, export.record.offset


@pytest.mark.parametrize("seed", range(8))
@in_virtual_time
async def test_g1_g3_g4_whatever_fails_nothing_is_lost_overtaken_or_repeated_without_a_doubt(seed: int) -> None:
    async with World(flows=dict(FLOWS), max_records_per_call=50, max_buffered_records=500).running() as world:
        chaos, dice = Chaos(world, seed), random.Random(seed)
        world.kinesis.behaviour, world.kinesis.seconds = chaos.behave, chaos.seconds
        world.draws = iter(dice.random, 2.0)
        records = [
            export_record(
                offset,
                f"p-{(profile := dice.randrange(PROFILES))}",
                dice.choice(list(FLOWS)),
                partition=profile % PARTITIONS,
            )
            for offset in range(RECORDS)
        ]

        for start in range(0, RECORDS, 100):
            for partition in range(PARTITIONS):
                batch = [record for record in records[start : start + 100] if record.partition == partition]
                await world.deliver(*batch, position=start + 100)
        assert await world.sink.drain(100_000.0)

        stored = [export for stream in ("one", "two") for export in world.kinesis.stored[stream]]
        assert Counter(map(identity, stored)).keys() == {
            (dict(r.headers)["flow-id"].decode(), r.partition, r.offset) for r in records
        }
        lanes: dict[tuple[bytes | None, str], list[int]] = defaultdict(list)
        for export in stored:
            lane = lanes[export.record.key, export.flow_id]
            if export.record.offset not in lane:
                lane.append(export.record.offset)
        assert all(lane == sorted(lane) for lane in lanes.values())
        repeats = {which: times - 1 for which, times in Counter(map(identity, stored)).items() if times > 1}
        assert all(times <= chaos.in_doubt[which] for which, times in repeats.items())
        assert world.dead_letters.letters == []
        assert {partition: offsets[-1] for partition, offsets in world.progress.items()} == dict.fromkeys(
            range(PARTITIONS), RECORDS
        )
        assert all(offsets == sorted(set(offsets)) for offsets in world.progress.values())
        assert sum(status.delivered for status in world.sink.status().values()) == RECORDS
        assert all(status.waiting == 0 for status in world.sink.status().values())


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_g1_g3_partitions_come_and_go_and_what_is_reported_is_always_stored(seed: int) -> None:
    """Two workers pass partitions to and fro; each begins where progress stands.

    Nothing is lost, and no lane overtakes.
    """
    async with World(
        flows=dict(FLOWS), max_records_per_call=20, max_buffered_records=60, release_seconds=0.3
    ).running() as world:
        chaos, dice = Chaos(world, seed), random.Random(seed)
        world.kinesis.behaviour, world.kinesis.seconds = chaos.behave, chaos.seconds
        world.draws = iter(dice.random, 2.0)
        records = [
            export_record(offset, f"p-{dice.randrange(10)}", dice.choice(list(FLOWS)), partition=0)
            for offset in range(0, 400, 2)
        ]

        committed = 0
        while committed < records[-1].offset + 1 or world.parked.rows.rows[0]:
            batch = [record for record in records if committed <= record.offset][: dice.randrange(1, 90)]
            await world.take_over(0, committed)
            if batch:
                await world.deliver(*batch)
            await world.sink.drain(dice.choice((0.01, 0.1, 1.0, 5.0)))
            await world.sink.release([0])
            committed = max(world.progress[0], default=0)
            stored = {export.record.offset for stream in ("one", "two") for export in world.kinesis.stored[stream]}
            assert {
                record.offset for record in records if record.offset < committed and not world.parked.rows.hold(record)
            } <= stored

        lanes: dict[tuple[bytes | None, str], list[int]] = defaultdict(list)
        for stream in ("one", "two"):
            for export in world.kinesis.stored[stream]:
                lane = lanes[export.record.key, export.flow_id]
                if export.record.offset not in lane:
                    lane.append(export.record.offset)
        assert sorted(offset for lane in lanes.values() for offset in lane) == [record.offset for record in records]
        assert all(lane == sorted(lane) for lane in lanes.values())


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_g9_destinations_change_while_everything_fails_and_every_record_ends_once_somewhere(seed: int) -> None:
    async with World(flows={"vip": a_destination("one")}, max_records_per_call=20).running() as world:
        chaos, dice = Chaos(world, seed), random.Random(seed)
        world.kinesis.behaviour, world.kinesis.seconds = chaos.behave, chaos.seconds
        world.draws = iter(dice.random, 2.0)

        for offset in range(0, 300, 10):
            await world.deliver(*(export_record(offset + n, f"p-{dice.randrange(7)}") for n in range(10)))
            await world.sink.drain(dice.random())
            match dice.randrange(6):
                case 0:
                    world.flows.pop("vip", None)
                case 1 | 2 | 3:
                    world.flows["vip"] = a_destination(dice.choice(("one", "two")))
        world.flows["vip"] = a_destination("one")
        assert await world.sink.drain(100_000.0)

        stored = {export.record.offset for exports in world.kinesis.stored.values() for export in exports}
        dead_lettered = [offset for offset, _ in world.dead_letters.reasons()]
        assert stored | set(dead_lettered) == set(range(300))
        assert len(dead_lettered) == len(set(dead_lettered))
        assert world.progress[0][-1] == 300
