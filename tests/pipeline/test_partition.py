"""One partition's pipeline behind fakes: what it commits equals replay, whatever the batches and wherever it dies
(contract 4b, I5, D3).
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.pipeline.bad_events import TooManyBadEvents
from processor.pipeline.partition import PartitionPipeline, PartitionSettings
from schemas.kafka import ReadRecord
from schemas.wire.exports import ExportHeader
from schemas.wire.identity_index import INDEX_KEY
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, decode_source_position
from tests.core.control import Control
from tests.core.strategies import configurations, histories
from tests.kit.examples import law
from tests.kit.given import a_catalog, a_flow, cloud_event, realized
from tests.kit.virtual_time import in_virtual_time, run_in_virtual_time
from tests.pipeline.fakes import Crash, FixedCatalog, MemoryLog, MemoryRows, batch, partition_settings, until

SECONDS = 3600.0
EVENT = (
    b'{"specversion":"1.0","id":"e-%d","source":"/u","type":"profile.patched","time":"2026-01-11T12:00:00Z",'
    b'"data":{"segmentMembership":{"ups":{"a":{"status":"%b"}}}}}'
)


class Running:
    """A pipeline and what it said."""

    def __init__(self, catalog: Catalog, rows: MemoryRows, log: MemoryLog, of: PartitionSettings) -> None:
        self.rows, self.log = rows, log
        self.progress: list[int] = []
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.pipeline = PartitionPipeline(
            rows,
            log,
            FixedCatalog(catalog),
            of,
            ("source", "changelog"),
            on_processed=self.progress.append,
            on_failure=self._failed,
        )
        self.pipeline.start()

    def _failed(self, error: BaseException) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    async def reach(self, offset: int) -> None:
        """Until progress is at `offset`, or it failed."""
        await until(lambda: self.failure.done() or bool(self.progress and self.progress[-1] >= offset))


def patches(count: int, profiles: int = 3, first: int = 0) -> list[ReadRecord]:
    """Events that realize and exit audience `a` in turn, of a few profiles."""
    statuses = (b"realized", b"exited")
    return [
        ReadRecord(
            "profile-events",
            0,
            offset,
            0,
            b"p-%d" % (offset % profiles),
            EVENT % (offset, statuses[offset // profiles % 2]),
        )
        for offset in range(first, first + count)
    ]


def same_place(history: Sequence[ReadRecord]) -> list[ReadRecord]:
    """The history in one partition, offsets rising with gaps, as after compaction and markers."""
    return [
        record._replace(topic="profile-events", partition=0, offset=3 * index) for index, record in enumerate(history)
    ]


def replayed(catalog: Catalog, history: Sequence[ReadRecord]) -> tuple[list[str], dict[bytes, Any]]:
    """(ids of the records, profiles) by replay."""
    replay = Replay(catalog)
    ids = [record.id for event in history for record in replay.feed(event).records]
    return ids, {key: profile for (_, _, key), profile in replay.profiles.items()}


def ids(log: MemoryLog) -> list[str]:
    return [dict(record.headers)[ExportHeader.RECORD_ID].decode() for record in log.exports]


@law(60)
@given(
    configuration=configurations(),
    history=histories(max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=5),
    cache=st.sampled_from([0, 400, 1 << 20]),
)
def test_any_batching_commits_what_replay_gives(
    configuration: dict[str, Any], history: list[ReadRecord], cuts: list[int], cache: int
) -> None:
    catalog, records = a_catalog(configuration), same_place(history)
    edges = sorted({0, len(records), *(min(cut, len(records)) for cut in cuts)})

    async def run() -> Running:
        running = Running(catalog, MemoryRows(), MemoryLog(), partition_settings(cache_bytes=cache))
        for begin, end in itertools.pairwise(edges):
            running.pipeline.submit(batch(records[begin:end]))
            await asyncio.sleep(0)
        await running.reach(records[-1].offset + 1)
        await running.pipeline.close()
        return running

    running = run_in_virtual_time(run())
    wanted_ids, profiles = replayed(catalog, records)
    assert ids(running.log) == wanted_ids
    assert {key: row.profile for key, row in running.rows.profiles.items()} == profiles
    assert running.rows.rows == running.log.changelog
    position = running.rows.source_position
    assert position is not None
    assert position.profiles == len(profiles)


@law(60)
@given(
    configuration=configurations(),
    history=histories(min_size=2, max_size=20),
    crash_after=st.integers(0, 4),
    durable=st.booleans(),
    size=st.integers(1, 6),
)
def test_wherever_it_dies_the_next_owner_goes_on_and_nothing_is_lost_or_exported_twice(
    configuration: dict[str, Any], history: list[ReadRecord], crash_after: int, durable: bool, size: int
) -> None:
    """A commit that raised may be durable or not: the changelog decides, not the worker's memory."""
    catalog, records = a_catalog(configuration), same_place(history)

    async def run() -> tuple[list[str], MemoryRows]:
        first = Running(catalog, MemoryRows(), MemoryLog(crash_after, durable), partition_settings())
        for begin in range(0, len(records), size):
            first.pipeline.submit(batch(records[begin : begin + size]))
            await asyncio.sleep(0)
        await first.reach(records[-1].offset + 1)
        await first.pipeline.close()
        second = Running(
            catalog, MemoryRows(first.log.changelog), MemoryLog(), partition_settings()
        )  # restored from the changelog
        second.pipeline.submit(batch(records))  # read from an older offset than the source position
        await second.reach(records[-1].offset + 1)
        await second.pipeline.close()
        return ids(first.log) + ids(second.log), second.rows

    found, rows = run_in_virtual_time(run())
    wanted_ids, profiles = replayed(catalog, records)
    assert found == wanted_ids
    assert {key: row.profile for key, row in rows.profiles.items()} == profiles


