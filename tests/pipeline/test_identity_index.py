"""The index of identities of one partition behind fakes: it is what the profiles say, whoever owned the partition and
died (contract M6, F3).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.step import Limits
from processor.pipeline.bad_events import BadEventLimit
from processor.pipeline.decider import Policy, RunStart, decide_run
from processor.pipeline.identity_index import IndexSettings
from processor.pipeline.jobs.scheduler import JobSettings
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.partition import PartitionPipeline
from processor.pipeline.profiles import Profiles
from schemas.kafka import ReadRecord
from schemas.wire.identity_index import (
    IDENTITY,
    INDEX_KEY,
    IndexProgress,
    IndexState,
    decode_progress,
    encode_progress,
    identity_key,
)
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    SourcePosition,
    decode_source_position,
    encode_source_position,
)
from tests.core.strategies import PROFILES, histories, identity_maps
from tests.kit.examples import law
from tests.kit.given import cloud_event
from tests.kit.rows import identities_of, index_of, require_whole_index, says_whole
from tests.kit.virtual_time import in_virtual_time, run_in_virtual_time
from tests.pipeline.fakes import FixedCatalog, MemoryLog, MemoryRows, apply, batch, loop_slots, partition_settings

SECONDS: Final = 600.0
ON: Final = IndexSettings()
PIECEMEAL: Final = IndexSettings(True, 1, 1, 1, 1, 1)
OFF: Final = IndexSettings(False, 1, 1, 1, 1, 1)
CATALOG: Final = Catalog.of((), ())
POLICY: Final = Policy(Limits(), BadEventLimit())


class Partition:
    """A partition that owners come to one after the other: what was committed is all that the next one has."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.events: list[ReadRecord] = []
        self.commits: list[dict[bytes, bytes]] = []  # the changelog after each

    @property
    def changelog(self) -> dict[bytes, bytes]:
        return self.log.changelog

    @property
    def next_offset(self) -> int:
        value = self.changelog.get(SOURCE_POSITION_KEY)
        return 0 if value is None else decode_source_position(value).next_offset

    @property
    def progress(self) -> IndexProgress | None:
        return decode_progress(self.changelog.get(INDEX_KEY))

    async def own(
        self,
        settings: IndexSettings,
        until: Callable[[], bool],
        *,
        pause: int = 0,
        slots: Slots | None = None,
        number: int = 0,
    ) -> None:
        """A worker owns it until `until` holds, or it dies; then it stops.

        `pause`: turns of the loop between two events, 0: all come at once.
        """
        failed: list[BaseException] = []
        jobs = JobSettings(number, slots=slots or loop_slots())
        part = partition_settings(jobs=jobs, identity_index=settings)
        rows = MemoryRows(self.changelog)
        pipeline = PartitionPipeline(
            rows,
            self.log,
            FixedCatalog(CATALOG),
            part,
            (None, None),
            on_processed=lambda _: None,
            on_failure=failed.append,
        )
        pipeline.start()
        new = [event for event in self.events if event.offset >= self.next_offset]
        coming = [batch([event]) for event in new] if pause else [batch(new)] * bool(new)
        turn = 0
        seen = len(self.log.outputs)
        async with asyncio.timeout(SECONDS):
            while not failed and not until():
                if coming and turn % (pause or 1) == 0:
                    pipeline.submit(coming.pop(0))
                turn += 1
                await asyncio.sleep(0 if turn % 100 else 1.0)
                if len(self.log.outputs) > seen:
                    seen = len(self.log.outputs)
                    self.commits.append(dict(self.changelog))
        await pipeline.close()
        self.commits.append(dict(self.changelog))
        if not failed:
            assert rows.rows == self.changelog

    def own_by_an_older_version(self) -> None:
        """It knows of no index: unknown rows stay as they are, its commits have the source position alone."""
        records = [record for record in self.events if record.offset >= self.next_offset]
        if records:
            rows = dict(
                decide_run(
                    records, Profiles(MemoryRows(self.changelog), 0), CATALOG, POLICY, RunStart(1, 0, b"0", {})
                ).rows
            )
            rows[SOURCE_POSITION_KEY] = encode_source_position(SourcePosition(records[-1].offset + 1))
            apply(self.log.changelog, rows)

    def send(self, profile: str, identities: Any, kind: str = "profile.patched") -> None:
        data = None if identities is None else {"identityMap": identities}
        value = orjson.dumps(cloud_event(data, kind, profile, id=f"e-{len(self.events)}"))
        self.events.append(ReadRecord("profile-events", 0, len(self.events), 0, profile.encode(), value))

    def is_applied(self) -> bool:
        return not self.events or self.next_offset > self.events[-1].offset

    def is_whole(self) -> bool:
        return self.is_applied() and (says_whole(self.changelog) or not self.changelog)

    def has_none(self) -> bool:
        return self.is_applied() and not any(key == INDEX_KEY or key.startswith(IDENTITY) for key in self.changelog)


