"""Show a step of the tour: how far it is while it takes, then what it came to, and how long that took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from processor.demo.screen import Screen, Update
from processor.sandbox.errors import SandboxFailed


class Step:
    """A step of the tour that is going on."""

    def __init__(self, doing: str, show: Update) -> None:
        self._show = show
        self.outcome = doing
        self.last_seen = ""

    def show_progress(self, text: str) -> None:
        """Show how far the step is."""
        self.last_seen = text
        self._show(text)

    def done(self, outcome: str) -> None:
        """Keep what the step came to: the line that stays."""
        self.outcome = outcome


@contextmanager
def step(screen: Screen, doing: str) -> Iterator[Step]:
    """Show `doing` while the step takes; where it fails, its error says how far it was."""
    began = time.monotonic()
    with screen.waiting(doing) as show:
        now = Step(doing, show)
        try:
            yield now
        except SandboxFailed as error:
            raise SandboxFailed(f"{error}: {now.last_seen}" if now.last_seen else str(error)) from None
    screen.line(f"{time.monotonic() - began:5.1f} s  {now.outcome}")
