"""The whole job in one worker process on a real Kafka, with a canned Kinesis endpoint: python -m benchmarks.whole_job

    profile events → state, changelog, exports → PutRecords acknowledged

Events wait on the topic before the worker starts. Events a second are those of the steady window (25 % to 95 % of the
records), CPU is the worker process' in that window.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from benchmarks.events import first_events, flows_file, profile_events
from processor.demo.child import ChildServer
from processor.demo.scenery import worker_environment
from processor.demo.worker import Worker
from processor.kafka.connection import producer_config
from processor.kafka.reading import group_lag
from tests.kit.installation import Installation
from tests.kit.kafka import BENCHMARK_JVM, RealKafka

PARTITIONS = 4
LOOK_SECONDS = 0.5


class Sample(NamedTuple):
    """A moment of the run: events processed and export records delivered, CPU seconds and resident bytes of the worker."""

    lag: int
    seconds: float
    processed: int
    delivered: int
    cpu_seconds: float
    resident_bytes: int


def produce(installation: Installation, events: Iterable[tuple[bytes, bytes]]) -> int:
    """Write events; how many."""
    settings, count = installation.settings, 0
    topic = settings.topics.profile_events
    producer = Producer(producer_config(settings) | {"queue.buffering.max.messages": 1_000_000, "linger.ms": 20})
    for key, value in events:
        producer.produce(topic, value, key)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
            while len(producer) > 500_000:
                producer.poll(0.2)
    producer.flush()
    return count


def look(installation: Installation, pid: int, begun: float) -> Sample:
    """The run as it is now."""
    topics = installation.topics
    lags = group_lag(installation.settings, [topics.profile_events, topics.exports])
    processed, delivered = (sum(place.committed or 0 for place in lags[topic]) for topic in (topics.profile_events, topics.exports))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    lag = sum(place.lag for places in lags.values() for place in places)
    return Sample(lag, time.perf_counter() - begun, processed, delivered, ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def window(samples: list[Sample], total: int, what: str) -> tuple[float, float]:
    """(a second, CPU microseconds each) between 25 % and 95 % of `total`."""

    def at(share: float) -> tuple[float, float]:
        wanted = total * share
        after = next(index for index, sample in enumerate(samples) if getattr(sample, what) >= wanted)
        before, behind = samples[after - 1], samples[after]
        count = getattr(behind, what) - getattr(before, what)
        part = (wanted - getattr(before, what)) / count if count else 1.0
        return before.seconds + part * (behind.seconds - before.seconds), before.cpu_seconds + part * (behind.cpu_seconds - before.cpu_seconds)

    (begin, cpu_begin), (end, cpu_end) = at(0.25), at(0.95)
    return total * 0.7 / (end - begin), (cpu_end - cpu_begin) / (total * 0.7) * 1e6


def run(events: int, profiles: int) -> None:
    """One run, printed."""
    with RealKafka(jvm_options=BENCHMARK_JVM) as kafka, tempfile.TemporaryDirectory() as folder:
        endpoint = ChildServer("benchmarks.canned", "20")
        installation = Installation(kafka.bootstrap_servers, Path(folder) / "data")
        installation.change(max_buffered_records=20_000)
        installation.init(PARTITIONS)
        try:
            flows = Path(folder) / "flows.yaml"
            flows.write_text(flows_file(endpoint.start()))
            assert installation.command("apply", str(flows)).exit_code == 0
            sent = produce(installation, first_events(profiles)) + produce(installation, profile_events(events, profiles))
            with Worker(worker_environment(installation.env), Path(folder)) as worker:
                worker.start()
                samples = _watch(installation, worker)
        finally:
            endpoint.stop()
    rate, cpu = window(samples, sent, "processed")
    print(f"processed {sent} events, {profiles} profiles: {rate:,.0f} events/s, {cpu:.1f} µs CPU an event")
    total = samples[-1].delivered
    rate, _ = window(samples, total, "delivered")
    print(f"delivered {total} records: {rate:,.0f} records/s; whole job {sent / samples[-1].seconds:,.0f} events/s from start to end")
    print(f"resident at the end {samples[-1].resident_bytes / 2**20:.0f} MiB, highest {max(s.resident_bytes for s in samples) / 2**20:.0f} MiB")


def _watch(installation: Installation, worker: Worker) -> list[Sample]:
    begun = time.perf_counter()
    samples: list[Sample] = []
    still = 0
    while still < 3:
        worker.require_running()
        samples.append(look(installation, worker.pid, begun))
        still = 0 if samples[-1].lag else still + 1
        time.sleep(LOOK_SECONDS)
    return samples[:-2]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--profiles", type=int, default=20_000)
    arguments = parser.parse_args()
    run(arguments.events, arguments.profiles)
