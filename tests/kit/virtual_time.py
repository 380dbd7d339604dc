"""An event loop whose clock jumps: where it would wait for a timer, the time is there at once.

Hours of backoff take no time, and always the same.

Only for tests without threads and sockets.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")

A_LITTLE = 2e-9
"""More than asyncio's clock resolution, by which a timer may fire early: whoever then waits for the rest would wait for
ever.
"""

A_MOMENT = 1e-10
"""What a round of the loop takes: whoever looks again at once, since a timer fired early, must see the time go on."""


class NothingWillHappen(AssertionError):
    """Everybody waits for somebody else."""


class JumpingSelector(selectors.SelectSelector):
    """Waits for no one; counts the seconds it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingWillHappen
        self.now += timeout + A_LITTLE if timeout > 0 else A_MOMENT
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` is the selector's."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_in_virtual_time(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(story)


def in_virtual_time(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is played on such a loop."""

    @wraps(story)
    def play(**arguments: Any) -> None:
        run_in_virtual_time(story(**arguments))

    return play
