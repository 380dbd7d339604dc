"""A worker on a broker in memory, with its real parts, and what Faust's recovery does with it."""

import asyncio
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import orjson
from aiokafka.errors import IllegalStateError, KafkaError

from processor.foundation.revocable import PartitionsRevoked
from processor.foundation.settings import Settings
from processor.foundation.tasks import CancelledByNobody, end_task, is_being_cancelled
from processor.kafka.cluster import ClusterFacts
from processor.transport.owner import Partition
from processor.worker.build import build
from processor.worker.environment import WorkerEnvironment
from processor.worker.ownership import Ownership
from processor.worker.waits import Waits
from schemas.kafka import Batch, ReadRecord
from state.directory import StateDirectory
from state.faust_store import ProfilesStore
from tests.kit.memory_kafka import MemoryGroup, MemoryKafka, memory_parts

SECONDS: Final = 240.0
SOURCE, EXPORTS = "profile-events", "exports"
BOTH: Final = (0, 1)
"""The partitions of a worker whose changelog holds something before its first takeover (tests/takeover)."""


class MemoryWorker:
    """A worker in memory, from one start to `stop`."""

    def __init__(self, folder: Path, kafka: MemoryKafka) -> None:
        self.kafka = kafka
        self.group = MemoryGroup(kafka)
        self.failures: list[BaseException] = []
        self.now = 0.0  # by the clock of its waits
        self.recovery: asyncio.Task[None] | None = None
        self.ended: list[BaseException] = []
        self._directory = StateDirectory.lock(folder, lambda: "0")
        table: Any = SimpleNamespace(name="profiles")
        self.store = ProfilesStore("profiles://", table, table)
        settings = Settings(_env_file=None, data_dir=folder, linger_seconds=0, partitions=len(kafka.changelog))  # type: ignore[call-arg]
        environment = WorkerEnvironment(self._directory, ClusterFacts(None, {}))
        group: Any = self.group
        memory = memory_parts(kafka) | {"waits": Waits(lambda: self.now)}
        self.parts = build(settings, environment, group, self.store, self.failures.append, **memory)
        self.ownership = Ownership(self.parts)

    def assign(self, partitions: Collection[int]) -> None:
        """The group gives it partitions: the takeover that is under way is cancelled, another one begins."""
        if self.recovery is not None:
            self.recovery.cancel()
        self.recovery = asyncio.create_task(self._recover(partitions))

    async def _recover(self, partitions: Collection[int]) -> None:
        while True:
            try:
                await self.ownership.take_over(partitions)
                await self.ownership.start_positions(self.places(partitions))
            except (PartitionsRevoked, IllegalStateError):
                return
            except asyncio.CancelledError:
                if is_being_cancelled():
                    raise
                continue  # by aiokafka: it tries again
            except BaseException as error:
                self.ended.append(error)
            return

    def places(self, partitions: Collection[int]) -> list[Partition]:
        """Return the partitions of both topics that the group assigns."""
        return [Partition(topic, number) for topic in (SOURCE, EXPORTS) for number in partitions]

    async def revoke(self, partitions: Collection[int]) -> None:
        """The group takes partitions back; nothing of them is written any more when this returns."""
        self.group.epoch += 1
        async with asyncio.timeout(SECONDS):
            await self.ownership.release(self.places(partitions))

    async def stop(self) -> None:
        """As a worker stops, or one that failed ends."""
        async with asyncio.timeout(SECONDS):
            self.group.epoch += 1
            await self.ownership.drain()
            if self.recovery is not None:
                await end_task(self.recovery)
        self._directory.close()

    def process(self, partition: int, keys: Collection[str]) -> None:
        """Events come, each of a profile of its own."""
        begin = self.parts.pipeline.committed_offsets[partition]
        records = [
            ReadRecord(SOURCE, partition, begin + number, 0, key.encode(), event(key))
            for number, key in enumerate(keys)
        ]
        self.ownership.process(
            Batch(SOURCE, partition, records, begin + len(records), self.group.epoch, time.monotonic())
        )

    @property
    def unexpected(self) -> list[BaseException]:
        """Return the errors that neither recovery nor a broker in trouble explains."""
        return [
            error for error in (*self.ended, *self.failures) if not isinstance(error, (KafkaError, CancelledByNobody))
        ]

    @property
    def has_failed(self) -> bool:
        return bool(self.ended or self.failures)


async def until(holds: Callable[[], bool]) -> None:
    """Return when a condition holds; raises TimeoutError after 60 s."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0)


def event(key: str) -> bytes:
    attributes = {
        "specversion": "1.0",
        "id": key,
        "source": "/test",
        "type": "profile.patched",
        "time": "2026-01-01T00:00:00Z",
    }
    return orjson.dumps(attributes | {"data": {"a": 1}})
