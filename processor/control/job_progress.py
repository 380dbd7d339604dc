"""The topic `job-progress`: how far jobs are, as the owners of the partitions say.

Compacted, each in the partition that it is about.

key    ["<job>",<partition>]
value  schemas.job.JobProgress
"""

import threading
import time
from collections.abc import Iterable
from typing import Final

import orjson

from processor.control.job_status import JobsProgress
from processor.foundation.settings import Settings
from processor.kafka.errors import ReadFailed
from processor.kafka.follower import TopicFollower
from schemas.job import JobProgress
from schemas.kafka import ReadRecord
from schemas.wire.catalog import without_input

AGE_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 5.0


class JobProgressRecords:
    """The last record of each key; what cannot be read is told, and keeps nobody from the rest."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, JobProgress]] = {}
        self._unreadable: dict[bytes, str] = {}

    def add(self, records: Iterable[ReadRecord]) -> None:
        """In their order."""
        for record in records:
            self._add(record.key or b"", record.value)

    def progress(self, partitions: int) -> JobsProgress:
        """As it is now."""
        return JobsProgress(
            {job: dict(parts) for job, parts in self._parts.items()}, partitions, tuple(self._unreadable.values())
        )

    def _add(self, key: bytes, value: bytes | None) -> None:
        self._unreadable.pop(key, None)
        try:
            job, partition = _place(key)
            self._parts.get(job, {}).pop(partition, None)
            if value is not None:
                self._parts.setdefault(job, {})[partition] = _progress(value, job, partition)
        except ValueError as error:
            self._unreadable[key] = f"job-progress {key.decode(errors='replace')}: {without_input(error)}"


class JobProgressFollower:
    """A follower of `job-progress`, thread-safe: it reads at most once in `age_seconds`, however often it is asked."""

    def __init__(self, settings: Settings, age_seconds: float = AGE_SECONDS) -> None:
        self._age_seconds = age_seconds
        self._partitions = settings.partitions
        self._follower = TopicFollower(settings, settings.topics.job_progress)
        self._records = JobProgressRecords()
        self._progress = JobsProgress()
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def progress(self) -> JobsProgress:
        """As it was a second ago, or later. Raises BrokerUnreachable; ReadFailed, also where the topic is missing."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise ReadFailed(f"Kafka has not answered for {WAIT_SECONDS:.0f} s")
        try:
            if time.monotonic() - self._read_at >= self._age_seconds:
                self._read_on()
            return self._progress
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the broker."""
        self._follower.close()

    def _read_on(self) -> None:
        now = time.monotonic()
        if self._follower.is_new:
            self._records = JobProgressRecords()
        self._records.add(self._follower.read_on())
        self._progress = self._records.progress(self._partitions)
        self._read_at = now


def read_job_progress(settings: Settings) -> JobsProgress:
    """Once. Raises as JobProgressFollower does."""
    follower = JobProgressFollower(settings)
    try:
        return follower.progress()
    finally:
        follower.close()


def _place(key: bytes) -> tuple[str, int]:
    """Job and partition; raises ValueError."""
    named = orjson.loads(key)
    if not isinstance(named, list) or [type(each) for each in named] != [str, int]:
        raise ValueError
    return named[0], named[1]


def _progress(value: bytes, job: str, partition: int) -> JobProgress:
    """Raises ValueError, of which ValidationError is one."""
    progress = JobProgress.model_validate_json(value)
    if (progress.job, progress.partition) != (job, partition):
        raise ValueError
    return progress
