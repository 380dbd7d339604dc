"""Stop a worker in order when the supervisor that started it is gone, also when that was killed.

    supervisor ── holds the write end of a pipe ──► stdin of the worker: its end says that nobody holds it any more
    stdout and stderr of the worker ── one pipe ──► supervisor, which writes each line to its own stderr

A supervisor that is killed reads nothing any more. So the worker holds the read end of its own output too, and the
supervisor's stderr: nothing that it writes fails meanwhile, and what the supervisor left unread is written there. The
end of a pipe is seen on every POSIX system; no call of one kernel is needed, and no process id is looked at.
"""

import os
import signal
import threading
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from processor.foundation.stop_deadline import STOP_SECONDS

MORE_SECONDS: Final = 10.0
"""So long after its own deadline (STOP_SECONDS) a process that has not ended is ended by another."""
_CHUNK: Final = 65_536
_STDIN: Final = 0
_OUTPUTS: Final = (1, 2)
_FAILED: Final = 1
_log = structlog.get_logger(__name__)


class Link(NamedTuple):
    """Handles that a supervisor gives to a worker, by their numbers: `output` is the read end of the worker's pipe."""

    output: int
    stderr: int


def stop_with_supervisor(link: Link, late_seconds: float = STOP_SECONDS + MORE_SECONDS) -> None:
    """Have this process stop, as on SIGTERM, once its supervisor is gone; a thread of its own waits for that.

    A process that has not stopped `late_seconds` later is ended with exit code 1.
    """
    for handle in link:
        os.set_inheritable(handle, False)
    threading.Thread(target=_stop_when_alone, args=(link, late_seconds), name="supervisor", daemon=True).start()


def _stop_when_alone(link: Link, late_seconds: float) -> None:
    while os.read(_STDIN, _CHUNK):
        pass
    end_late = threading.Timer(late_seconds, os._exit, [_FAILED])
    end_late.daemon = True
    end_late.start()
    _lead_output_to(link.stderr)
    os.set_blocking(link.output, False)
    _write_on(link)
    _say_that_it_is_gone()
    os.kill(os.getpid(), signal.SIGTERM)
    os.set_blocking(link.output, True)
    _write_on(link)


def _lead_output_to(handle: int) -> None:
    for stream in _OUTPUTS:
        os.dup2(handle, stream)


def _say_that_it_is_gone() -> None:
    """Log it; where nobody is there to read it, as behind a terminal that was closed, have all that follows go nowhere.

    A log that cannot be written would be a failure in the middle of the stop.
    """
    try:
        _log.error("supervisor_gone", effect="this worker stops in order")
    except OSError:
        _lead_output_to(os.open(os.devnull, os.O_WRONLY))


def _write_on(link: Link) -> None:
    """Write what is left in the pipe to the supervisor's stderr, to the pipe's end or as far as it does not block."""
    with suppress(BlockingIOError):  # nothing is left at the moment
        while data := os.read(link.output, _CHUNK):
            _write(link.stderr, data)


def _write(handle: int, data: bytes) -> None:
    with suppress(OSError):  # nobody is there to read it
        while data:
            data = data[os.write(handle, data) :]
