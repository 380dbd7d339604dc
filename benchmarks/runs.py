"""Run one contender once: its figures in the steady middle, and whether it sent what ours sends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import Entry
from benchmarks.environment import BenchmarkEnvironment, Job
from benchmarks.exports import Exports, compare, read_exports
from benchmarks.process import Contender
from benchmarks.watch import LOOK_SECONDS, GroupWatch, Sample, load, sample, until, window

_STILL = 3  # looks at which nothing is left to deliver


@dataclass(frozen=True, slots=True)
class Run:
    """`events_a_second` and `cpu_microseconds` (an event) are of the steady window; `others`: cores used by other
    people then.

    `whole_seconds` is the whole run, start of the process included.
    """

    name: str
    events_a_second: float
    cpu_microseconds: float
    resident_bytes: int
    others: float
    load: str
    whole_seconds: float
    exports: int
    result: str


class Referee:
    """Holds every run's records against those of the first run, which must be of ours and whole."""

    def __init__(self) -> None:
        self._ours: Exports | None = None

    def compare_with_ours(self, entry: Entry, job: Job, committed: dict[int, int]) -> tuple[int, str]:
        """Return (records, how they compare with those of ours)."""
        found = read_exports(job)
        if self._ours is None:
            assert found.sources, "the first contender must be one of ours"
            self._ours = found
        return found.count, compare(self._ours, found, committed, whole=entry.most_events is None)


def run(environment: BenchmarkEnvironment, entry: Entry, job: Job, referee: Referee) -> Run:
    """Start the contender, wait until it is through, end it. Its outputs stay on the broker."""
    topics = job.topics
    watched = [topics.profile_events, topics.exports] if entry.delivers else [topics.profile_events]
    total = min(environment.events, environment.first + (entry.most_events or environment.events))
    group, noise = GroupWatch(job, watched), load()
    try:
        with Contender(entry.command(job), job.folder) as contender:
            samples = until(group, contender, topics.profile_events, total)
            if entry.delivers:
                samples += _until_delivered(group, contender, topics.exports, samples[-1])
            committed = {
                partition: offset
                for (topic, partition), offset in group.committed().items()
                if topic == topics.profile_events
            }
    finally:
        group.close()
    if entry.delivers:  # the middle of the records delivered, counted in events
        delivered = samples[-1].done[topics.exports]
        steady = window(samples, topics.exports, min(environment.first, delivered // 2), delivered)
        events_each = (total - environment.first) / (delivered - min(environment.first, delivered // 2))
    else:
        steady, events_each = window(samples, topics.profile_events, environment.first, total), 1.0
    records, result = referee.compare_with_ours(entry, job, committed)
    return Run(
        entry.name,
        steady.rate * events_each,
        steady.cpu_microseconds / events_each,
        max(one.resident_bytes for one in samples),
        steady.others,
        noise,
        samples[-1].seconds,
        records,
        result,
    )


def _until_delivered(group: GroupWatch, contender: Contender, exports: str, last: Sample) -> Sequence[Sample]:
    """Until the group is at the end of `exports`, and stays there."""
    begun = time.perf_counter() - last.seconds
    samples: list[Sample] = []
    still = 0
    while still < _STILL:
        contender.require_running()
        time.sleep(LOOK_SECONDS)
        samples.append(sample(group, contender, begun))
        still = still + 1 if samples[-1].done[exports] >= group.ends(exports) else 0
    return samples[: 1 - _STILL]
