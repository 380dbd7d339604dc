"""From the agent to the sink: batches of `exports` wait here while the sink is full, and reading pauses."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from processor.foundation.tasks import end_task, watched_task
from processor.pipeline.ports import Fetching
from schemas.kafka import Batch, count_record_bytes

FEED_SHARE: Final = 4
"""Of MAX_BUFFERED_BYTES, one part in so many may wait before the sink: the buffer itself is what keeps delivery busy
meanwhile.
"""
BATCH_BYTES: Final = 1024
"""What a batch counts beside its records: one of none, where only the position moved, waits too."""


class Deliver(Protocol):
    """The sink's door: returns when the records are taken over, which may be long."""

    async def __call__(self, partition: int, records: Sequence[Any], position: int) -> None:
        """Take records of one partition, in order."""


class ExportsFeed:
    """Hands what was fetched of `exports` to the sink, from `start` to `close`; what ends it goes to `on_failure`.

    `max_bytes`: what waits may hold, of all partitions, as it is in memory; a partition of which more comes is fetched
    again when half of it is gone. One fetch of each partition may go beyond it.
    """

    def __init__(
        self, deliver: Deliver, fetching: Fetching, max_bytes: int, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._deliver, self._fetching, self._max_bytes, self._on_failure = deliver, fetching, max_bytes, on_failure
        self._waiting: deque[tuple[Batch, int]] = deque()  # with its bytes
        self._waiting_bytes = 0  # with those of the batch that is being delivered
        self._arrived = asyncio.Event()
        self._paused: dict[int, str] = {}  # partition → topic
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver; call once."""
        self._task = watched_task(self._run(), self._on_failure)

    def submit(self, batch: Batch) -> None:
        """Take a batch; never waits."""
        held_bytes = BATCH_BYTES + count_record_bytes(batch.records)
        self._waiting.append((batch, held_bytes))
        self._waiting_bytes += held_bytes
        self._arrived.set()
        if self._waiting_bytes > self._max_bytes and batch.partition not in self._paused:
            self._paused[batch.partition] = batch.topic
            self._fetching.pause(batch.topic, batch.partition)

    def is_behind(self, partition: int) -> bool:
        """Return whether the sink cannot take what comes of a partition."""
        return partition in self._paused

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop what waits of these: their next owner reads it again."""
        gone = set(partitions)
        self._waiting_bytes -= sum(held_bytes for batch, held_bytes in self._waiting if batch.partition in gone)
        self._waiting = deque((batch, held_bytes) for batch, held_bytes in self._waiting if batch.partition not in gone)
        for partition in gone:
            self._paused.pop(partition, None)
        self._resume()

    async def close(self) -> None:
        """Stop; what waits is dropped."""
        if self._task is not None:
            await end_task(self._task)

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            batch, held_bytes = self._waiting.popleft()
            await self._deliver(batch.partition, batch.records, batch.position)
            self._waiting_bytes -= held_bytes
            self._resume()

    def _resume(self) -> None:
        """Fetch all partitions again where there is room."""
        if self._paused and 2 * self._waiting_bytes <= self._max_bytes:
            paused, self._paused = self._paused, {}
            for partition, topic in paused.items():
                self._fetching.resume(topic, partition)
