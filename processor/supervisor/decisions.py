"""Decide what the end of a process means for it, for the others, and for the supervisor's exit code. Pure.

    0, 1, any other code, a signal   start it again after a while: the others go on
    2 wrong settings or topics       stop all: another start changes nothing
    3 stopped for the operator       stop all: another start changes nothing

While all are stopping an end is one more that is done; one that is no orderly end is told by exit code 1.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from processor.foundation.errors import CommandError, StoppedForOperator, UsageError

FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 60.0
"""A process that ran for so long is started again as after its first end."""
_MOST_DOUBLINGS: Final = 16
_FOR_OPERATOR: Final[dict[int, type[CommandError]]] = {
    kind.exit_code: kind for kind in (UsageError, StoppedForOperator)
}
_STOPPED: Final = (0, -signal.SIGTERM)
"""The ends of a process that was told to stop; the second one before it hears signals."""
_IN_ITS_LOG: Final = "its last lines above say why"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a process: its exit code, minus the number of a signal, and the words that it left in its last line.

    `short_lives` counts its ends before this one since it last ran for STEADY_SECONDS.
    """

    process: int
    code: int
    ran_seconds: float
    words: str | None = None
    short_lives: int = 0


@dataclass(frozen=True, slots=True)
class StartAgain:
    """The decision to start the process again; `short_lives` are those of its next end."""

    after_seconds: float
    short_lives: int


@dataclass(frozen=True, slots=True)
class StopAll:
    """The decision to stop all processes; `reason` is what the supervisor ends with."""

    reason: CommandError


def decide_after(end: End) -> StartAgain | StopAll:
    """Decide what follows when a process ended that nobody had told to stop."""
    if end.code in _FOR_OPERATOR:
        return StopAll(_words_of(end))
    short_lives = 0 if end.ran_seconds >= STEADY_SECONDS else end.short_lives
    wait_seconds: float = FIRST_SECONDS * 2 ** min(short_lives, _MOST_DOUBLINGS)
    return StartAgain(min(MOST_SECONDS, wait_seconds), short_lives + 1)


def find_fault(end: End, killed_after: float | None) -> CommandError | None:
    """Return what was wrong about the end of a process that was told to stop; None where it stopped in order.

    `killed_after` are the seconds after which the supervisor killed it.
    """
    if killed_after is not None:
        return CommandError(
            f"process {end.process} did not end within {killed_after:.0f} s of SIGTERM, and was killed\n"
            "  nothing is lost by that; its log names what did not end"
        )
    if end.code in _FOR_OPERATOR:
        return _words_of(end)
    if end.code in _STOPPED:
        return None
    return CommandError(f"process {end.process} {describe_end(end.code)} while it stopped\n  {_IN_ITS_LOG}")


def pick_reason(reasons: Sequence[CommandError]) -> CommandError | None:
    """Return what the supervisor ends with, of all that was wrong: the first that needs the operator, else the first.

    None where nothing was: all were stopped on request.
    """
    return next((reason for reason in reasons if reason.exit_code in _FOR_OPERATOR), next(iter(reasons), None))


def describe_end(code: int) -> str:
    """Say how a process ended: `ended with exit code 1`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _words_of(end: End) -> CommandError:
    words = end.words or f"it {describe_end(end.code)} and left no word\n  {_IN_ITS_LOG}"
    return _FOR_OPERATOR[end.code](f"process {end.process}: {words}")
