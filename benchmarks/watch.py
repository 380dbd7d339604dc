"""Watch how far a contender is, and what it used, by its group's committed offsets in the middle of its run."""

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from benchmarks.environment import Job
from benchmarks.process import Contender, family_cpu_seconds, machine_cpu_seconds, usage
from processor.kafka.connection import confluent_config

LOOK_SECONDS = 0.25
BEGIN, END = 0.25, 0.95
LIMIT_SECONDS = 300.0
QUIET_CORES, QUIET_SECONDS = 0.1, 3.0


class Sample(NamedTuple):
    """A moment: records done by topic, CPU seconds of the contender, of the benchmark with all its children, and of the
    machine.
    """

    seconds: float
    done: dict[str, int]
    cpu_seconds: float
    resident_bytes: int
    family_seconds: float
    machine_seconds: float


class Window(NamedTuple):
    """The steady middle. `others` is how many cores processes of other people used meanwhile: the noise."""

    rate: float
    cpu_microseconds: float
    others: float


class GroupWatch:
    """The committed offsets of a job's group, by topic."""

    def __init__(self, job: Job, topics: Sequence[str]) -> None:
        # uncommitted: an answer must not wait until a transaction has ended
        config: dict[str, Any] = {
            **confluent_config(job.settings),
            "group.id": job.app_id,
            "isolation.level": "read_uncommitted",
        }
        self._consumer = Consumer(config)
        partitions = job.settings.partitions
        self._places = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]

    def committed(self) -> dict[tuple[str, int], int]:
        """The next offset of each partition; 0 before the first commit."""
        return {
            (place.topic, place.partition): max(0, place.offset)
            for place in self._consumer.committed(self._places, timeout=20)
        }

    def done(self) -> dict[str, int]:
        """Records done, by topic; exact for topics without transactions."""
        sums: dict[str, int] = {}
        for (topic, _), offset in self.committed().items():
            sums[topic] = sums.get(topic, 0) + offset
        return sums

    def ends(self, topic: str) -> int:
        """The ends of the topic's partitions, summed."""
        return sum(
            self._consumer.get_watermark_offsets(place, timeout=20)[1] for place in self._places if place.topic == topic
        )

    def close(self) -> None:
        """Close the connection to the broker."""
        self._consumer.close()


def sample(group: GroupWatch, contender: Contender, begun: float) -> Sample:
    """The run as it is now."""
    done = group.done()
    used = usage(contender.pid)
    return Sample(
        time.perf_counter() - begun,
        done,
        used.cpu_seconds,
        used.resident_bytes,
        family_cpu_seconds(),
        machine_cpu_seconds(),
    )


def until(group: GroupWatch, contender: Contender, topic: str, records: int) -> list[Sample]:
    """Samples until the group has done `records` of `topic`; raises ContenderEnded, TimeoutError."""
    begun = time.perf_counter()
    samples: list[Sample] = []
    while not samples or samples[-1].done[topic] < records:
        contender.require_running()
        if samples and samples[-1].seconds > LIMIT_SECONDS:
            raise TimeoutError(f"{samples[-1].done} after {LIMIT_SECONDS:.0f} s; {records} of {topic} are wanted")
        time.sleep(LOOK_SECONDS)
        samples.append(sample(group, contender, begun))
    return samples


def window(samples: Sequence[Sample], topic: str, first: int, total: int) -> Window:
    """Between 25 % and 95 % of the records from `first` to `total`."""
    begin, end = (_at(samples, topic, first + (total - first) * share) for share in (BEGIN, END))
    count = (total - first) * (END - BEGIN)
    seconds = end.seconds - begin.seconds
    others = (end.machine_seconds - begin.machine_seconds) - (end.family_seconds - begin.family_seconds)
    return Window(count / seconds, (end.cpu_seconds - begin.cpu_seconds) / count * 1e6, others / seconds)


class _Moment(NamedTuple):
    seconds: float
    cpu_seconds: float
    family_seconds: float
    machine_seconds: float


def _at(samples: Sequence[Sample], topic: str, wanted: float) -> _Moment:
    """When `wanted` records were done, between two samples in proportion."""
    behind = next(index for index, one in enumerate(samples) if one.done[topic] >= wanted)
    after, before = samples[behind], samples[max(0, behind - 1)]
    count = after.done[topic] - before.done[topic]
    part = (wanted - before.done[topic]) / count if count else 1.0
    names = _Moment._fields
    return _Moment(*(getattr(before, name) + part * (getattr(after, name) - getattr(before, name)) for name in names))


def wait_until_quiet(patience_seconds: float) -> float:
    """Wait until other people's processes use less than a tenth of a core for 3 s, at most so long; what they used
    last, in cores.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        before = machine_cpu_seconds() - family_cpu_seconds()
        time.sleep(QUIET_SECONDS)
        others = (machine_cpu_seconds() - family_cpu_seconds() - before) / QUIET_SECONDS
        if others < QUIET_CORES or time.monotonic() > deadline:
            return others


def load() -> str:
    """The load averages, as text."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())
