"""Measure two workers beside one, on the same events, by hand, for about three minutes.

python -m benchmarks.workers

Each is a process of its own with half of the partitions. Events a second are those of the steady window, by the group's
committed offsets. The broker shares the machine: with two cores, two workers and a broker cannot each have one, so
beside the rate stands how many cores all of them used; when that is all there are, the machine is the limit.
"""

import argparse
import os
import time
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.contenders import OURS
from benchmarks.environment import BenchmarkEnvironment, Job, open_environment
from benchmarks.process import Contender, family_cpu_seconds
from benchmarks.watch import BEGIN, END, LOOK_SECONDS, GroupWatch

LIMIT_SECONDS = 300.0


class Rate(NamedTuple):
    """Events a second of all workers; `cores` are those used by workers, broker and benchmark."""

    events_a_second: float
    cores: float


def measure(environment: BenchmarkEnvironment, name: str, count: int) -> Rate:
    """Measure so many workers, from the topic's beginning to its end; a new name for each run."""
    job = environment.new_job(name)
    topic = job.topics.profile_events
    first, last = (environment.first + (environment.events - environment.first) * share for share in (BEGIN, END))
    group = GroupWatch(job, [topic])
    try:
        with ExitStack() as running:
            workers = [running.enter_context(_worker(job.of_process(number))) for number in range(count)]
            begun = _when(group, workers, topic, first)
            ended = _when(group, workers, topic, last)
    finally:
        group.close()
    seconds = ended.seconds - begun.seconds
    return Rate((ended.done - begun.done) / seconds, (ended.cpu_seconds - begun.cpu_seconds) / seconds)


class _Moment(NamedTuple):
    seconds: float
    done: int
    cpu_seconds: float


def _worker(job: Job) -> Contender:
    return Contender(OURS.command(job), job.folder)


def _when(group: GroupWatch, workers: list[Contender], topic: str, records: float) -> _Moment:
    deadline = time.monotonic() + LIMIT_SECONDS
    while (done := group.done()[topic]) < records:
        for worker in workers:
            worker.require_running()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{done} of {records:.0f} events after {LIMIT_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
    return _Moment(time.perf_counter(), done, family_cpu_seconds())


def main(events: int, profiles: int) -> None:
    """Both, and their ratio."""
    with open_environment() as environment:
        environment.fill(events, profiles)
        measure(environment, "warm-up", 1)
        one, two = measure(environment, "one", 1), measure(environment, "two", 2)
    for count, rate in ((1, one), (2, two)):
        print(
            f"{count} of ours: {rate.events_a_second:,.0f} events/s, {rate.cores:.2f} of {os.cpu_count()} cores used,"
            " broker included"
        )
    print(f"two are {two.events_a_second / one.events_a_second:.2f} times one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--profiles", type=int, default=20_000)
    arguments = parser.parse_args()
    main(arguments.events, arguments.profiles)
