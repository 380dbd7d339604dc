"""From the agent to the sink: batches of `exports` wait here while the sink is full, and reading pauses."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from processor.pipeline.pipeline import Fetching
from processor.tasks import end_task, watched_task
from processor.transport.batch import Batch

MAX_BATCHES: Final = 4
"""Batches of one partition that wait; more are not fetched."""


class Deliver(Protocol):
    """The sink's door: returns when the records are taken over, which may be long."""

    async def __call__(self, partition: int, records: Sequence[Any], position: int) -> None:
        """Take records of one partition, in order."""


class ExportsFeed:
    """From `start` to `close`. `on_failure` is called with what ended it."""

    def __init__(self, deliver: Deliver, fetching: Fetching, on_failure: Callable[[BaseException], None]) -> None:
        self._deliver, self._fetching, self._on_failure = deliver, fetching, on_failure
        self._waiting: deque[Batch] = deque()
        self._arrived = asyncio.Event()
        self._paused: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; call once."""
        self._task = watched_task(self._run(), self._on_failure)

    def submit(self, batch: Batch) -> None:
        """Take a batch; never waits."""
        self._waiting.append(batch)
        self._arrived.set()
        if self._count(batch.partition) >= MAX_BATCHES and batch.partition not in self._paused:
            self._paused.add(batch.partition)
            self._fetching.pause(batch.topic, batch.partition)

    def is_behind(self, partition: int) -> bool:
        """Whether the sink cannot take what comes of a partition."""
        return partition in self._paused

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop what waits of these: their next owner reads it again."""
        gone = set(partitions)
        self._waiting = deque(batch for batch in self._waiting if batch.partition not in gone)
        self._paused -= gone

    async def close(self) -> None:
        """Stop; what waits is dropped."""
        if self._task is not None:
            await end_task(self._task)

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            batch = self._waiting.popleft()
            await self._deliver(batch.partition, batch.records, batch.position)
            if batch.partition in self._paused and self._count(batch.partition) < MAX_BATCHES // 2:
                self._paused.discard(batch.partition)
                self._fetching.resume(batch.topic, batch.partition)

    def _count(self, partition: int) -> int:
        return sum(batch.partition == partition for batch in self._waiting)
