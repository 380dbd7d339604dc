"""The senders of all destinations, as tasks: one a destination, from its first flow to its last."""

import asyncio
from collections.abc import Callable, Collection

from processor.delivery.lanes.lanes import Route
from processor.delivery.lanes.progress import Progress
from processor.delivery.lanes.sender import Sender
from schemas.destination import Destination


class Senders:
    """Flows with equal destinations share one sender; one that no flow uses any more is retired.

    They send from `start` to `stop`; what was opened before waits for that.
    """

    def __init__(self, open_sender: Callable[[Destination], Sender]) -> None:
        self._open_sender = open_sender
        self._in_use: dict[Destination, Sender] = {}
        self._retired: list[Sender] = []  # their last calls are in flight
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, destination: Destination) -> Sender:
        """Return the destination's sender; open it where there is none."""
        sender = self._in_use.get(destination)
        if sender is None:
            sender = self._in_use[destination] = self._open_sender(destination)
            self._run_in_group(sender)
        return sender

    def retire_unused(self, used: Collection[Route]) -> None:
        """Retire the senders that are none of the routes in use."""
        in_use = {id(route) for route in used}
        for destination, sender in list(self._in_use.items()):
            if id(sender) not in in_use:
                del self._in_use[destination]
                self._retired.append(sender)
                sender.retire()

    def carry(self, progresses: Collection[Progress]) -> bool:
        """Return whether a record of one of these is in flight."""
        return any(sender.carries(progresses) for sender in (*self._in_use.values(), *self._retired))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to send, each sender as a task of the group."""
        self._group = group
        for sender in (*self._in_use.values(), *self._retired):
            self._run_in_group(sender)

    async def stop(self, seconds: float) -> None:
        """Begin no more calls; wait for those in flight, so many seconds at most."""
        for sender in self._in_use.values():
            sender.retire()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()

    def leave_group(self) -> None:
        """Begin no more tasks: the group has ended."""
        self._group = None

    def _run_in_group(self, sender: Sender) -> None:
        if self._group is not None:
            task = self._group.create_task(self._run(sender))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, sender: Sender) -> None:
        await sender.run()
        if sender in self._retired:
            self._retired.remove(sender)
