"""Fault points do nothing unless the environment names one (processor.foundation.fault_points)."""

import os
import signal
import subprocess
import sys

import pytest

from processor.foundation.fault_points import VARIABLE

_PASS_FIVE = (
    "from processor.foundation.fault_points import fault_point\n"
    "for number in range(5): fault_point('committed'); print(number,"
    " flush=True)"
)


def run(fault: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | (
        {} if fault is None else {VARIABLE: fault}
    )
    return subprocess.run(
        [sys.executable, "-c", _PASS_FIVE], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("fault", [None, "", "fenced:1", "committed:6"])
def test_a_point_that_nobody_named_is_passed(fault: str | None) -> None:
    done = run(fault)

    assert (done.returncode, done.stdout.split()) == (0, ["0", "1", "2", "3", "4"])


def test_the_process_dies_at_the_passing_that_was_named_and_not_before() -> None:
    done = run("committed:3")

    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["0", "1"])


@pytest.mark.parametrize("fault", ["nowhere:1", "committed:often", "committed:1:soon"])
def test_a_fault_that_cannot_be_is_refused_and_never_ignored(fault: str) -> None:
    done = run(fault)

    assert done.returncode == 1
    assert "ValueError" in done.stderr
