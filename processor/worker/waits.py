"""The waits of a worker; whatever takes longer than 30 s is reported in its log, and in what `status` shows of it.

with waits.on("the catalog, to be read to its end"):
    await catalog.reach_end()
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from processor.foundation.clocks import Clock
from processor.kafka.producers import AsyncWriter
from processor.pipeline.ports import Output, PartitionLog
from schemas.kafka import ProducerRecord

REPORTED_AFTER_SECONDS: Final = 30.0
AGAIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0  # how often the worker looks
CATALOG: Final = "the catalog: flows and audiences, to be read to their ends"
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Wait:
    """Something that is waited for, in words, since a moment of the clock."""

    what: str
    since: float
    reported_at: float | None = None


class Waits:
    """All waits of a worker. `clock`: monotonic seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._waits: dict[int, Wait] = {}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Note that `what` is waited for while the context lasts."""
        wait = self.begin(what)
        try:
            yield
        finally:
            self.end(wait)

    def begin(self, what: str) -> Wait:
        """Note that `what` is waited for, until `end`."""
        wait = Wait(what, self._clock())
        self._waits[id(wait)] = wait
        return wait

    def end(self, wait: Wait) -> None:
        """Note that a wait is over: it came, or nobody waits any more; once or more."""
        if self._waits.pop(id(wait), None) is not None and wait.reported_at is not None:
            _log.info("waiting_ended", what=wait.what, seconds=round(self._clock() - wait.since))

    def long_waits(self) -> dict[str, float]:
        """Seconds by what is waited for; only what takes longer than 30 s, the longest of each first."""
        now = self._clock()
        seconds: dict[str, float] = {}
        for wait in sorted(self._waits.values(), key=lambda wait: wait.since):
            if now - wait.since >= REPORTED_AFTER_SECONDS:
                seconds.setdefault(wait.what, now - wait.since)
        return seconds

    def report(self) -> None:
        """Log what takes longer than 30 s, each once a minute."""
        now = self._clock()
        for wait in self._waits.values():
            is_due = (
                now - wait.since >= REPORTED_AFTER_SECONDS
                if wait.reported_at is None
                else now - wait.reported_at >= AGAIN_SECONDS
            )
            if is_due:
                wait.reported_at = now
                _log.warning("still_waiting", what=wait.what, seconds=round(now - wait.since))


class WatchedLog:
    """A partition's log whose waits are reported."""

    def __init__(self, log: PartitionLog, partition: int, waits: Waits) -> None:
        self._log, self._waits = log, waits
        self._fencing = f"the transaction coordinator, to fence earlier owners of partition {partition}"
        self._writing = f"Kafka, to acknowledge what partition {partition} writes"

    async def take_over(self) -> None:
        """Fence earlier owners, as the log does."""
        with self._waits.on(self._fencing):
            await self._log.take_over()

    async def commit(self, output: Output) -> int:
        """Commit the output, as the log does."""
        with self._waits.on(self._writing):
            return await self._log.commit(output)

    async def complete_commit(self) -> None:
        """Complete a commit, as the log does."""
        with self._waits.on(self._writing):
            await self._log.complete_commit()

    async def close(self) -> None:
        """Let the log's producer go."""
        await self._log.close()


class WatchedWriter:
    """A shared producer whose waits are reported."""

    def __init__(self, writer: AsyncWriter, waits: Waits) -> None:
        self._writer, self._waits = writer, waits

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write records, as the producer does."""
        with self._waits.on(f"Kafka, to acknowledge records on {topic}"):
            await self._writer.write(topic, records)

    async def write_dead_letters(self, topic: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        """Write dead letters, as the producer does."""
        with self._waits.on(f"Kafka, to acknowledge dead letters on {topic}"):
            await self._writer.write_dead_letters(topic, letters)
