"""Measure the backfill of many small profiles beside live events, and the start with as many deadlines.

python -m benchmarks.history --profiles 2000000

    fill        one event a profile: a row of about 300 bytes, everybody in `everybody` until a deadline in years, one
                in a hundred in `one-percent`
    alone       1,000 live events/s on a thousand profiles of their own, event → readable on `exports`
    1 %, 100 %  the same while a flow that maps that audience is put into force: until its backfill is done in every
                partition
    start       the worker stopped and started again: until it processes an event, the index of deadlines full

One worker without Kinesis; `exports` is read. Everything on this machine: worker, broker, events, and who reads the
latencies.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from random import Random
from statistics import quantiles

import orjson

from benchmarks.contenders import OURS_EXPORTS_READ
from benchmarks.environment import PARTITIONS, Job, open_environment, produce
from benchmarks.latency import Arrivals, send_paced
from benchmarks.process import Contender, usage
from benchmarks.watch import GroupWatch, load
from processor.kafka.reading import read_compacted
from schemas.job import JobProgress, PartitionState

LIVE_PROFILES = 1_000
ALONE_SECONDS = 30.0
WARM_UP_SECONDS = 30.0
LIMIT_SECONDS = 3 * 3600.0
STEPS = ("worker_starts", "restor", "partitions_taken_over", "Worker ready")
POLL_SECONDS = 1.0  # reading progress takes the time of a small command
TIME = "2026-01-11T23:37:33Z"
DEADLINE = "2031-01-11T23:37:33Z"
FLOW = """
  - id: {id}
    destination: {{type: kinesis, stream: bench, region: us-east-1, endpointUrl: "http://127.0.0.1:1"}}
    audiences: [{{namespace: ups, id: {audience}}}]
    attributes: [points]
"""


def small_profiles(count: int) -> Iterator[tuple[bytes, bytes]]:
    """One event each, and one for each live profile."""
    until = {"status": "realized", "lastQualificationTime": TIME, "validUntil": DEADLINE}
    for number in range(count):
        entries = {
            "everybody": until,
            **({"one-percent": {"status": "realized", "lastQualificationTime": TIME}} if number % 100 == 0 else {}),
        }
        yield _event(f"p-{number:09d}", number, {"points": number, "segmentMembership": {"ups": entries}})
    for number in range(LIVE_PROFILES):
        yield _event(
            f"live-{number:04d}", number, {"points": 0, "segmentMembership": {"ups": {"live": {"status": "realized"}}}}
        )


def live_events() -> Iterator[tuple[bytes, bytes]]:
    """Yield for ever a write of a mapped attribute, of a live profile at random."""
    dice, number = Random(5), 0
    while True:
        number += 1
        yield _event(f"live-{dice.randrange(LIVE_PROFILES):04d}", number, {"points": number})


def _event(key: str, number: int, data: dict[str, object]) -> tuple[bytes, bytes]:
    event = {
        "specversion": "1.0",
        "id": f"evt-{number}",
        "source": "/t",
        "type": "profile.patched",
        "subject": key,
        "time": TIME,
        "data": data,
    }
    return key.encode(), orjson.dumps(event)


@contextmanager
def flowing(job: Job, rate: int) -> Iterator[None]:
    """Live events, paced, until the context ends."""
    stopped = threading.Event()
    events = takewhile(lambda _: not stopped.is_set(), live_events())
    sender = threading.Thread(target=send_paced, args=(job, rate, events), daemon=True)
    sender.start()
    try:
        yield
    finally:
        stopped.set()
        sender.join()


def apply(job: Job, audiences: tuple[str, ...]) -> None:
    """Put into force a flow for each of these audiences."""
    file = job.folder / "flows.yaml"
    file.write_text("flows:" + "".join(FLOW.format(id=audience, audience=audience) for audience in audiences))
    done = job.installation.command("apply", "--prune", "--no-check", str(file))
    assert done.exit_code == 0, done.output


def parts(job: Job, flow: str) -> list[JobProgress]:
    """Return how far the flow's backfill is, in each partition that has begun."""
    values = read_compacted(job.settings, job.topics.job_progress).values()
    return [part for part in map(JobProgress.model_validate_json, values) if part.flow == flow]


def latency(arrivals: Arrivals, begun_ms: float) -> str:
    """Return the latencies of live records sent since then; a job's records carry a whole second."""
    found = [late for sent, late in list(arrivals.seen) if sent >= begun_ms and sent % 1000]
    percentiles = quantiles(found, n=100)
    return f"p50 {percentiles[49]:.0f} ms, p99 {percentiles[98]:.0f} ms ({len(found):,} events)"


def backfill(job: Job, worker: Contender, arrivals: Arrivals, audiences: tuple[str, ...]) -> str:
    """Map the last of these audiences as well, and wait until everybody of it has been sent."""
    begun, begun_ms, memory = time.perf_counter(), time.time() * 1000, usage(worker.pid).resident_bytes
    highest = memory
    apply(job, audiences)
    while (
        len(done := [part for part in parts(job, audiences[-1]) if part.state is not PartitionState.RUNNING])
        < PARTITIONS
    ):
        worker.require_running()
        highest = max(highest, usage(worker.pid).resident_bytes)
        if time.perf_counter() - begun > LIMIT_SECONDS:
            raise TimeoutError(f"{audiences[-1]}: {parts(job, audiences[-1])}")
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - begun
    seen, exported = sum(part.seen for part in done), sum(part.exported for part in done)
    return (
        f"{seen:,} profiles in {seconds:.1f} s ({seen / seconds:,.0f}/s), {exported:,} records"
        f" ({exported / seconds:,.0f}/s), memory {memory / 2**20:.0f} → at most {highest / 2**20:.0f} MiB; live"
        f" {latency(arrivals, begun_ms)}"
    )


def started(said: list[str]) -> list[str]:
    """What the worker said of its last start, step by step with the times: the group's own delay is in it (Kafka: 3 s
    for one that was empty).
    """
    begun = max(number for number, line in enumerate(said) if "worker_starts" in line)
    return [line[:140] for line in said[begun:] if any(step in line for step in STEPS)]


def main(profiles: int, rate: int, everybody: bool = True) -> None:
    """Measure everything, and print it as it goes."""
    print(f"{profiles:,} profiles, {rate:,} live events/s, load {load()}", flush=True)
    with open_environment() as environment:
        job = environment.new_job("history")
        job.installation.change(membership_expiry=True)
        apply(job, ("live",))
        topic, group = job.topics.profile_events, GroupWatch(job, [job.topics.profile_events])
        with Contender(OURS_EXPORTS_READ.command(job), job.folder) as worker:
            begun = time.perf_counter()
            written = produce(job.settings, small_profiles(profiles))
            while group.done()[topic] < written:
                worker.require_running()
                time.sleep(1.0)
            memory = usage(worker.pid).resident_bytes / 2**20
            print(
                f"fill:  {written:,} events in {time.perf_counter() - begun:.0f} s, memory {memory:.0f} MiB", flush=True
            )
            arrivals = Arrivals(job)
            with flowing(job, rate):
                time.sleep(WARM_UP_SECONDS)
                begun_ms = time.time() * 1000
                time.sleep(ALONE_SECONDS)
                print(f"alone: live {latency(arrivals, begun_ms)}", flush=True)
                print(f"1 %:   {backfill(job, worker, arrivals, ('live', 'one-percent'))}", flush=True)
                if everybody:
                    print(f"100 %: {backfill(job, worker, arrivals, ('live', 'one-percent', 'everybody'))}", flush=True)
        before = group.done()[topic]
        produce(job.settings, [next(live_events())])
        begun = time.perf_counter()
        with Contender(OURS_EXPORTS_READ.command(job), job.folder) as worker:
            while group.done()[topic] <= before:
                worker.require_running()
                time.sleep(0.05)
            seconds, said = time.perf_counter() - begun, worker.log_file.read_text(errors="replace").splitlines()
        print(
            f"start: the first event is processed after {seconds:.1f} s; load {load()}",
            *started(said),
            sep="\n    ",
            flush=True,
        )
        arrivals.close()
        group.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument(
        "--one-percent-only", action="store_true", help="without the backfill of everybody, which takes long"
    )
    chosen = parser.parse_args()
    main(chosen.profiles, chosen.rate, not chosen.one_percent_only)
