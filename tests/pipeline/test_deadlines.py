"""Expiry in one partition behind fakes: each deadline once, whatever crashes, and the log alone tells the state
(contract F5).
"""

import asyncio
from collections import Counter
from itertools import chain
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.expiry import next_deadline
from processor.core.replay import Replay
from processor.pipeline.deadlines import CHUNK_PROFILES, DeadlineSettings
from processor.pipeline.partition import PartitionPipeline
from schemas.kafka import ReadRecord
from schemas.times import format_time, parse_time
from schemas.wire.profiles_changelog import DEADLINE, SourcePosition
from tests.kit.examples import law
from tests.kit.given import a_catalog, a_flow, cloud_event, membership
from tests.kit.virtual_time import in_virtual_time, run_in_virtual_time
from tests.pipeline.fakes import FixedCatalog, LoopClock, MemoryLog, MemoryRows, batch, partition_settings, until

START = parse_time("2026-02-01T00:00:00Z")
DAY = 86_400
CATALOG = a_catalog({"flows": [a_flow("f", ["a", "ext/x"])]})


class Life:
    """A partition whose expiries come back as events, a clock that is set, and owners that die."""

    def __init__(self, again_days: int = 100_000) -> None:
        self.again_days = again_days
        self.rows, self.log = MemoryRows(), MemoryLog()
        self.now = float(START)
        self.clock = LoopClock()
        self.events: list[ReadRecord] = []
        self.failure: BaseException | None = None
        self._looped = 0
        self.open()

    def open(self) -> None:
        deadlines = DeadlineSettings(True, lambda: self.now, again_days=self.again_days)
        settings = partition_settings(deadlines=deadlines, clock=self.clock)
        view, topics = FixedCatalog(CATALOG), ("source", "changelog")
        self.pipeline = PartitionPipeline(
            self.rows, self.log, view, settings, topics, on_processed=lambda _: None, on_failure=self._failed
        )
        self.pipeline.start()

    def _failed(self, error: BaseException) -> None:
        self.failure = error

    async def die(self, how: bool | int, after: int = 0) -> None:
        """At the next commit but `after`, which is durable or not, or torn after so many rows; another owner goes on
        from the changelog.
        """
        self.log.crash_after, self.log.crash_durable = len(self.log.outputs) + after, how is True
        self.log.torn_after = None if isinstance(how, bool) else how

    async def again_where_it_died(self) -> None:
        if self.failure is not None:
            await self.pipeline.close()
            self.rows, self.failure = MemoryRows(self.log.changelog), None
            self.log.crash_after = None
            self.open()
            self.pipeline.submit(batch(self.events)) if self.events else None
            self.loop_back()

    def send(self, key: str, data: Any, kind: str = "profile.patched") -> None:
        value = orjson.dumps(cloud_event(data, kind, key, id=f"e-{len(self.events)}", time=format_time(int(self.now))))
        self._append(key.encode(), value)

    def _append(self, key: bytes, value: bytes) -> None:
        event = ReadRecord("profile-events", 0, len(self.events), 0, key, value)
        self.events.append(event)
        self.pipeline.submit(batch([event]))

    def loop_back(self) -> None:
        """What was committed to profile-events is read from there."""
        written = [record for output in self.log.outputs for record in output.events]
        for record in written[self._looped :]:
            self._append(record.key or b"", record.value or b"")
        self._looped = len(written)

    async def settle(self) -> None:
        """Until nothing is due, and everything on the log is applied."""
        quiet = 0
        while quiet < 2:
            before = len(self.events), len(self.log.outputs)
            await asyncio.sleep(10.0)  # the partition looks every 5 s
            await self.again_where_it_died()
            self.loop_back()
            is_done = self.pipeline.committed_offset >= len(self.events)
            quiet = quiet + 1 if is_done and before == (len(self.events), len(self.log.outputs)) else 0

    @property
    def expiry_ids(self) -> list[str]:
        return [
            event["id"]
            for event in (orjson.loads(record.value or b"{}") for record in self.events)
            if event["type"] == "membership.expired"
        ]


times = st.integers(-40, 5).map(lambda days: format_time(START + days * DAY))
entries = st.fixed_dictionaries(
    {"status": st.sampled_from(["realized", "exited"])}, optional={"lastQualificationTime": times, "validUntil": times}
)
patched_entries = st.dictionaries(st.sampled_from(["a", "b", "ext/x"]), entries, min_size=1, max_size=2)
patches = st.tuples(st.just("patch"), st.sampled_from(["p-1", "p-2"]), patched_entries)
settled = st.tuples(st.just("days"), st.integers(0, 40), st.just(True))
steps_of_life = st.one_of(
    patches,
    st.tuples(st.just("gone"), st.sampled_from(["p-1", "p-2"]), st.none()),
    st.tuples(st.just("days"), st.integers(0, 40), st.booleans()),
    st.tuples(st.just("die"), st.booleans(), st.none()),
)

