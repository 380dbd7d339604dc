"""The progress of jobs: the topic `job-progress`, followed and folded."""

import threading
import time
from collections.abc import Iterable
from typing import Final

from processor.control.job_status import JobsProgress
from processor.foundation.settings import Settings
from processor.kafka.errors import ReadFailed
from processor.kafka.follower import TopicFollower
from schemas.job import JobProgress
from schemas.kafka import BadRecord, ReadRecord
from schemas.wire.job_progress import decode_job_progress, decode_job_progress_key

AGE_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 5.0


class JobProgressRecords:
    """The last record of each key; what cannot be read is reported, and keeps nobody from the rest."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, JobProgress]] = {}
        self._unreadable: dict[bytes, str] = {}

    def add(self, records: Iterable[ReadRecord]) -> None:
        """Take records of the topic, in their order."""
        for record in records:
            self._add(record.key or b"", record.value)

    def progress(self, partitions: int) -> JobsProgress:
        """Return the progress of all jobs as it is now."""
        return JobsProgress(
            {job: dict(parts) for job, parts in self._parts.items()}, partitions, tuple(self._unreadable.values())
        )

    def _add(self, key: bytes, value: bytes | None) -> None:
        self._unreadable.pop(key, None)
        try:
            job, partition = decode_job_progress_key(key)
            self._parts.get(job, {}).pop(partition, None)
            if value is not None:
                self._parts.setdefault(job, {})[partition] = decode_job_progress(key, value)
        except BadRecord as bad:
            self._unreadable[key] = str(bad)


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
        """Return the progress of a second ago, or later.

        Raises BrokerUnreachable; ReadFailed, also where the topic is missing.
        """
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise ReadFailed(f"Kafka has not answered for {WAIT_SECONDS:.0f} s")
        try:
            if time.monotonic() - self._read_at >= self._age_seconds:
                self._read_on()
            return self._progress
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connections to the broker."""
        self._follower.close()

    def _read_on(self) -> None:
        now = time.monotonic()
        if self._follower.is_new:
            self._records = JobProgressRecords()
        self._records.add(self._follower.read_on())
        self._progress = self._records.progress(self._partitions)
        self._read_at = now


def read_job_progress(settings: Settings) -> JobsProgress:
    """Read the progress of all jobs once. Raises as JobProgressFollower does."""
    follower = JobProgressFollower(settings)
    try:
        return follower.progress()
    finally:
        follower.close()
