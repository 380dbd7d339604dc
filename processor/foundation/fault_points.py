"""Named places where a test may kill or freeze the process: the steps of the durability order (tests/faults).

    PROFILE_EXPORTER_FAULT=rows_acknowledged:3       SIGKILL at the 3rd passing of that point, of whatever partition
    PROFILE_EXPORTER_FAULT=rows_acknowledged:3:5     5 ms after it: inside what begins there, which is the commit
    PROFILE_EXPORTER_FAULT=rows_acknowledged:3:freeze     SIGSTOP: a zombie, once it is woken
    PROFILE_EXPORTER_FAULT=rows_acknowledged:3:hold       the event loop stands until SIGUSR1 comes; other threads go
                                                          on, as the consumer's

Without the variable a point is a call of a function that does nothing, some ten times a transaction: 50 ns each
(measured). The variable is read once, when this module is imported, so that nothing is asked at a point; a worker that
runs cannot be armed.
"""

import os
import signal
from collections.abc import Callable
from functools import partial
from threading import Timer
from typing import Final, Literal, get_args

VARIABLE: Final = "PROFILE_EXPORTER_FAULT"
FREEZE: Final = "freeze"
HOLD: Final = "hold"

FaultPoint = Literal[
    # takeover
    "fenced",  # earlier owners are refused; nothing is restored
    "restoring",  # rows of one read are on disk, others are to come
    "restored",  # everything is on disk; nothing is decided
    # one group of decided runs
    "batch_decided",
    "transaction_begun",
    "exports_sent",  # queued, and on their way
    "rows_sent",
    "rows_acknowledged",  # all of the transaction is on the broker, and open; with milliseconds: inside the commit
    "committed",  # not yet in RocksDB
    "rows_applied",  # in RocksDB, not yet progress
    "progress_noted",  # before the group's commit, which follows within half a second
    # delivery
    "delivery_noted",  # in Kinesis, before the group's commit
]
FAULT_POINTS: Final[tuple[FaultPoint, ...]] = get_args(FaultPoint)

CommandPoint = Literal[
    "redriven_sent",  # `dead-letters redrive`: records are on the broker; with transactions the markers too, all open
]
_ALL: Final = (*FAULT_POINTS, *get_args(CommandPoint))


def _pass(_point: FaultPoint | CommandPoint) -> None:
    """Nobody asked for a fault."""


def _armed(text: str) -> Callable[[FaultPoint | CommandPoint], None]:
    """A function that ends it at the passing that `text` names; raises ValueError for a text that names none."""
    name, _, rest = text.partition(":")
    passing, _, how = rest.partition(":")
    if name not in _ALL:
        raise ValueError(f"{VARIABLE}={text}: {name} is none of {', '.join(_ALL)}")
    left = int(passing or 1)
    strike = _strike(how)

    def passed(point: FaultPoint | CommandPoint) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                strike()

    return passed


def _strike(how: str) -> Callable[[], None]:
    if how == HOLD:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # threads that are started later inherit it
        return _hold
    return _freeze if how == FREEZE else partial(_kill_after, int(how or 0) / 1000)


def _hold() -> None:
    signal.sigwait({signal.SIGUSR1})


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _kill_after(seconds: float) -> None:
    if seconds == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()


fault_point: Final = _armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else _pass
"""Call it where a test may want the process to die."""
