"""Partitions taken over with what is parked there: only by whom the group names, and written anew before it is removed."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from processor.parked_takeover import ParkedTakeover
from processor.positions import LogIsShorter
from processor.transport.consumer import Partition
from schemas.parked_flow import ParkedFlowRow
from tests.delivery.fakes import World

PLACE, OTHER = Partition("exports", 0), Partition("exports", 1)
ENDS = {PLACE: 100, OTHER: 100}


class Group:
    """The group as a worker sees it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.is_ours = True
        self.asked: list[Mapping[Partition, int]] = []

    async def still_ours(self, offsets: Mapping[Partition, int]) -> bool:
        self.asked.append(offsets)
        return self.is_ours


class Story:
    def __init__(self, row: ParkedFlowRow | None = None) -> None:
        self.world, self.group = World(), Group()
        self.when_read = lambda: None
        if row is not None:
            self.world.parked.rows.rows[0]["old"] = row
        self.takeover = ParkedTakeover(self.world.sink, self.group, self._read)

    async def _read(self, partitions: Collection[int]) -> dict[int, Any]:
        self.when_read()
        return {partition: dict(self.world.parked.rows.rows[partition]) for partition in partitions}


def a_row(first: int = 7) -> ParkedFlowRow:
    return ParkedFlowRow(flow="vip", partition=0, first=first, reason="access_denied", since="2026-01-11T23:37:33Z", waiting=3, counted=50)


async def test_what_is_found_is_written_as_our_own_before_it_is_removed() -> None:
    story = Story(a_row())

    opened = await story.takeover.open({PLACE: 40, OTHER: 0}, ENDS)

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

    assert await story.takeover.open({PLACE: 40}, ENDS) == set()

    assert story.world.parked.rows.written == []
    assert not story.world.sink.has(0)


async def test_a_partition_taken_away_while_its_rows_were_read_is_left_to_its_next_takeover() -> None:
    story = Story()
    story.when_read = lambda: setattr(story.group, "epoch", 1)

    assert await story.takeover.open({PLACE: 40}, ENDS) == set()
    assert not story.world.sink.has(0)


async def test_what_is_open_is_left_alone() -> None:
    story = Story(a_row())
    await story.takeover.open({PLACE: 40}, ENDS)
    written = list(story.world.parked.rows.written)

    assert await story.takeover.open({PLACE: 90}, ENDS) == {PLACE}
    assert story.world.parked.rows.written == written


async def test_a_row_of_another_log_stops_the_worker() -> None:
    story = Story(a_row(first=101))

    with pytest.raises(LogIsShorter):
        await story.takeover.open({PLACE: 40}, ENDS)
