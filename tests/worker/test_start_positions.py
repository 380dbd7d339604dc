"""Each partition begins where it must, and nothing is passed over in silence (exit code 3)."""

import pytest

from processor.foundation.errors import StoppedForOperator
from processor.foundation.gaps import NO_GAPS, AcceptedGaps, Gap, accepted_gaps
from processor.worker.start_positions import (
    Bounds,
    ExportsAreShorter,
    LogIsShorter,
    OffsetIsGone,
    RecordsAreGone,
    SeveralGaps,
    Skipped,
    Start,
    StateIsGone,
    exports_start,
    gaps_as_one,
    source_start,
)

EVERY = AcceptedGaps(every=True)
LAST_LINE_BYTES = 2048


def bounds(begin: int = 0, end: int = 100, committed: int | None = None, topic: str = "profile-events") -> Bounds:
    return Bounds(topic, 3, begin, end, committed)


def exports(begin: int = 0, end: int = 100, committed: int | None = None) -> Bounds:
    return bounds(begin, end, committed, "exports")


@pytest.mark.parametrize("committed", [None, 0, 10, 90])
def test_the_source_position_wins_over_the_groups_offset_in_both_directions(committed: int | None) -> None:
    assert source_start(bounds(committed=committed), 50, NO_GAPS) == Start(50)


def test_a_new_installation_begins_where_the_log_does() -> None:
    assert source_start(bounds(begin=7), None, NO_GAPS) == Start(7)
    assert exports_start(exports(begin=7, end=7), NO_GAPS, "app") == Start(7)


def test_events_that_retention_removed_unread_stop_the_worker_and_are_named() -> None:
    with pytest.raises(RecordsAreGone, match=r"profile-events\[3\]: offsets 50 to 59 are gone") as stopped:
        source_start(bounds(begin=60), 50, NO_GAPS)

    assert isinstance(stopped.value, StoppedForOperator)
    assert stopped.value.exit_code == 3
    assert "PROFILE_EXPORTER_ACCEPT_GAPS=profile-events:3:50" in str(stopped.value).splitlines()[-1]


def test_a_gap_is_passed_by_its_name_or_by_true_and_the_start_says_what_was_passed_over() -> None:
    passed = Start(60, Skipped(50, 60, "ACCEPT_GAPS"))

    assert source_start(bounds(begin=60), 50, accepted_gaps("exports:3:7, profile-events:3:50")) == passed
    assert source_start(bounds(begin=60), 50, EVERY) == passed
    assert exports_start(exports(begin=60, committed=50), accepted_gaps("exports:3:50"), "app") == passed


@pytest.mark.parametrize(
    "another", ["profile-events:3:40", "profile-events:2:50", "exports:3:50", "profile-events:3:5"]
)
def test_the_name_of_one_gap_accepts_no_other_so_that_it_may_stay_in_the_environment(another: str) -> None:
    """ACCEPT_GAPS "for one start" stays in force where a supervisor starts the worker."""
    with pytest.raises(RecordsAreGone):
        source_start(bounds(begin=60), 50, accepted_gaps(another))


def test_export_records_that_were_removed_undelivered_stop_the_worker() -> None:
    with pytest.raises(RecordsAreGone, match="were not delivered"):
        exports_start(exports(begin=60, committed=50), NO_GAPS, "app")

    assert exports_start(exports(begin=60, committed=60), NO_GAPS, "app") == Start(60)


def test_records_on_exports_under_a_group_without_an_offset_stop_the_worker_and_name_two_ways_on() -> None:
    with pytest.raises(
        OffsetIsGone, match=r"exports\[3\]: the consumer group app has no offset, though records 10 to 99 are there"
    ) as stopped:
        exports_start(exports(begin=10), NO_GAPS, "app")

    assert "--to-latest" in str(stopped.value)
    assert "before an upgrade, nothing of it was ever delivered" in str(stopped.value)
    assert "deliver all of it again from 10" in str(stopped.value).splitlines()[-1]
    assert exports_start(exports(begin=10), accepted_gaps(stopped.value.gap.name), "app") == Start(10)
    with pytest.raises(OffsetIsGone):
        exports_start(exports(begin=10, end=101), accepted_gaps(stopped.value.gap.name), "app")


@pytest.mark.parametrize("accepted", [EVERY, NO_GAPS])
def test_a_log_that_ends_before_what_was_read_is_another_log_and_is_refused(accepted: AcceptedGaps) -> None:
    with pytest.raises(LogIsShorter, match="deleted and created again"):
        source_start(bounds(end=40), 50, accepted)
    with pytest.raises(ExportsAreShorter, match="--to-earliest"):
        exports_start(exports(end=40, committed=50), accepted, "app")


def test_a_group_that_has_read_without_any_state_is_refused() -> None:
    with pytest.raises(StateIsGone, match="holds no source position"):
        source_start(bounds(committed=50), None, NO_GAPS)

    assert source_start(bounds(committed=50), None, EVERY) == Start(0)
    assert source_start(bounds(committed=50), None, accepted_gaps("profile-events:3:50")) == Start(0)


def test_skipping_on_purpose_goes_ahead_of_the_source_position_and_never_back() -> None:
    assert source_start(bounds(), 50, NO_GAPS, skip_to=70) == Start(70, Skipped(50, 70, "SKIP_TO"))
    assert source_start(bounds(), 80, NO_GAPS, skip_to=70) == Start(80)
    assert source_start(bounds(), 50, NO_GAPS, skip_to=101) == Start(50)
    assert source_start(bounds(begin=60), 50, NO_GAPS, skip_to=65).position == 65, "it names the gap itself"
    assert source_start(bounds(committed=50), None, NO_GAPS, skip_to=40).position == 40


@pytest.mark.parametrize("count", [2, 1000])
def test_gaps_of_many_partitions_are_told_at_once_and_the_last_line_accepts_them_all(count: int) -> None:
    found = [RecordsAreGone(Gap("profile-events", number, 5, 9), "were not processed") for number in range(count)]

    stopped = gaps_as_one(found)

    assert isinstance(stopped, SeveralGaps)
    assert "profile-events[1]: offsets 5 to 8 are gone" in str(stopped)
    last = str(stopped).splitlines()[-1]
    assert len(last) <= LAST_LINE_BYTES
    accepted = accepted_gaps(last.partition("=")[2])
    assert all(accepted.cover(each.gap) for each in found)
