"""Background tasks whose failure is never lost, and that end when they are told to.

No `asyncio.wait_for` in this product: before Python 3.12 it swallows a cancellation that comes with the result
(bpo-42130), and a loop goes on for ever. `asyncio.timeout` does not.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

AGAIN_SECONDS: Final = 1.0
TRIES: Final = 5
_log = structlog.get_logger(__name__)


class CancelledByNobody(Exception):
    """A task ended as if it had been cancelled, and nobody had asked it to: what it waited for was cancelled."""


def is_being_cancelled() -> bool:
    """Return whether somebody asks the current task to end.

    aiokafka raises CancelledError also where nobody does, as when a connection closes.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def watched_task(work: Coroutine[Any, Any, None], on_failure: Callable[[BaseException], None]) -> asyncio.Task[None]:
    """Start `work` on the running loop; `on_failure` is called once, with what it raised.

    Being cancelled by somebody is no failure.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            if not task.cancelling():
                on_failure(CancelledByNobody(repr(task.get_coro())))
        elif (error := task.exception()) is not None:
            on_failure(error)

    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(ended)
    return task


class EndedByItself(Exception):
    """A task that the worker needs for as long as it runs came to its end."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} ended, and the worker needs it")


def lasting_task(work: Coroutine[Any, Any, None], on_failure: Callable[[BaseException], None]) -> asyncio.Task[None]:
    """Start work that goes on until somebody cancels it, as `watched_task` does; its end is a failure too."""

    async def last() -> None:
        await work
        raise EndedByItself(repr(work))

    return watched_task(last(), on_failure)


async def end_task(task: asyncio.Task[Any], again_seconds: float = AGAIN_SECONDS, tries: int = TRIES) -> bool:
    """Cancel a task and wait for its end; once more each second, since libraries may swallow a cancellation.

    Gives up after 5 s.

    Whether it ended: what a task uses that did not must not be closed under it.
    """
    for _ in range(tries):
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=again_seconds)
        if done:
            return True
    _log.warning("task_did_not_end", task=repr(task.get_coro()))
    return False