class Life(NamedTuple):
    """One owner: how it keeps the index, how many events come to it, whether it stays until the index is as it should
    be, or how it dies.
    """

    kind: str
    events: int
    stays: bool
    dies_after: int | None
    torn_after: int | None
    pause: int


lives = st.builds(
    Life,
    kind=st.sampled_from(["on", "on", "off", "old"]),
    events=st.integers(0, 5),
    stays=st.booleans(),
    dies_after=st.none() | st.integers(0, 3),
    torn_after=st.none(),
    pause=st.sampled_from([0, 3, 10]),
)
tearing = st.builds(
    Life,
    kind=st.sampled_from(["on", "off", "old"]),
    events=st.integers(1, 5),
    stays=st.booleans(),
    dies_after=st.integers(0, 2),
    torn_after=st.integers(0, 6),
    pause=st.sampled_from([0, 3, 10]),
)


mostly_identities = st.builds(
    cloud_event,
    st.fixed_dictionaries({"identityMap": identity_maps}),
    st.sampled_from(["profile.patched"] * 6 + ["profile.replaced", "profile.deleted"]),
    id=st.integers(0, 10**9).map(str),
    subject=st.none(),
)


@st.composite
def identity_histories(draw: st.DrawFn, min_size: int = 1) -> list[ReadRecord]:
    """Events of one partition; of two in three nothing but identities."""
    others = draw(histories(max_size=8))
    values = draw(st.lists(mostly_identities, min_size=min_size, max_size=16))
    records = others + [
        ReadRecord("profile-events", 0, 0, 0, draw(st.sampled_from(PROFILES)).encode(), orjson.dumps(value))
        for value in values
    ]
    return [
        record._replace(partition=0, offset=2 * number) for number, record in enumerate(draw(st.permutations(records)))
    ]


async def lived(history: Sequence[ReadRecord], owners: Sequence[Life]) -> Partition:
    """All owners, and a last one that stays, with the rest of the events."""
    partition, waiting = Partition(), list(history)
    for life in [*owners, Life("on", len(waiting), True, None, None, 3)]:
        partition.events += waiting[: life.events]
        del waiting[: life.events]
        if life.kind == "old":
            partition.own_by_an_older_version()
            continue
        log = partition.log
        log.crash_after = None if life.dies_after is None else len(log.outputs) + life.dies_after
        log.crash_durable, log.torn_after = life.torn_after is None and bool(life.events % 2), life.torn_after
        settings, done = (PIECEMEAL, partition.is_whole) if life.kind == "on" else (OFF, partition.has_none)
        await partition.own(settings, done if life.stays else partition.is_applied, pause=life.pause)
        log.crash_after = None
    return partition


@law(150)
@given(history=identity_histories(), owners=st.lists(lives, max_size=6))
def test_m6_whoever_owned_it_and_died_the_index_is_what_the_profiles_say(
    history: list[ReadRecord], owners: list[Life]
) -> None:
    """And whenever it says that it is whole, it is."""
    partition = run_in_virtual_time(lived(history, owners))

    require_whole_index(partition.changelog)
    for rows in partition.commits:
        assert not says_whole(rows) or index_of(rows) == identities_of(rows)


@law(100)
@given(history=identity_histories(), owners=st.lists(lives.filter(lambda life: life.kind != "old"), max_size=6))
def test_f3_no_row_of_the_index_outlives_what_it_says_switched_on_and_off_at_any_time(
    history: list[ReadRecord], owners: list[Life]
) -> None:
    partition = run_in_virtual_time(lived(history, owners))

    for rows in partition.commits:
        assert index_of(rows).items() <= identities_of(rows).items()


@law(150)
@given(history=identity_histories(min_size=4), owners=st.lists(st.one_of(lives, tearing), min_size=1, max_size=6))
def test_m6_the_index_is_whole_where_a_log_without_transactions_tears(
    history: list[ReadRecord], owners: list[Life]
) -> None:
    partition = run_in_virtual_time(lived(history, owners))

    require_whole_index(partition.changelog)


@in_virtual_time
async def test_a_new_partition_has_its_index_from_its_first_event_on() -> None:
    partition = Partition()
    partition.send("p-1", {"ECID": [{"id": "1"}, {"id": "1", "primary": True}], "Email": [{"id": "x" * 5_000}]})
    partition.send("p-2", {"ECID": [{"id": "1"}], "ecid": [{"id": "1"}]})
    partition.send("p-1", {"Email": [{"id": "y"}]})
    partition.send("p-3", {"ECID": [{"id": "3"}]})
    partition.send("p-3", None, "profile.deleted")
    await partition.own(ON, partition.is_whole)

    require_whole_index(partition.changelog)
    assert set(index_of(partition.changelog)) == {
        identity_key("ECID", "1", b"p-1"),
        identity_key("Email", "y", b"p-1"),
        identity_key("ECID", "1", b"p-2"),
        identity_key("ecid", "1", b"p-2"),
    }
    assert all(
        progress.state is IndexState.COMPLETE
        for rows in partition.commits
        if (progress := decode_progress(rows.get(INDEX_KEY)))
    )
    assert {len(key) for key in index_of(partition.changelog)} == {1 + 16 + 8 + 3}, "however long an id is"


