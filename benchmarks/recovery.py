"""Restoring from the changelog that a run left: ours and Kafka Streams', each in a new process with an empty folder.

    python -m benchmarks.recovery     ours, for a job in the environment: prints rows and seconds (`state.restore`,
                                      without start-up)

Kafka Streams' figure is from its restore listener: the first partition's beginning to the last one's end.
"""

import asyncio
import gc
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.contenders import KAFKA_STREAMS
from benchmarks.environment import PARTITIONS, Job
from benchmarks.process import Contender
from processor.foundation.settings import Settings, read_settings
from processor.kafka.connection import aiokafka_options
from processor.worker.faust_worker import GC_THRESHOLDS
from state.identity import Identity
from state.partition import PartitionStore
from state.restore import Changelog, restore
from state.store_options import shared_memory

_LIMIT_SECONDS = 120.0


class Restored(NamedTuple):
    """Rows read and applied, of all partitions, and how long it took."""

    rows: int
    seconds: float

    @property
    def rows_a_second(self) -> float:
        """Return the rate of the restore."""
        return self.rows / self.seconds


def restore_ours(job: Job) -> Restored:
    """Restore in a new process, from the changelog's beginning."""
    command = [sys.executable, "-m", "benchmarks.recovery"]
    done = subprocess.run(
        command, env=job.installation.env, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=True
    )
    rows, seconds = done.stdout.split()[-2:]
    return Restored(int(rows), float(seconds))


def restore_kafka_streams(job: Job) -> Restored:
    """Start the same application again, with its state folder removed."""
    shutil.rmtree(job.folder / "state")
    log = job.folder / "output.log"
    log.unlink()
    with Contender(KAFKA_STREAMS.command(job), job.folder) as contender:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while len(parts := _restored_parts(log)) < PARTITIONS and time.monotonic() < deadline:
            contender.require_running()
            time.sleep(0.1)
    rows, begins, ends = zip(*parts, strict=True)
    return Restored(sum(rows), (max(ends) - min(begins)) / 1000)


def _restored_parts(log: Path) -> list[tuple[int, int, int]]:
    lines = [line.split() for line in log.read_text(errors="replace").splitlines() if line.startswith("restored ")]
    return [(int(rows), int(begin), int(end)) for _, _, rows, begin, end in lines]


async def _restore(settings: Settings, folder: Path) -> Restored:
    memory = shared_memory(settings.block_cache_bytes, settings.write_buffer_bytes, settings.partitions)
    changelog = settings.topics.changelog
    identities = {
        number: Identity("", settings.app_id, changelog, None, number, settings.partitions)
        for number in range(settings.partitions)
    }
    stores = {
        number: PartitionStore.open(folder / str(number), identity, memory) for number, identity in identities.items()
    }
    begun = time.perf_counter()
    done = await restore(stores, Changelog(changelog), aiokafka_options(settings), lambda _: None)
    restored = Restored(sum(part.records for part in done.values()), time.perf_counter() - begun)
    for store in stores.values():
        store.close()
    return restored


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    with TemporaryDirectory() as place:
        print(*asyncio.run(_restore(read_settings(), Path(place))))
