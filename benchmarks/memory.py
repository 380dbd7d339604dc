"""Measure the memory of a worker under full load for a while: python -m benchmarks.memory --minutes 10.

One worker of ours, delivery included, to the canned endpoint; events are written all the while, and the
worker is never without some to do. A line a quarter of a minute: resident memory, events done, rate.

The result compares the second half with the end of the first third: caches are full by then, what grows after that has
a leak.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import NamedTuple

from confluent_kafka import Producer

from benchmarks.contenders import OURS_DELIVERED
from benchmarks.environment import Job, open_environment
from benchmarks.events import profile_events
from benchmarks.process import Contender, usage
from benchmarks.watch import GroupWatch, load
from processor.kafka.connection import producer_config

LOOK_SECONDS = 15.0
AHEAD_EVENTS = 100_000
SLICE_EVENTS = 2_000
MAY_GROW = 0.05


class Look(NamedTuple):
    """A moment: seconds since the worker has read the first events, its resident MiB, events done."""

    seconds: float
    resident_mib: float
    done: int


class Feed:
    """Writes events, never more than AHEAD_EVENTS beyond what is done."""

    def __init__(self, job: Job, events: Iterator[tuple[bytes, bytes]], written: int) -> None:
        self._topic, self._events, self.written = job.topics.profile_events, events, written
        self._producer = Producer(producer_config(job.settings) | {"linger.ms": 20})

    def go_on(self, done: int) -> None:
        """Write a slice, where there is room; returns when the broker has it."""
        if self.written - done >= AHEAD_EVENTS:
            time.sleep(0.1)
            return
        for key, value in islice(self._events, SLICE_EVENTS):
            self._producer.produce(self._topic, value, key)
        self._producer.flush()
        self.written += SLICE_EVENTS


def measure(minutes: float, profiles: int) -> list[Look]:
    """A look each LOOK_SECONDS."""
    looks: list[Look] = []
    with open_environment() as environment:
        environment.fill(0, profiles)
        job = environment.new_job("memory")
        group = GroupWatch(job, [job.topics.profile_events, job.topics.exports])
        topic = job.topics.profile_events
        feed = Feed(job, profile_events(10**9, profiles, seed=4), environment.first)
        with Contender(OURS_DELIVERED.command(job), job.folder) as worker:
            while (done := group.done()[topic]) < environment.first:
                worker.require_running()
                feed.go_on(done)
            begun = time.monotonic()
            while (seconds := time.monotonic() - begun) < minutes * 60:
                worker.require_running()
                done = group.done()[topic]
                if seconds >= len(looks) * LOOK_SECONDS:
                    looks.append(Look(seconds, usage(worker.pid).resident_bytes / 2**20, done))
                    print(line(looks), flush=True)
                feed.go_on(done)
        group.close()
    return looks


def line(looks: list[Look]) -> str:
    """Describe the newest look in a line."""
    now, before = looks[-1], looks[max(0, len(looks) - 2)]
    rate = (now.done - before.done) / (now.seconds - before.seconds) if now is not before else 0.0
    return f"{now.seconds:5.0f} s {now.resident_mib:7.0f} MiB {now.done:10,} events {rate:8,.0f} events/s"


def describe_growth(looks: list[Look]) -> str:
    """Return whether the memory grew after the first third."""
    third, half = len(looks) // 3, len(looks) // 2
    before = median(look.resident_mib for look in looks[max(0, third - 4) : third + 1])
    after = median(look.resident_mib for look in looks[half:])
    grown = after / before - 1
    return (
        f"{'flat' if grown < MAY_GROW else 'GROWS'}: {before:.0f} MiB at a third, {after:.0f} MiB in the second half"
        f" ({grown:+.1%}); load {load()}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--profiles", type=int, default=100_000)
    chosen = parser.parse_args()
    print(describe_growth(measure(chosen.minutes, chosen.profiles)))
