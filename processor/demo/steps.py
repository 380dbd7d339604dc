"""One step of the tour on the screen: how far it is while it takes, then what it came to, and how long that took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from processor.demo.screen import Screen, Update
from processor.sandbox.errors import DemoFailed


class Step:
    """A step that is going on."""

    def __init__(self, doing: str, show: Update) -> None:
        self._show = show
        self.outcome = doing
        self.last_seen = ""

    def far(self, text: str) -> None:
        """How far it is."""
        self.last_seen = text
        self._show(text)

    def done(self, outcome: str) -> None:
        """What it came to: the line that stays."""
        self.outcome = outcome


@contextmanager
def step(screen: Screen, doing: str) -> Iterator[Step]:
    """`doing` while it takes. Of a step that fails stays the error, with how far it was."""
    began = time.monotonic()
    with screen.waiting(doing) as show:
        now = Step(doing, show)
        try:
            yield now
        except DemoFailed as error:
            raise DemoFailed(f"{error}: {now.last_seen}" if now.last_seen else str(error)) from None
    screen.line(f"{time.monotonic() - began:5.1f} s  {now.outcome}")