@in_virtual_time
async def test_an_event_that_leaves_the_identities_as_they_are_writes_no_row_of_the_index() -> None:
    partition = Partition()
    partition.send("p-1", {"ECID": [{"id": "1"}], "Email": [{"id": "2"}]})
    await partition.own(ON, partition.is_whole)
    before = len(partition.log.outputs)
    partition.send("p-1", {"ECID": [{"id": "1"}]})
    partition.send("p-1", {"ECID": [{"id": "1"}], "Email": [{"id": "2"}]}, "profile.replaced")
    partition.send("p-1", {"ECID": [{"id": "1", "authenticatedState": "ambiguous"}]})
    await partition.own(ON, partition.is_whole)

    written = [key for output in partition.log.outputs[before:] for key in output.rows]
    assert not [key for key in written if key.startswith(IDENTITY)]


@in_virtual_time
async def test_rows_of_a_version_without_the_index_are_indexed_chunk_by_chunk_while_events_come() -> None:
    partition = Partition()
    for number in range(30):
        partition.send(f"p-{number:02}", {"ECID": [{"id": f"{number}"}]})
    partition.own_by_an_older_version()
    partition.send("p-00", {"ECID": [{"id": "new"}]})
    partition.send("p-29", None, "profile.deleted")
    partition.send("p-30", {"ECID": [{"id": "30"}]})
    for number in range(10):
        partition.send("p-01", {"ECID": [{"id": f"new-{number}"}]})
    await partition.own(PIECEMEAL, partition.is_whole, pause=5)

    require_whole_index(partition.changelog)
    states = [progress.state for rows in partition.commits if (progress := decode_progress(rows.get(INDEX_KEY)))]
    assert states[0] is IndexState.BUILDING
    assert states[-1] is IndexState.COMPLETE
    assert partition.progress is not None
    assert partition.progress.cursor == "", "the progress names a profile only while it is built"


@in_virtual_time
async def test_an_index_that_an_older_version_let_go_stale_is_known_as_stale_and_made_anew() -> None:
    partition = Partition()
    partition.send("p-1", {"ECID": [{"id": "1"}]})
    await partition.own(ON, partition.is_whole)
    partition.send("p-1", {"ECID": [{"id": "2"}]})
    partition.own_by_an_older_version()
    stale = says_whole(partition.changelog)
    await partition.own(ON, partition.is_whole)

    assert not stale
    require_whole_index(partition.changelog)
    assert set(index_of(partition.changelog)) == {identity_key("ECID", "2", b"p-1")}


@in_virtual_time
async def test_switched_off_it_goes_and_costs_nothing_from_then_on() -> None:
    partition = Partition()
    for number in range(5):
        partition.send(f"p-{number}", {"ECID": [{"id": f"{number}"}]})
    await partition.own(ON, partition.is_whole)
    await partition.own(OFF, partition.has_none)
    commits = len(partition.log.outputs)
    partition.send("p-1", {"ECID": [{"id": "other"}]})
    await partition.own(OFF, partition.is_applied)

    assert [set(output.rows) for output in partition.log.outputs[commits:]] == [{b"pp-1", SOURCE_POSITION_KEY}]


@in_virtual_time
async def test_partitions_that_build_while_events_come_take_turns_and_all_end() -> None:
    slots, partitions = Slots(lambda: 0.0), [Partition() for _ in range(3)]
    for partition in partitions:
        for number in range(10):
            partition.send(f"p-{number}", {"ECID": [{"id": f"{number}"}]})
        partition.own_by_an_older_version()
        partition.send("p-1", {"ECID": [{"id": "other"}]})
    await asyncio.gather(
        *(
            partition.own(PIECEMEAL, partition.is_whole, slots=slots, number=number)
            for number, partition in enumerate(partitions)
        )
    )

    for partition in partitions:
        require_whole_index(partition.changelog)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b"5", b'{"format":2,"state":"complete"}', b'{"format":1,"state":"new"}', b'{"format":1}'],
)
def test_a_progress_that_this_version_does_not_know_is_none(value: bytes | None) -> None:
    assert decode_progress(value) is None


def test_a_progress_is_read_as_it_was_written() -> None:
    progress = IndexProgress(IndexState.BUILDING, 17, "ключ", 3)

    assert decode_progress(encode_progress(progress)) == progress
