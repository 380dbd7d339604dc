"""Work on assigned partitions that ends when the group revokes them: a takeover, the search for where to begin.

    run(work) ─► the work's result
       │ end(): the partitions are revoked
       └─► the work is cancelled, and ended for good when `end` returns ─► run raises PartitionsRevoked

What the work uses (local stores, producers, partitions of the sink) may be closed after `end`, and not before.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

from processor.foundation.tasks import end_task, is_being_cancelled

AGAIN_SECONDS: Final = 6.0
"""How long work may take to end before it is asked again: a log of its own may take 5 s to close where the broker is
away.
"""
TRIES: Final = 2
Result = TypeVar("Result")
_log = structlog.get_logger(__name__)


class PartitionsRevoked(Exception):
    """An error for work on partitions that the group has taken back meanwhile.

    Their next owner does it, or the next takeover.
    """


class WorkDidNotEnd(Exception):
    """Work goes on though it was asked to end: what it uses cannot be closed, so the worker must end."""

    def __init__(self, works: list[str]) -> None:
        super().__init__(
            f"partitions were revoked, and what was done for them does not end within {AGAIN_SECONDS * TRIES:.0f} s:"
            f" {', '.join(works)}"
        )


class RevocableWork:
    """All work of one worker on what it is assigned."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it; raises PartitionsRevoked where `end` was called meanwhile, else what the work raises.

        Cancelled, it returns when the work has ended.
        """
        if self._is_closed:
            work.close()
            raise PartitionsRevoked
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelling() and not is_being_cancelled():
                raise PartitionsRevoked from None
            raise
        except Exception as error:
            if not task.cancelling():
                raise
            _log.warning("revoked_work_failed", work=repr(task.get_coro()), error=repr(error))
            raise PartitionsRevoked from error

    async def end(self) -> None:
        """End what runs; nothing of it is under way when this returns. Raises WorkDidNotEnd."""
        running = list(self._running)
        ended = await asyncio.gather(*(end_task(task, AGAIN_SECONDS, TRIES) for task in running))
        late = [repr(task.get_coro()) for task, has_ended in zip(running, ended, strict=True) if not has_ended]
        if late:
            raise WorkDidNotEnd(late)

    async def close(self) -> None:
        """End what runs, and begin nothing more. Raises WorkDidNotEnd."""
        self._is_closed = True
        await self.end()
