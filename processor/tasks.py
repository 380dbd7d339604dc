"""Background tasks whose failure is never lost."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def watched_task(work: Coroutine[Any, Any, None], on_failure: Callable[[BaseException], None]) -> asyncio.Task[None]:
    """Start `work` on the running loop; `on_failure` is called once, with what it raised. Being cancelled is no failure."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            on_failure(error)

    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(ended)
    return task