@in_virtual_time
async def test_progress_is_reported_only_when_rows_are_on_disk() -> None:
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.log.gate.clear()

    running.pipeline.submit(batch(patches(3), position=5))
    await asyncio.sleep(0.02)
    before = list(running.progress)
    running.log.gate.set()
    await running.reach(5)

    assert before == []
    assert running.progress[-1] == 5, "with nothing outstanding the position counts, past the markers"
    assert running.rows.source_position == SourcePosition(3, 0, "source", "changelog", 3)
    await running.pipeline.close()


async def until_position(running: Running, next_offset: int) -> None:
    await until(lambda: (running.rows.source_position or SourcePosition(0)).next_offset >= next_offset)


@in_virtual_time
async def test_the_source_position_passes_what_is_no_event_once_nothing_else_comes() -> None:
    """A marker after the last event: retention removes both, and the log begins above the last event then."""
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.pipeline.submit(batch(patches(3)))
    running.pipeline.submit(batch([], position=5))
    await running.reach(5)
    soon = running.rows.source_position

    await until_position(running, 5)

    assert soon == SourcePosition(3, 0, "source", "changelog", 3), "it costs a transaction: not at once"
    assert running.rows.source_position == SourcePosition(5, 0, "source", "changelog", 3)
    assert [output.rows for output in running.log.outputs[1:]] == [
        {key: running.rows.rows[key] for key in (INDEX_KEY, SOURCE_POSITION_KEY)}
    ]
    await running.pipeline.close()


@in_virtual_time
async def test_no_progress_is_reported_before_there_is_a_source_position() -> None:
    """A partition with nothing but markers: its next owner would find a group that has read, and no state."""
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.pipeline.submit(batch([], position=5))
    await asyncio.sleep(59.0)
    before = list(running.progress)

    await until_position(running, 5)
    await running.reach(5)

    assert before == []
    assert running.progress == [5]
    await running.pipeline.close()


@in_virtual_time
async def test_the_first_source_position_says_where_a_partition_begins_before_any_event_comes() -> None:
    """Were it written with the first event, retention could remove what came before: the next start would find a new
    installation.
    """
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.pipeline.begin_at(1000)

    await until_position(running, 1000)

    assert running.rows.source_position == SourcePosition(1000, 0, "source", "changelog", 0)
    await running.pipeline.close()


@in_virtual_time
async def test_the_source_position_passes_what_was_gone_before_the_first_start() -> None:
    """And what an operator passed over: it is not refused once more."""
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.pipeline.begin_at(1000)

    await until_position(running, 1000)
    running.pipeline.begin_at(1000)
    running.pipeline.submit(batch(patches(2, first=1000)))
    await running.reach(1002)

    assert running.rows.source_position == SourcePosition(1002, 0, "source", "changelog", 2)
    assert len(running.log.outputs) == 2
    await running.pipeline.close()


