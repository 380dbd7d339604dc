"""End a process that runs until it is stopped with exit code 0 on SIGTERM and SIGINT, from its first line on.

    the process begins ── end_at_once ──► nothing is open yet, or nothing that an end at once could harm
    the server runs    ── its own handlers (mode's, uvicorn's), or call_on_stop ──► it stops in order
    it has stopped     ── ignore_stops ──► the exit code is decided, a second signal changes nothing

Such processes are the worker and the control API. Nothing is imported here that takes time, not even typing, since this
comes before everything else. For the main thread alone.
"""

import os
import signal
import sys
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_at_once() -> None:
    """Have a stop signal end this process with exit code 0, wherever it stands."""
    call_on_stop(_end)


def call_on_stop(stop: Callable[[], object]) -> None:
    """Have a stop signal call `stop` in the main thread."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: stop())


def ignore_stops() -> None:
    """Have a stop signal change nothing any more."""
    call_on_stop(lambda: None)


def runs_faust_worker() -> bool:
    """Return whether this program is `faust … worker`, as a program or as `python -m faust`."""
    return "worker" in sys.argv[1:] and f"/{sys.argv[0]}".endswith(("/faust", "/faust/__main__.py"))


def _end() -> None:
    os._exit(0)
