"""Watch how far a contender is, and what it used, by its group's committed offsets in the middle of its run."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from benchmarks.environment import Job
from benchmarks.process import Watched, children_cpu_seconds, family_cpu_seconds, machine_cpu_seconds
from processor.kafka.connection import confluent_config

LOOK_SECONDS = 0.25
BEGIN, END = 0.25, 0.95
LIMIT_SECONDS = 300.0
QUIET_CORES, QUIET_SECONDS = 0.1, 3.0
BROKER, ENDPOINT = "kafka.Kafka", "benchmarks.canned"  # in their command lines


class Sample(NamedTuple):
    """A moment: records done by topic, CPU seconds of the contender, of broker and endpoint, of the benchmark with all
    that it started, and of the machine.
    """

    seconds: float
    done: dict[str, int]
    resident_bytes: int
    cpu_seconds: float
    broker_seconds: float
    endpoint_seconds: float
    family_seconds: float
    machine_seconds: float


class Window(NamedTuple):
    """The steady middle: what is done a second, and what it cost the contender, the broker and the endpoint.

    `others` is how many cores processes of other people used meanwhile: the noise.
    """

    rate: float
    cpu_microseconds: float
    broker_microseconds: float
    endpoint_microseconds: float
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


def sample(group: GroupWatch, contender: Watched, begun: float) -> Sample:
    """The run as it is now."""
    done, used = group.done(), contender.usage()
    return Sample(
        seconds=time.perf_counter() - begun,
        done=done,
        resident_bytes=used.resident_bytes,
        cpu_seconds=used.cpu_seconds,
        broker_seconds=children_cpu_seconds(BROKER),
        endpoint_seconds=children_cpu_seconds(ENDPOINT),
        family_seconds=family_cpu_seconds(),
        machine_seconds=machine_cpu_seconds(),
    )


def until(group: GroupWatch, contender: Watched, topic: str, records: int) -> list[Sample]:
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


def window(samples: Sequence[Sample], done: Callable[[Sample], float], first: int, total: int) -> Window:
    """Between 25 % and 95 % of the way from `first` to `total`; `done` says how far a sample is."""
    begin, end = (_at(samples, done, first + (total - first) * share) for share in (BEGIN, END))
    count = (total - first) * (END - BEGIN)
    spent = _Moment(*(after - before for before, after in zip(begin, end, strict=True)))
    return Window(
        rate=count / spent.seconds,
        cpu_microseconds=spent.cpu_seconds / count * 1e6,
        broker_microseconds=spent.broker_seconds / count * 1e6,
        endpoint_microseconds=spent.endpoint_seconds / count * 1e6,
        others=(spent.machine_seconds - spent.family_seconds) / spent.seconds,
    )


class _Moment(NamedTuple):
    seconds: float
    cpu_seconds: float
    broker_seconds: float
    endpoint_seconds: float
    family_seconds: float
    machine_seconds: float


def _at(samples: Sequence[Sample], done: Callable[[Sample], float], wanted: float) -> _Moment:
    """When `wanted` was done, between two samples in proportion."""
    behind = next(index for index, one in enumerate(samples) if done(one) >= wanted)
    after, before = samples[behind], samples[max(0, behind - 1)]
    count = done(after) - done(before)
    part = (wanted - done(before)) / count if count else 1.0
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