class CountedCatalog(FixedCatalog):
    """A catalog that counts how often it is asked."""

    asked = 0

    async def as_of(self, fetched_at: float) -> Catalog:
        self.asked += 1
        return await super().as_of(fetched_at)


@in_virtual_time
async def test_an_idle_partition_looks_for_nothing_until_the_catalog_changes_and_then_at_once() -> None:
    catalog, log = CountedCatalog(a_catalog({"flows": []})), MemoryLog()
    pipeline = PartitionPipeline(
        MemoryRows(),
        log,
        catalog,
        partition_settings(),
        ("source", "changelog"),
        on_processed=lambda _: None,
        on_failure=lambda _: None,
    )
    pipeline.start()
    pipeline.submit(batch(patches(3)))
    await asyncio.sleep(1.0)
    asked = catalog.asked

    await asyncio.sleep(3600.0)
    while_idle = catalog.asked - asked
    catalog.change(Control().put(a_flow("f", ["a"])))
    await asyncio.sleep(0.01)
    await pipeline.close()

    assert while_idle == 0
    assert [record.key for record in log.exports] == [b"p-0", b"p-1", b"p-2"]


@in_virtual_time
async def test_what_gathers_while_a_commit_is_on_its_way_is_one_transaction() -> None:
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.log.gate.clear()
    for first in range(0, 60, 10):
        running.pipeline.submit(batch(patches(10, first=first)))
        await asyncio.sleep(0.005)

    running.log.gate.set()
    await running.reach(60)

    assert len(running.log.outputs) == 2
    assert ids(running.log) == [f"profile-events-0-{offset}-f" for offset in range(60)]
    await running.pipeline.close()


@in_virtual_time
async def test_a_commit_that_fails_ends_the_partition_and_nothing_follows_it() -> None:
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(crash_after=1), partition_settings())

    running.pipeline.submit(batch(patches(3)))
    await running.reach(3)
    running.pipeline.submit(batch(patches(3, first=3)))
    error = await asyncio.wait_for(running.failure, SECONDS)
    running.pipeline.submit(batch(patches(3, first=6)))
    await asyncio.sleep(0.02)

    assert isinstance(error, Crash)
    assert running.progress[-1] == 3
    assert len(running.log.outputs) == 1
    await running.pipeline.close()


@in_virtual_time
async def test_close_lets_a_commit_on_its_way_end_and_drops_what_is_only_decided() -> None:
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    running.log.gate.clear()
    running.pipeline.submit(batch(patches(3)))
    await asyncio.sleep(0.02)
    running.pipeline.submit(batch(patches(3, first=3)))
    await asyncio.sleep(0.02)

    closing = asyncio.create_task(running.pipeline.close())
    await asyncio.sleep(0.01)
    running.log.gate.set()
    await closing

    assert len(running.log.outputs) == 1
    assert running.progress[-1] == 3
    assert running.log.closed


@in_virtual_time
async def test_a_bad_event_becomes_a_dead_letter_and_the_stream_goes_on() -> None:
    """I4: unchanged, its own headers before ours, with its place, and the profile's state does not change."""
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings())
    before = (("ce_id", b"\xff"), ("topic", b"theirs"), ("traceparent", None))
    bad = ReadRecord("profile-events", 0, 1, 1_768_174_653_000, b"p-1", b"\xff\x00", before)

    running.pipeline.submit(batch([patches(1)[0], bad, patches(1, first=2)[0]]))
    await running.reach(3)

    (dead_letter,) = running.log.dead_letters
    headers = dict(dead_letter.headers)
    assert (dead_letter.key, dead_letter.value, tuple(dead_letter.headers[:3])) == (b"p-1", b"\xff\x00", before)
    assert {name: headers[name] for name in ("topic", "partition", "offset", "reason", "time")} == {
        "topic": b"profile-events", "partition": b"0", "offset": b"1", "reason": b"not_utf8",
        "time": b"2026-01-11T23:37:33Z",
    }  # fmt: skip
    assert len(ids(running.log)) == 2
    await running.pipeline.close()


