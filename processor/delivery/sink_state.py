"""The state of the sink (running, stopping, ended), and waits for something to change there."""

import asyncio
from collections.abc import Callable


class DeliveryStopped(Exception):
    """The sink takes nothing more: it was stopped."""


class SinkState:
    """Runs, then stops, then has ended; `failure` is what ended it. All methods belong to one event loop."""

    def __init__(self) -> None:
        self.has_ended = False
        self.failure: BaseException | None = None
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Return whether nothing more is to begin."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Have whoever waits see that nothing more is to begin."""
        self._stopping.set()
        self._changed.set()

    def end(self) -> None:
        """Have whoever waits see that nothing runs any more."""
        self.has_ended = True
        self.stop()

    def note_change(self) -> None:
        """Have whoever waits look again: something was finished."""
        self._changed.set()

    def require_running(self) -> None:
        """Raise what ended the sink, or DeliveryStopped, where it takes nothing more."""
        if self.failure is not None:
            raise self.failure
        if self.is_stopping:
            raise DeliveryStopped

    async def wait_for_stop(self) -> None:
        """Wait until the sink is to stop."""
        await self._stopping.wait()

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds; it is asked at every change."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def wait_at_most(self, seconds: float, holds: Callable[[], bool]) -> bool:
        """Wait until it holds, for so many seconds at most; return whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait_until(holds)
        except TimeoutError:
            return False
        return True
