"""The tour itself, as a newcomer runs it: `profile-exporter demo`, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOUR_SECONDS = 150
END_SECONDS = 60
COMMAND = (sys.executable, "-c", "from processor.cli import main; main()", "demo")
ON_A_TERMINAL = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a test run in the background ignores it
)


def environment(temporary: Path, **more: str) -> dict[str, str]:
    """`temporary` is where the tour's files go; it also marks all its processes."""
    rest = {name: value for name, value in os.environ.items() if name not in ("BROKER", "KINESIS_ENDPOINT")}
    return {**rest, "TMPDIR": str(temporary), **more}


def left_behind(temporary: Path) -> list[str]:
    """Command lines of living processes of that tour (on Linux; nothing is known elsewhere), and files."""
    processes = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = (
                str(temporary).encode() in (place / "environ").read_bytes()
                and "State:\tZ" not in (place / "status").read_text()
            )
            if is_ours:
                processes.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended, or is somebody else's
    return [*processes, *map(str, temporary.iterdir())]


def test_the_tour_ends_by_itself_with_streams_that_equal_replay_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND, env=environment(tmp_path), capture_output=True, text=True, timeout=TOUR_SECONDS, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nOK: the streams equal replay: 2,356 records of 3 flows" in done.stdout
    assert "killed with SIGKILL" in done.stdout
    assert "left because: the profile entered the audience VIP customers (ups)" in done.stdout
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_a_tour_that_is_interrupted_leaves_nothing_behind(wish: signal.Signals, tmp_path: Path) -> None:
    command = [*COMMAND[:2], f"{ON_A_TERMINAL}; {COMMAND[2]}", *COMMAND[3:]]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tour:
        assert tour.stdout is not None
        for line in tour.stdout:
            if "sent to the topic" in line:  # the worker is started next
                break
        tour.send_signal(wish)
        tour.communicate(timeout=END_SECONDS)

    assert tour.returncode not in (0, None)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("named", "exit_code", "text"),
    [
        ({"BROKER": "127.0.0.1:1"}, 1, "no answer from a Kafka broker at 127.0.0.1:1"),
        ({"KINESIS_ENDPOINT": "https://kinesis.eu-central-1.amazonaws.com"}, 2, "is not on this machine"),
        ({"KINESIS_ENDPOINT": "http://127.0.0.1:1"}, 1, "http://127.0.0.1:1/"),
    ],
)
def test_a_broker_or_endpoint_that_cannot_be_used_is_told_in_words(
    named: dict[str, str], exit_code: int, text: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        COMMAND, env=environment(tmp_path, **named), capture_output=True, text=True, timeout=END_SECONDS, check=False
    )

    assert done.returncode == exit_code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []
