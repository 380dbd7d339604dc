"""Run one contender once: its figures in the steady middle, and whether it sent what ours sends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.contenders import Entry
from benchmarks.environment import BenchmarkEnvironment, Job
from benchmarks.exports import Exports, compare, read_exports
from benchmarks.process import Contender, Contenders, Watched
from benchmarks.watch import LOOK_SECONDS, GroupWatch, Sample, load, sample, until, window

_STILL = 3  # looks at which nothing is left to deliver


@dataclass(frozen=True, slots=True)
class Run:
    """`events_a_second` and the microseconds of CPU an event are of the steady window; `others`: cores used by other
    people then.

    `whole_seconds` is the whole run, start of the process included.
    """

    name: str
    events_a_second: float
    cpu_microseconds: float
    broker_microseconds: float
    endpoint_microseconds: float
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
    events, exports = job.topics.profile_events, job.topics.exports
    total = min(environment.events, environment.first + (entry.most_events or environment.events))
    group, noise = GroupWatch(job, [events, exports] if entry.delivers else [events]), load()
    try:
        with _contenders(entry, job) as running:
            samples = until(group, running, events, total)
            if entry.delivers:
                samples += _until_delivered(group, running, exports, samples[-1])
            committed = {
                partition: offset for (topic, partition), offset in group.committed().items() if topic == events
            }
    finally:
        group.close()
    steady = window(samples, _progress(samples, entry, job, total), environment.first, total)
    records, result = referee.compare_with_ours(entry, job, committed)
    return Run(
        name=entry.name,
        events_a_second=steady.rate,
        cpu_microseconds=steady.cpu_microseconds,
        broker_microseconds=steady.broker_microseconds,
        endpoint_microseconds=steady.endpoint_microseconds,
        resident_bytes=max(one.resident_bytes for one in samples),
        others=steady.others,
        load=noise,
        whole_seconds=samples[-1].seconds,
        exports=records,
        result=result,
    )


def _contenders(entry: Entry, job: Job) -> Contenders:
    jobs = [job] if entry.processes == 1 else [job.of_process(number) for number in range(entry.processes)]
    return Contenders([Contender(entry.command(own), own.folder) for own in jobs])


def _progress(samples: Sequence[Sample], entry: Entry, job: Job, total: int) -> Callable[[Sample], float]:
    """Return how many events a sample has done.

    Where records are delivered that is the mean of events applied and events delivered, since both cost CPU and
    delivery runs behind. Offsets of `exports` have transactions' markers in them, so they count by their share.
    """
    events, exports = job.topics.profile_events, job.topics.exports
    if not entry.delivers:
        return lambda sample: sample.done[events]
    each = total / samples[-1].done[exports]
    return lambda sample: (sample.done[events] + sample.done[exports] * each) / 2


def _until_delivered(group: GroupWatch, contender: Watched, exports: str, last: Sample) -> Sequence[Sample]:
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
