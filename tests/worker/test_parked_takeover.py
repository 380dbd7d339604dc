"""Partitions are taken over with what is parked there: only by whom the group names, and written anew first."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from processor.foundation.gaps import accepted_gaps
from processor.transport.owner import Partition
from processor.worker.parked_takeover import ParkedTakeover
from processor.worker.start_positions import Bounds, LogIsShorter, RecordsAreGone, SeveralGaps
from schemas.parked_flow import ParkedFlowRow
from tests.delivery.fakes import World

PLACE, OTHER = Partition("exports", 0), Partition("exports", 1)
LOGS = {place: Bounds(place.topic, place.partition, 5, 100, None) for place in (PLACE, OTHER)}


class Group:
    """The group as a worker sees it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.is_ours = True
        self.asked: list[Mapping[Partition, int]] = []

    async def commit_if_assigned(self, offsets: Mapping[Partition, int]) -> bool:
        self.asked.append(offsets)
        return self.is_ours


class Story:
    def __init__(self, row: ParkedFlowRow | None = None, accept_gaps: str = "") -> None:
        self.world, self.group = World(), Group()
        self.when_read = lambda: None
        if row is not None:
            self.world.parked.rows.rows[0]["old"] = row
        self.takeover = ParkedTakeover(self.world.sink, self.group, accepted_gaps(accept_gaps), self._read)

    async def _read(self, partitions: Collection[int]) -> dict[int, Any]:
        self.when_read()
        return {partition: dict(self.world.parked.rows.rows[partition]) for partition in partitions}


def a_row(first: int = 7, flow: str = "vip") -> ParkedFlowRow:
    return ParkedFlowRow(
        flow=flow, partition=0, first=first, reason="access_denied", since="2026-01-11T23:37:33Z", waiting=3, counted=50
    )


async def test_what_is_found_is_written_as_our_own_before_it_is_removed() -> None:
    story = Story(a_row())

    opened = await story.takeover.open({PLACE: 40, OTHER: 0}, LOGS)

    assert opened == {PLACE, OTHER}
    assert story.group.asked == [{PLACE: 40}]
    (_, ours, row), (_, removed, nothing) = story.world.parked.rows.written
    assert (row, removed, nothing) == (a_row(), "old", None)
    assert ours != "old"
    status = story.world.sink.status()["vip"]
    assert (status.waiting, status.parked, status.paused) == (3, 3, "access_denied")
    assert status.paused_since == 1_768_174_653.0


async def test_a_worker_that_the_group_does_not_count_on_opens_nothing_and_removes_nothing() -> None:
    """It was frozen on the way: somebody else has the partition, and what stands there is theirs."""
    story = Story(a_row())
    story.group.is_ours = False

    assert await story.takeover.open({PLACE: 40}, LOGS) == set()

    assert story.world.parked.rows.written == []
    assert not story.world.sink.has(0)


async def test_a_partition_taken_away_while_its_rows_were_read_is_left_to_its_next_takeover() -> None:
    story = Story()
    story.when_read = lambda: setattr(story.group, "epoch", 1)

    assert await story.takeover.open({PLACE: 40}, LOGS) == set()
    assert not story.world.sink.has(0)


async def test_what_is_open_is_left_alone() -> None:
    story = Story(a_row())
    await story.takeover.open({PLACE: 40}, LOGS)
    written = list(story.world.parked.rows.written)

    assert await story.takeover.open({PLACE: 90}, LOGS) == {PLACE}
    assert story.world.parked.rows.written == written


async def test_a_row_of_another_log_stops_the_worker() -> None:
    story = Story(a_row(first=101))

    with pytest.raises(LogIsShorter):
        await story.takeover.open({PLACE: 40}, LOGS)


def lost_by_two_flows(accept_gaps: str = "") -> Story:
    story = Story(a_row(first=1), accept_gaps)
    story.world.parked.rows.rows[0]["another"] = a_row(first=3, flow="gold")
    return story


async def test_what_parked_flows_have_lost_is_told_at_once_before_anything_is_opened() -> None:
    """One after the other, each at a start of its own, they were N stops for one wrong DeleteRecords."""
    story = lost_by_two_flows()

    with pytest.raises(SeveralGaps) as stopped:
        await story.takeover.open({PLACE: 40}, LOGS)

    assert str(stopped.value).splitlines()[-1].endswith("ACCEPT_GAPS=exports:0:3,exports:0:1")
    assert (
        "exports[0]: offsets 1 to 4 are gone (retention, or deleted records), and were not delivered to the parked"
        " flow vip" in str(stopped.value)
    )
    assert not story.world.sink.has(0)
    assert story.world.parked.rows.written == []


async def test_gaps_of_parked_flows_are_passed_by_their_names() -> None:
    assert await lost_by_two_flows("exports:0:1,exports:0:3").takeover.open({PLACE: 40}, LOGS) == {PLACE}
    with pytest.raises(RecordsAreGone, match="the parked flow gold"):
        await lost_by_two_flows("exports:0:1").takeover.open({PLACE: 40}, LOGS)
