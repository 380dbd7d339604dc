"""Processes whose supervisor was killed: whoever starts next waits for their end, and not longer than they live."""

import os
from collections.abc import Callable
from pathlib import Path

from processor.supervisor.orphans import WAIT_SECONDS, may_have_orphans, wait_for_orphans
from processor.supervisor.own import directory_of, lock_processes
from state.directory import StateDirectory


class Time:
    """A clock that goes on when somebody sleeps; `at` is called then."""

    def __init__(self, at: Callable[[float], object] = lambda now: None) -> None:
        self.now, self._at = 0.0, at

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._at(self.now)


def held(data_dir: Path, process: int) -> StateDirectory:
    return StateDirectory.lock(directory_of(data_dir, process), lambda: "aaaaaaaa")


def test_nothing_is_waited_for_where_nobody_works(tmp_path: Path) -> None:
    time = Time()

    wait_for_orphans(tmp_path, 4, time, time.sleep)

    assert time.now == 0
    assert list(tmp_path.iterdir()) == [], "looking makes no folders"


def test_a_process_that_stops_is_waited_for(tmp_path: Path) -> None:
    second, first = held(tmp_path, 2), held(tmp_path, 1)
    time = Time(lambda now: (now > 3 and first.close(), now > 7 and second.close()))

    wait_for_orphans(tmp_path, 2, time, time.sleep)

    assert 7 < time.now < 8


def test_a_directory_of_a_number_that_does_not_run_is_not_waited_for(tmp_path: Path) -> None:
    third, time = held(tmp_path, 3), Time()

    wait_for_orphans(tmp_path, 2, time, time.sleep)
    third.close()

    assert time.now == 0


def test_who_holds_a_directory_for_longer_than_an_orphan_lives_is_none(tmp_path: Path) -> None:
    """The process that is to work there then says who does, with exit code 2."""
    other, time = held(tmp_path, 1), Time()

    wait_for_orphans(tmp_path, 1, time, time.sleep)
    other.close()

    assert WAIT_SECONDS <= time.now < WAIT_SECONDS + 1


def test_there_may_be_orphans_where_a_supervisor_was_and_is_no_more(tmp_path: Path) -> None:
    never = may_have_orphans(tmp_path)
    lock = lock_processes(tmp_path)
    while_it_runs = may_have_orphans(tmp_path)
    os.close(lock)

    assert (never, while_it_runs, may_have_orphans(tmp_path)) == (False, False, True)
