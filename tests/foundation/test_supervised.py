"""A process whose supervisor is gone: it stops, whatever it does just then, and nothing that it wrote is lost."""

import fcntl
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from processor.sandbox.waiting import wait_until

SECONDS: Final = 240.0
ROOT: Final = Path(__file__).parents[2]
FULL_BYTES: Final = 60_000  # a pipe takes 65,536, less what is left of pages that were read (pipe(7))

_SUPERVISED: Final = """
import os, signal, sys, time
from pathlib import Path
from processor.foundation import log
from processor.foundation.settings import Settings
from processor.foundation.supervised import Link, stop_with_supervisor

how, file, *link = sys.argv[1:]
log.configure(Settings(_env_file=None, log_format="console"))

def stop(*_):
    if how != "never":
        sys.stderr.write("the last words\\n")
        Path(file).write_text("stopped in order")
        os._exit(0)

signal.signal(signal.SIGTERM, stop)
stop_with_supervisor(Link(*map(int, link)), late_seconds=0.5 if how == "never" else 600)
sys.stderr.write("begun\\n")
if how == "full":
    os.write(2, b"x" * 10**6)  # the pipe is full, and nobody reads: it goes on when the supervisor is gone
while True:
    time.sleep(60)
"""


class Supervisor:
    """What a supervisor holds of one process: the end of its stdin, the pipe of its output, and a stderr of its own."""

    def __init__(self, how: str, folder: Path) -> None:
        (stdin, self.alive), (self.output, written), (self.stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
        self.file = folder / "file"
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SUPERVISED, how, self.file, str(self.output), str(stderr)],
            stdin=stdin,
            stdout=written,
            stderr=written,
            pass_fds=(self.output, stderr),
            cwd=ROOT,
        )
        for handle in (stdin, written, stderr):
            os.close(handle)

    def read_first_line(self) -> bytes:
        return os.read(self.output, len("begun\n"))

    def unread(self) -> int:
        """Return how many bytes of the process wait for the supervisor."""
        return int.from_bytes(fcntl.ioctl(self.output, termios.FIONREAD, bytes(4)), sys.byteorder)

    def go(self) -> None:
        """Be gone, as a supervisor that is killed."""
        os.close(self.output)
        os.close(self.alive)

    def read_stderr(self) -> str:
        """Everything that the supervisor's stderr got, when nobody has it any more."""
        with os.fdopen(self.stderr, "rb") as read:
            return read.read().decode()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begun(how: str, folder: Path, stack: ExitStack) -> Supervisor:
    """Return a supervisor whose process has begun; the process ends with the test."""
    supervisor = Supervisor(how, folder)
    stack.callback(supervisor.process.wait)
    stack.callback(supervisor.process.kill)
    assert supervisor.read_first_line() == b"begun\n"
    return supervisor


def test_it_stops_in_order_and_says_so_where_the_supervisor_wrote(tmp_path: Path, stack: ExitStack) -> None:
    supervisor = begun("in order", tmp_path, stack)

    supervisor.go()
    said = supervisor.read_stderr()

    assert supervisor.process.wait(SECONDS) == 0
    assert supervisor.file.read_text() == "stopped in order"
    assert "supervisor_gone" in said
    assert said.endswith("the last words\n")


def test_a_write_that_waits_for_the_supervisor_goes_on(tmp_path: Path, stack: ExitStack) -> None:
    supervisor = begun("full", tmp_path, stack)
    wait_until(lambda: supervisor.unread() >= FULL_BYTES, "a full pipe", SECONDS)

    supervisor.go()
    said = supervisor.read_stderr()

    assert supervisor.process.wait(SECONDS) == 0
    assert supervisor.file.read_text() == "stopped in order"
    assert said.count("x") >= FULL_BYTES


def test_it_stops_in_order_also_where_nobody_reads_what_the_supervisor_wrote(tmp_path: Path, stack: ExitStack) -> None:
    """As behind `| tee`, which Ctrl-C ended, or a terminal that was closed."""
    supervisor = begun("in order", tmp_path, stack)

    os.close(supervisor.stderr)
    supervisor.go()

    assert supervisor.process.wait(SECONDS) == 0
    assert supervisor.file.read_text() == "stopped in order"


def test_a_process_that_does_not_stop_is_ended(tmp_path: Path, stack: ExitStack) -> None:
    supervisor = begun("never", tmp_path, stack)

    supervisor.go()

    assert supervisor.process.wait(SECONDS) == 1