tears = st.tuples(st.just("die"), st.integers(0, 4), st.integers(0, 1))
torn = st.tuples(steps_of_life, tears, st.lists(patches, max_size=4), settled).map(
    lambda parts: [parts[0], parts[1], *parts[2], parts[3]]
)


async def lived(history: list[Any]) -> Life:
    life = Life()
    for kind, what, more in history:
        if kind == "patch":
            life.send(what, membership(more))
        elif kind == "gone":
            life.send(what, None, "profile.deleted")
        elif kind == "days":
            life.now += what * DAY
            life.clock.passed += 10.0
            await (life.settle() if more else asyncio.sleep(0))
        else:
            await life.die(what, more or 0)
        await life.again_where_it_died()
    await life.settle()
    await life.pipeline.close()
    return life


def require_nothing_past_its_deadline(life: Life) -> None:
    replay = Replay(CATALOG)
    for event in life.events:
        replay.feed(event)
    folded = {key: profile for (_, _, key), profile in replay.profiles.items()}
    assert {key: row.profile for key, row in life.rows.profiles.items()} == folded, "the log alone tells the state"
    now = format_time(int(life.now))
    for key, row in life.rows.profiles.items():
        assert not next_deadline(row.profile) or next_deadline(row.profile) > now, key
        assert row.announced == ""
        assert not next_deadline(row.profile) or "" < row.deadline <= next_deadline(row.profile)
    index = sorted(key for key in life.rows.rows if key.startswith(DEADLINE))
    assert index == sorted(
        b"d" + row.deadline.encode() + key for key, row in life.rows.profiles.items() if row.deadline
    )
    assert life.rows.rows == life.log.changelog


@law(200)
@given(history=st.lists(steps_of_life, min_size=2, max_size=14))
def test_f5_once_a_deadline_and_nothing_stays_past_it(history: list[Any]) -> None:
    life = run_in_virtual_time(lived(history))

    require_nothing_past_its_deadline(life)
    patches = Counter(key for kind, key, _ in history if kind == "patch")
    assert all(count <= patches[expiry[7:10]] for expiry, count in Counter(life.expiry_ids).items()), (
        "once, unless an event brought it back"
    )


@law(200)
@given(history=st.lists(torn, min_size=1, max_size=5).map(lambda each: list(chain.from_iterable(each))))
def test_f5_nothing_stays_past_its_deadline_where_a_log_without_transactions_tears(history: list[Any]) -> None:
    require_nothing_past_its_deadline(run_in_virtual_time(lived(history)))


@in_virtual_time
async def test_f5_what_is_written_again_in_one_commit_comes_last_where_a_log_tears() -> None:
    """Between the entry of an event and the row of the same one, not of an earlier one."""
    life = Life()
    life.log.gate.clear()
    life.send("p-2", {"n": 1})
    for day in (20, 10, 5):
        await asyncio.sleep(0.01)  # a run of its own; all wait for the first commit
        life.send("p-1", membership({"ext/x": {"status": "realized", "validUntil": format_time(START + day * DAY)}}))
    await asyncio.sleep(0.01)
    await life.die(3, after=1)
    life.log.gate.set()
    await life.settle()
    torn_at = len(life.log.outputs[1].rows)
    life.now += 6 * DAY
    await life.settle()
    await life.pipeline.close()

    assert torn_at > 3, "it was one commit, of more than what arrived"
    require_nothing_past_its_deadline(life)
    assert life.expiry_ids == [f"expiry-p-1-{format_time(START + 5 * DAY)}"]


@in_virtual_time
async def test_f5_written_once_and_applied_as_an_event_with_a_record() -> None:
    life = Life()
    life.send("p-1", membership({"ext/x": {"status": "realized"}, "a": {"status": "realized"}}))
    await life.settle()
    life.now += 31 * DAY
    await life.settle()
    await life.pipeline.close()

    deadline = format_time(START + 30 * DAY)
    assert life.expiry_ids == [f"expiry-p-1-{deadline}"]
    assert orjson.loads(life.log.exports[-1].value or b"")["segmentMembership"]["ext"]["x"] == {
        "lastQualificationTime": deadline,
        "status": "exited",
    }


@in_virtual_time
async def test_f5_a_look_steps_over_nothing_that_was_removed_before_and_misses_nothing_that_comes_below() -> None:
    """From the first entry on, the work would grow with the square of what is due, and every later look would pass all
    of it again.
    """
    life, count = Life(), 4 * CHUNK_PROFILES
    for number in range(count):
        life.send(f"p-{number:04}", membership({"ext/x": {"status": "realized"}}))
    life.now += 31 * DAY
    await life.settle()
    first = life.rows.stepped_over
    await life.settle()
    later = life.rows.stepped_over - first
    until = format_time(START)
    life.send(
        "late", membership({"ext/x": {"status": "realized", "lastQualificationTime": until, "validUntil": until}})
    )
    await life.settle()
    await life.pipeline.close()

    assert first <= count
    assert later == 0
    assert life.expiry_ids[:count] == [
        f"expiry-p-{number:04}-{format_time(START + 30 * DAY)}" for number in range(count)
    ]
    assert life.expiry_ids[count] == f"expiry-late-{until}"
    assert life.rows.profiles[b"late"].deadline == ""


