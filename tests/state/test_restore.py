"""A local copy goes on from where it is, or is made anew; the reading itself is tested in tests/integration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from state.identity import Identity
from state.partition import PartitionStore
from state.restore import Changelog, misfit, restore
from state.settled_ends import SettledEnd, settled_end
from state.store_options import shared_memory

DAY = 86_400.0
Copy = Callable[..., PartitionStore]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy that was at `next_offset` when the clock said `then`, opened at `now`."""

    def make(next_offset: int, then: float = 0.0, now: float = 0.0) -> PartitionStore:
        clock = [then]
        identity = Identity(None, "app", "changelog", None, 0, 1)
        store = PartitionStore.open(tmp_path / "0", identity, shared_memory(1 << 20, 1 << 20, 1), lambda: clock[0])
        if next_offset:
            store.apply({}, next_offset)
        clock[0] = now
        return store

    return make


@pytest.mark.parametrize(("begin", "end"), [(0, 0), (0, 100), (50, 100)])
def test_an_empty_copy_fits_any_changelog(copy: Copy, begin: int, end: int) -> None:
    assert misfit(copy(0, now=100 * DAY), begin, end, DAY) is None


def test_a_copy_within_the_changelog_fits(copy: Copy) -> None:
    assert misfit(copy(60), 50, 100, DAY) is None


def test_a_copy_past_the_end_does_not_fit_the_log_was_truncated_or_made_anew(copy: Copy) -> None:
    assert "past the changelog's end" in (misfit(copy(101), 0, 100, DAY) or "")


def test_a_copy_before_the_beginning_does_not_fit(copy: Copy) -> None:
    assert "before the changelog's beginning" in (misfit(copy(40), 50, 100, DAY) or "")


def test_a_copy_older_than_tombstones_are_kept_does_not_fit_where_there_is_more_to_read(copy: Copy) -> None:
    """A profile deleted meanwhile would live on (F3)."""
    store = copy(60, then=0.0, now=2 * DAY)

    assert "keeps tombstones" in (misfit(store, 0, 100, DAY) or "")
    assert misfit(store, 0, 60, DAY) is None, "there is nothing that it could have missed"
    assert "keeps tombstones" in (misfit(store, 0, 100, None) or ""), (
        "a broker that does not tell: Kafka's default, a day"
    )


def test_a_copy_from_the_future_does_not_fit_one_of_the_clocks_was_wrong(copy: Copy) -> None:
    assert "keeps tombstones" in (misfit(copy(60, then=2 * DAY, now=0.0), 0, 100, DAY) or "")


@pytest.mark.parametrize(
    ("copy_end", "stable", "written", "end"),
    [
        (50, 100, 100, SettledEnd(100, is_shown=True)),
        (50, 110, 100, SettledEnd(110, is_shown=True)),  # a transaction ended between the two questions
        (0, 124, 128, None),  # nobody here knows how the open transaction ends
        (124, 124, 128, None),
        (
            127,
            124,
            128,
            SettledEnd(127, is_shown=False),
        ),  # its commit was acknowledged to us
        (128, 124, 128, SettledEnd(128, is_shown=False)),
        (200, 124, 128, None),  # of another log; it is found out when nothing is open
    ],
)
def test_what_is_open_though_its_producer_is_fenced_is_waited_for_or_known(
    copy_end: int, stable: int, written: int, end: SettledEnd | None
) -> None:
    assert settled_end(copy_end, stable, written) == end


async def test_a_worker_without_partitions_restores_nothing_and_asks_nobody() -> None:
    """It once opened two connections a second for ever: to close a consumer that had done nothing raises
    CancelledError.
    """
    nobody = {"bootstrap_servers": "127.0.0.1:1"}

    assert await restore({}, Changelog("changelog"), nobody, lambda _: None) == {}
