"""Where each partition begins, and what is never passed over in silence (design 2; exit code 3)."""

import pytest

from processor.errors import StoppedForOperator
from processor.positions import Bounds, LogIsShorter, RecordsAreGone, StateIsGone, exports_position, source_position


def bounds(begin: int = 0, end: int = 100, committed: int | None = None) -> Bounds:
    return Bounds("profile-events", 3, begin, end, committed)


@pytest.mark.parametrize("committed", [None, 0, 10, 90])
def test_the_watermark_wins_over_the_groups_offset_in_both_directions(committed: int | None) -> None:
    assert source_position(bounds(committed=committed), 50, accept_gaps=False) == 50


def test_a_new_installation_begins_where_the_log_does() -> None:
    assert source_position(bounds(begin=7), None, accept_gaps=False) == 7
    assert exports_position(bounds(begin=7), accept_gaps=False) == 7


def test_events_that_retention_removed_unread_stop_the_worker_and_are_named() -> None:
    with pytest.raises(RecordsAreGone, match=r"profile-events\[3\]: offsets 50 to 59 are gone") as stopped:
        source_position(bounds(begin=60), 50, accept_gaps=False)

    assert isinstance(stopped.value, StoppedForOperator)
    assert stopped.value.exit_code == 3
    assert source_position(bounds(begin=60), 50, accept_gaps=True) == 60


def test_export_records_that_were_removed_undelivered_stop_the_worker() -> None:
    with pytest.raises(RecordsAreGone):
        exports_position(bounds(begin=60, committed=50), accept_gaps=False)

    assert exports_position(bounds(begin=60, committed=50), accept_gaps=True) == 60
    assert exports_position(bounds(begin=60, committed=60), accept_gaps=False) == 60


@pytest.mark.parametrize("accept_gaps", [True, False])
def test_a_log_that_ends_before_what_was_read_is_another_log_and_is_refused(accept_gaps: bool) -> None:
    with pytest.raises(LogIsShorter, match="deleted and created again"):
        source_position(bounds(end=40), 50, accept_gaps=accept_gaps)
    with pytest.raises(LogIsShorter):
        exports_position(bounds(end=40, committed=50), accept_gaps=accept_gaps)


def test_a_group_that_has_read_without_any_state_is_refused() -> None:
    with pytest.raises(StateIsGone, match="holds no watermark"):
        source_position(bounds(committed=50), None, accept_gaps=False)

    assert source_position(bounds(committed=50), None, accept_gaps=True) == 0


def test_skipping_on_purpose_goes_ahead_of_the_watermark_and_never_back() -> None:
    assert source_position(bounds(), 50, accept_gaps=False, skip_to=70) == 70
    assert source_position(bounds(), 80, accept_gaps=False, skip_to=70) == 80
    assert source_position(bounds(), 50, accept_gaps=False, skip_to=101) == 50
    assert source_position(bounds(begin=60), 50, accept_gaps=False, skip_to=65) == 65, "it names the gap itself"
    assert source_position(bounds(committed=50), None, accept_gaps=False, skip_to=40) == 40
