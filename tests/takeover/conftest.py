"""A worker whose takeovers are looked at: the real runtime and RocksDB, on a broker in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.memory_kafka import MemoryKafka
from tests.kit.memory_worker import BOTH, MemoryWorker


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[MemoryWorker]:
    """A worker of two partitions that have a changelog already; it must not have failed in the end."""
    broker = MemoryKafka(BOTH)
    for partition in BOTH:
        broker.write_as_another(partition, 7)
    worker = MemoryWorker(tmp_path, broker)
    yield worker
    await worker.stop()
    assert worker.failures == []
