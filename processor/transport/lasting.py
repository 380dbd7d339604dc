"""Tasks that a worker needs for as long as it runs: where one ends before, the worker ends too, and says why.

Faust's services let a task end in silence that returns, or that is cancelled by nobody, as aiokafka does when a
connection closes. aiokafka's consumer keeps the errors of its own tasks for whoever calls `getmany`; Faust never calls
it. Either way the worker would stay in its group and do nothing, for ever.

It leans on these insides, held by `tests/transport/test_canary.py`: mode's `Service._execute_task`; aiokafka's
`_coordinator._coordination_task`, `_coordinator._push_error_to_user`, `_fetcher._fetch_task`, `_client._sync_task`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from mode import Service

OnEnd = Callable[[BaseException], None]


class TaskEnded(Exception):
    """A task that the worker needs ended though the worker goes on."""


class LastingTasks(Service):
    """A service whose tasks last as long as it does; the end of one before that crashes service and worker."""

    app: Any

    @property
    def is_ending(self) -> bool:
        """Return whether this service or the whole worker stops.

        Faust closes the consumer of a worker that stops in a rebalance before its services.
        """
        return bool(self.should_stop or self.app.should_stop)

    async def _execute_task(self, task: Awaitable[Any]) -> None:
        await super()._execute_task(task)
        if not self.is_ending:
            await self.crash(TaskEnded(f"{self.label}: {task!r} ended, and the worker needs it"))


def watch_client(consumer: Any, on_end: OnEnd) -> None:
    """Have `on_end` called when a task of aiokafka's consumer ends, and with each error that it keeps for its user.

    Both happen in the consumer's event loop.
    """
    coordinator = consumer._coordinator
    tasks = {
        "coordination": coordinator._coordination_task,
        "fetching": consumer._fetcher._fetch_task,
        "metadata": consumer._client._sync_task,
    }
    for name, task in tasks.items():
        task.add_done_callback(partial(_ended, name, on_end))
    push = coordinator._push_error_to_user

    def push_and_report(error: BaseException) -> Any:
        on_end(error)
        return push(error)

    coordinator._push_error_to_user = push_and_report


def _ended(name: str, on_end: OnEnd, task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    on_end(error or TaskEnded(f"aiokafka's task of {name} ended, and the worker needs it"))