@in_virtual_time
async def test_f5_a_deadline_that_moves_away_is_looked_at_and_moved() -> None:
    life = Life()
    life.send("p-1", membership({"ext/x": {"status": "realized"}}))
    life.now += 20 * DAY
    life.send("p-1", membership({"ext/x": {"status": "realized", "lastQualificationTime": format_time(int(life.now))}}))
    await life.settle()
    stood = life.rows.profiles[b"p-1"].deadline
    life.now += 11 * DAY
    await life.settle()
    await life.pipeline.close()

    assert stood == format_time(START + 30 * DAY)
    assert life.rows.profiles[b"p-1"].deadline == format_time(START + 50 * DAY)
    assert life.expiry_ids == []


@in_virtual_time
async def test_f5_while_the_event_is_on_its_way_nothing_announces_the_deadline_again() -> None:
    life = Life()
    life.send("p-1", membership({"ext/x": {"status": "realized"}}))
    await life.settle()
    life.now += 31 * DAY
    await until(lambda: any(output.events for output in life.log.outputs))
    life.send(
        "p-1", membership({"b": {"status": "exited", "lastQualificationTime": format_time(START)}})
    )  # due as well, and not announced
    await asyncio.sleep(30.0)
    announced = [record for output in life.log.outputs for record in output.events]
    await life.settle()
    await life.pipeline.close()

    assert len(announced) == 1
    assert len(life.expiry_ids) == len(set(life.expiry_ids)) == 2
    assert "b" not in life.rows.profiles[b"p-1"].profile.memberships.get("ups", {})


@in_virtual_time
async def test_f5_an_event_that_was_lost_on_the_log_is_written_again_after_its_days() -> None:
    life = Life(again_days=7)
    life.send("p-1", membership({"ext/x": {"status": "realized"}}))
    await life.settle()
    life.now += 31 * DAY

    async def written(count: int) -> list[bytes | None]:
        await until(lambda: sum(len(output.events) for output in life.log.outputs) >= count)
        return [record.value for output in life.log.outputs for record in output.events]

    await written(1)
    life._looped = 1  # somebody went past it
    life.send("p-1", {"n": 1})
    life.now += 7 * DAY
    first, second = await written(2)
    await life.settle()
    await life.pipeline.close()

    assert first == second
    assert life.rows.profiles[b"p-1"].announced == ""
    assert len(life.expiry_ids) == 1
    assert orjson.loads(life.log.exports[-1].value or b"")["segmentMembership"]["ext"]["x"]["status"] == "exited"


@in_virtual_time
async def test_off_nothing_is_written_and_the_index_is_kept() -> None:
    rows, log = MemoryRows(), MemoryLog()
    pipeline = PartitionPipeline(
        rows,
        log,
        FixedCatalog(Catalog.of((), ())),
        partition_settings(),
        (None, None),
        on_processed=lambda _: None,
        on_failure=print,
    )
    pipeline.start()
    end = "2020-01-01T00:00:00Z"
    value = orjson.dumps(
        cloud_event(membership({"ext/x": {"status": "realized", "lastQualificationTime": end, "validUntil": end}}))
    )
    pipeline.submit(batch([ReadRecord("profile-events", 0, 0, 0, b"p-1", value)]))
    await until(lambda: rows.source_position == SourcePosition(1, profiles=1))
    await asyncio.sleep(30.0)
    await pipeline.close()

    assert [output.events for output in log.outputs] == [[]]
    assert b"d2020-01-01T00:00:00Zp-1" in rows.rows


@in_virtual_time
async def test_f5_what_does_not_fit_into_one_event_follows_when_that_one_is_applied() -> None:
    """An event names the namespace of each entry: a long one made it larger than any topic takes, and stopped the
    partition for ever.
    """
    life = Life(again_days=7)
    until = format_time(START + DAY)
    life.send(
        "p-1",
        membership({f"{'n' * 50_000}/{number}": {"status": "realized", "validUntil": until} for number in range(9)}),
    )
    life.now += 2 * DAY

    await life.settle()
    await life.pipeline.close()

    written = [record.value or b"" for output in life.log.outputs for record in output.events]
    (profile,) = life.rows.profiles.values()
    assert len(written) == 5
    assert max(map(len, written)) < 250_000
    assert {text[0] for audiences in profile.profile.memberships.values() for text in audiences.values()} == {"e"}
