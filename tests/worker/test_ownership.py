"""A worker begins where it must after a takeover, whatever rebalance comes in the middle of it."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from processor.foundation.revocable import PartitionsRevoked
from processor.foundation.settings import Settings
from processor.kafka.cluster import ClusterFacts
from processor.kafka.producers import NotWritten
from processor.transport.lease import Lease
from processor.transport.owner import Partition
from processor.worker.build import build
from processor.worker.environment import WorkerEnvironment
from processor.worker.ownership import Ownership
from processor.worker.partition_history import NotRecorded
from processor.worker.start_positions import SeveralGaps, StateIsGone
from schemas.kafka import ProducerRecord
from schemas.parked_flow import ParkedFlowRow
from schemas.wire.profiles_changelog import SourcePosition
from state.directory import StateDirectory

SECONDS = 60.0
SOURCE, EXPORTS = "profile-events", "exports"


class Consumer:
    """Knows offsets; `when_asked` happens while somebody waits for the group's."""

    def __init__(self, committed: int | None) -> None:
        self._committed = committed
        self.when_asked = lambda: None
        self.is_ours = True
        self.begin = 0
        self.lease = Lease(10.0)
        self.done: dict[tuple[str, int], int] = {}
        self.epoch = 0

    async def earliest_offsets(self, *places: Partition) -> dict[Partition, int]:
        return dict.fromkeys(places, self.begin)

    async def highwaters(self, *places: Partition) -> dict[Partition, int]:
        return dict.fromkeys(places, 100)

    async def committed(self, places: Iterable[Partition]) -> Mapping[Partition, int | None]:
        self.when_asked()
        return dict.fromkeys(places, self._committed)

    async def log_bounds(self, places: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        return dict.fromkeys(places, (0, 100))

    async def commit_if_assigned(self, offsets: Mapping[Partition, int]) -> bool:
        return self.is_ours

    def mark_done(self, topic: str, partition: int, next_offset: int) -> None:
        self.done[topic, partition] = next_offset


class Producer:
    """Keeps what it is given; `when_written` happens meanwhile."""

    def __init__(self, when_written: Callable[[], None] = lambda: None) -> None:
        self.when_written = when_written
        self.written: list[dict[str, Any]] = []

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        self.when_written()
        self.written.extend(orjson.loads(record.value or b"") for _, record in records)


async def new_ownership(  # each by its name
    folder: Path,
    consumer: Consumer,
    positions: Mapping[int, SourcePosition | None],
    started: Any = None,
    new_log: Callable[[int], Any] | None = None,
    detached: Callable[[list[int]], None] = lambda _: None,
    read_positions: Callable[[Collection[int]], Any] | None = None,
    **values: Any,
) -> tuple[Ownership, dict[int, Any]]:
    """The ownership of partitions with these source positions; and their stores.

    `started` is its catalog and producer; `values` are settings.
    """
    stores = {partition: SimpleNamespace(source_position=position) for partition, position in positions.items()}
    settings = Settings(_env_file=None, data_dir=folder, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument
    environment = WorkerEnvironment(StateDirectory.lock(folder, lambda: "0"), ClusterFacts(None, {}))
    store: Any = SimpleNamespace(partitions=stores, detach=detached)
    fetching: Any = consumer
    parts = build(
        settings,
        environment,
        fetching,
        store,
        lambda _: None,
        catalog=started or no_catalog,
        producer=started or Producer(),
        new_log=new_log or no_log,
        open_changelog=no_changelog,
        read_parked_rows=read_positions or nothing_parked,
    )
    return Ownership(parts), stores


no_catalog: Any = SimpleNamespace(catalog=None)


def no_log(partition: int) -> Any:
    raise AssertionError(f"nobody takes partition {partition} over")


def no_changelog(**_: Any) -> Any:
    raise AssertionError("nothing is restored")


async def nothing_parked(partitions: Collection[int]) -> dict[int, Any]:
    return {partition: {} for partition in partitions}


async def test_a_worker_begins_at_the_source_position_and_at_the_groups_offset_of_exports(tmp_path: Path) -> None:
    consumer = Consumer(committed=40)
    begun, _ = await new_ownership(tmp_path, consumer, {0: SourcePosition(60)})

    positions = await begun.start_positions([Partition(SOURCE, 0), Partition(EXPORTS, 0), Partition("changelog", 0)])

    assert positions == {Partition(SOURCE, 0): 60, Partition(EXPORTS, 0): 40}
    assert consumer.done == {(SOURCE, 0): 60}, "the group's offset is what a crash left behind"


async def test_a_partition_taken_away_while_its_offsets_were_asked_for_is_left_to_its_next_takeover(
    tmp_path: Path,
) -> None:
    """It once stopped the worker for the operator: no state here was read as no state anywhere."""
    consumer = Consumer(committed=40)
    begun, stores = await new_ownership(tmp_path, consumer, {0: SourcePosition(60), 1: SourcePosition(70)})
    consumer.when_asked = lambda: stores.pop(1)

    positions = await begun.start_positions([Partition(SOURCE, 0), Partition(SOURCE, 1)])

    assert positions == {Partition(SOURCE, 0): 60}


async def test_a_partition_that_the_group_has_read_and_whose_state_is_gone_stops_the_worker(tmp_path: Path) -> None:
    begun, _ = await new_ownership(tmp_path, Consumer(committed=40), {0: None})

    with pytest.raises(StateIsGone):
        await begun.start_positions([Partition(SOURCE, 0)])


async def test_who_decides_and_what_is_passed_over_is_on_the_topic_before_anything_is_done_there(
    tmp_path: Path,
) -> None:
    consumer, producer = Consumer(committed=40), Producer(lambda: done.append(dict(consumer.done)))
    done: list[dict[tuple[str, int], int]] = []
    begun, _ = await new_ownership(
        tmp_path, consumer, {0: SourcePosition(60), 1: SourcePosition(70)}, producer, skip_to="1:90"
    )

    positions = await begun.start_positions([Partition(SOURCE, 0), Partition(SOURCE, 1), Partition(EXPORTS, 1)])

    assert positions[SOURCE, 1] == 90
    assert [event["action"] for event in producer.written] == ["skipped", "taken_over"]
    assert producer.written[0]["after"] == {"topic": SOURCE, "partition": 1, "from": 70, "to": 89, "why": "SKIP_TO"}
    assert producer.written[1]["after"]["partitions"] == [
        {"partition": 0, "firstOffset": 60},
        {"partition": 1, "firstOffset": 90},
    ]
    assert done == [{}], "nothing was told to the group before"


async def test_a_skip_that_cannot_be_written_is_not_gone_past(tmp_path: Path) -> None:
    def refuse() -> None:
        raise NotWritten("audit-events")

    consumer = Consumer(committed=40)
    begun, _ = await new_ownership(tmp_path, consumer, {0: SourcePosition(60)}, Producer(refuse), skip_to="0:90")

    with pytest.raises(NotRecorded, match="the right to write to audit-events"):
        await begun.start_positions([Partition(SOURCE, 0)])

    assert consumer.done == {}


async def test_a_partition_taken_away_while_its_start_was_written_is_left_alone(tmp_path: Path) -> None:
    consumer = Consumer(committed=40)
    producer = Producer(lambda: stores.pop(1))
    begun, stores = await new_ownership(tmp_path, consumer, {0: SourcePosition(60), 1: SourcePosition(70)}, producer)

    positions = await begun.start_positions([Partition(SOURCE, 0), Partition(SOURCE, 1)])

    assert positions == {Partition(SOURCE, 0): 60}
    assert consumer.done == {(SOURCE, 0): 60}


async def test_a_worker_whose_first_commit_the_group_refuses_begins_nowhere(tmp_path: Path) -> None:
    """It once began at the group's offset, which a crash may have left anywhere: what was left out was fetched all the
    same.
    """
    consumer = Consumer(committed=None)
    consumer.is_ours = False
    begun, _ = await new_ownership(tmp_path, consumer, {0: SourcePosition(60)}, accept_gaps="exports:0:100")

    with pytest.raises(PartitionsRevoked):
        await begun.start_positions([Partition(SOURCE, 0), Partition(EXPORTS, 0)])


async def test_gaps_of_partitions_and_of_parked_flows_are_told_together(tmp_path: Path) -> None:
    """One wrong DeleteRecords is one stop."""

    async def parked(partitions: Collection[int]) -> dict[int, dict[str, ParkedFlowRow]]:
        return {
            partition: {"a row": ParkedFlowRow(flow="vip", partition=partition, first=2)} for partition in partitions
        }

    consumer = Consumer(committed=40)
    consumer.begin = 50
    begun, _ = await new_ownership(tmp_path, consumer, {0: SourcePosition(60)}, read_positions=parked)

    with pytest.raises(SeveralGaps) as stopped:
        await begun.start_positions([Partition(SOURCE, 0), Partition(EXPORTS, 0)])

    assert str(stopped.value).splitlines()[-1].endswith("ACCEPT_GAPS=exports:0:40,exports:0:2")


class Part:
    """Something that is started and stopped; its start waits for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.starts = self.started = 0

    async def start(self) -> None:
        self.starts += 1
        await self.gate.wait()
        self.started += 1

    async def reach_end(self) -> None: ...

    async def write(self, topic: str, records: Any) -> None: ...


async def test_a_worker_is_started_whole_though_its_first_takeover_is_cancelled(tmp_path: Path) -> None:
    """A rebalance during the first takeover once left the catalog half started: the second one waited for it for
    ever.
    """
    part = Part()
    begun, _ = await new_ownership(tmp_path, Consumer(committed=None), {}, part)
    first = asyncio.create_task(begun.take_over([]))
    await until(lambda: part.starts == 1)
    first.cancel()
    await asyncio.wait({first})

    second = asyncio.create_task(begun.take_over([]))
    part.gate.set()
    async with asyncio.timeout(SECONDS):
        await second

    assert first.cancelled()
    assert (part.starts, part.started) == (2, 2)  # producer and catalog, once each


async def test_a_takeover_begins_when_the_one_before_has_let_go(tmp_path: Path) -> None:
    part = Part()
    part.gate.set()
    told: list[str] = []
    closing = asyncio.Event()

    def new_log(partition: int) -> Any:
        told.append("a log")
        return SimpleNamespace(take_over=asyncio.Event().wait, close=closing.wait)

    begun, _ = await new_ownership(
        tmp_path, Consumer(committed=None), {}, part, new_log, lambda ours: told.append(f"detached {ours}")
    )
    first = asyncio.create_task(begun.take_over([7]))
    await until(lambda: "a log" in told)
    first.cancel()
    second = asyncio.create_task(begun.take_over([7]))
    await asyncio.sleep(0)
    closing.set()
    await until(lambda: told.count("a log") == 2)
    second.cancel()
    await asyncio.wait({first, second})

    assert told[-4:] == ["detached [7]", "detached []", "a log", "detached [7]"]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0)
