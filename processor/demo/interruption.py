"""End the tour on SIGTERM or Ctrl-C with everything tidied up.

The first one is noted, and raised at the next `check`: an exception that a signal handler raises while an object is
being destroyed is lost or garbled, and librdkafka's clients take their time for that. The second one is raised where it
comes.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """The first signal that came, if any."""

    def __init__(self) -> None:
        self._number = 0

    def check(self) -> None:
        """Raise SystemExit if a signal has come."""
        if self._number:
            raise SystemExit(128 + self._number)

    def handle_signal(self, number: int, _frame: FrameType | None) -> None:
        """Keep the signal for the next `check`; raise SystemExit at the second one."""
        self.check()
        self._number = number


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yield `check`, to be called in loops and between steps.

    For the main thread; a signal that is ignored stays so.
    """
    interruption = Interruption()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interruption.handle_signal)
    try:
        yield interruption.check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