@in_virtual_time
async def test_the_nth_bad_event_in_a_row_stops_without_being_passed_and_the_count_survives_a_restart() -> None:
    """I4: everything before it is committed; a restart meets the same event and stops at once."""
    catalog = a_catalog({"flows": [a_flow()]})
    bad = [ReadRecord("profile-events", 0, offset, 0, b"p-1", b"rubbish") for offset in range(1, 6)]
    first = Running(catalog, MemoryRows(), MemoryLog(), partition_settings(3))
    first.pipeline.submit(batch([patches(1)[0], *bad]))
    error = await asyncio.wait_for(first.failure, SECONDS)
    await first.pipeline.close()

    second = Running(catalog, MemoryRows(first.log.changelog), MemoryLog(), partition_settings(3))
    second.pipeline.submit(batch(bad))
    again = await asyncio.wait_for(second.failure, SECONDS)
    await second.pipeline.close()

    assert isinstance(error, TooManyBadEvents)
    assert error.place == ("profile-events", 0, 3)
    assert len(first.log.dead_letters) == 2
    assert decode_source_position(first.log.changelog[SOURCE_POSITION_KEY])[:2] == (3, 2)
    assert isinstance(again, TooManyBadEvents)
    assert second.log.dead_letters == []


@in_virtual_time
async def test_a_good_event_ends_a_run_of_bad_ones() -> None:
    """I4: in a row."""
    records = []
    for offset in range(0, 30, 3):
        records += [ReadRecord("profile-events", 0, offset + step, 0, b"p-1", b"rubbish") for step in range(2)]
        records.append(ReadRecord("profile-events", 0, offset + 2, 0, b"p-2", EVENT % (offset, b"realized")))
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings(3))

    running.pipeline.submit(batch(records))
    await running.reach(30)

    assert not running.failure.done()
    assert len(running.log.dead_letters) == 20
    await running.pipeline.close()


@in_virtual_time
async def test_a_full_partition_says_so_until_there_is_room() -> None:
    running = Running(
        a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings(max_waiting_bytes=1000)
    )

    running.pipeline.submit(batch(patches(10)))
    full_before = running.pipeline.is_full
    await running.reach(10)

    assert full_before
    assert not running.pipeline.is_full
    await running.pipeline.close()


@in_virtual_time
async def test_few_events_wait_for_others_and_many_do_not() -> None:
    running = Running(
        a_catalog({"flows": [a_flow()]}), MemoryRows(), MemoryLog(), partition_settings(linger_seconds=0.05)
    )
    loop = asyncio.get_running_loop()

    begun = loop.time()
    running.pipeline.submit(batch(patches(2)))
    await running.reach(2)
    few = loop.time() - begun
    running.pipeline.submit(batch(patches(600, first=2)))
    await running.reach(602)

    assert few >= 0.05
    assert len(running.log.outputs) <= 3
    await running.pipeline.close()


@pytest.mark.parametrize("status", ["realized", "exited"])
@in_virtual_time
async def test_a_deleted_profile_leaves_a_tombstone_and_no_row(status: str) -> None:
    """F3: gone, in the changelog and on disk."""
    log = MemoryLog()
    running = Running(a_catalog({"flows": [a_flow()]}), MemoryRows(), log, partition_settings())
    born = ReadRecord(
        "profile-events", 0, 0, 0, b"p-1", orjson.dumps(cloud_event(realized("a", status=status), id="1"))
    )

    running.pipeline.submit(batch([born]))
    await running.reach(1)
    running.pipeline.submit(batch([ReadRecord("profile-events", 0, 1, 1_768_174_653_000, b"p-1", None)]))
    await running.reach(2)

    assert log.outputs[-1].rows[b"pp-1"] is None
    assert running.rows.profiles == {}
    await running.pipeline.close()


@in_virtual_time
async def test_what_is_fetched_before_it_is_said_where_to_read_on_is_not_processed() -> None:
    """It comes from the group's offset, which a crash may have left anywhere: events before it would be passed over."""
    log, progress, catalog = (
        MemoryLog(),
        list[int](),
        FixedCatalog(a_catalog({"flows": [a_flow(attributes=["segmentMembership"])]})),
    )
    pipeline = PartitionPipeline(
        MemoryRows(),
        log,
        catalog,
        partition_settings(),
        ("source", "changelog"),
        on_processed=progress.append,
        on_failure=lambda _: None,
        is_positioned=False,
    )
    pipeline.start()
    events = patches(20)

    pipeline.submit(batch(events[10:]))
    pipeline.begin_at(0)
    pipeline.submit(batch(events))
    await until(lambda: 20 in progress)
    await pipeline.close()

    assert len(log.exports) == len(events)
