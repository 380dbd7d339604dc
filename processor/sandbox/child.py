"""Servers as child processes: each announces its address on stdout and ends with the process that started it.

parent ── starts ──► python -m MODULE …
       ◄── one line on stdout: the address, once it listens
       ── closing stdin (or dying) ends it
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
from typing import IO, Final

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_OUTPUT_BYTES: Final = 2000


class ChildError(Exception):
    """An error of a child server that did not come up, or has died; the text says why."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; nothing elsewhere).

    Call it in the child, as `preexec_fn` too. The trap: to the kernel the parent is the *thread* that started the
    child; start children from a thread that lives as long as they should.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process(process: subprocess.Popen[bytes], stop_seconds: float = STOP_SECONDS) -> None:
    """End a child with SIGTERM, and SIGKILL after `stop_seconds`; close its pipes and wait for it. Once or more."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(stop_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ChildServer:
    """A process of `python -m module arguments…`, from `start` to `stop`.

    It leaves no process behind, also when this process is killed.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._name = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Return whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start the server and return the address it announces; raise ChildError, with its output, after 20 s."""
        with tempfile.TemporaryFile() as errors:
            self._process = process = self._spawn(errors)
            try:
                return self._first_line(process)
            except ChildError as error:
                end_process(process)
                errors.seek(0)
                output = errors.read().decode(errors="replace").strip()[-_OUTPUT_BYTES:]
                raise ChildError(f"{error}; it said: {output or 'nothing'}") from None
            except BaseException:
                end_process(process)
                raise

    def stop(self) -> None:
        """End the server, if it runs."""
        if self._process is not None:
            end_process(self._process)

    def _spawn(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own: Ctrl-C reaches the parent alone, which then ends it in order."""
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )

    def _first_line(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        if not readable:
            raise ChildError(f"{self._name} did not come up in {START_SECONDS:.0f} s")
        line = process.stdout.readline().decode().strip()
        if not line:
            raise ChildError(f"{self._name} ended while starting")
        return line


def announce(address: str) -> None:
    """Announce to the parent, from within the child, where the server listens."""
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def wait_for_parent() -> None:
    """Return, within the child, when the parent is gone or has closed the pipe."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
