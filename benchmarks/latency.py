"""Measure how long an event takes, at a paced rate: python -m benchmarks.latency [--delivered].

    exports      → readable on `exports`: when a read_committed consumer has it; broker, worker, transaction, marker and
                 fetch are all in it
    delivered    → acknowledged by Kinesis: a canned endpoint answers 20 ms after it has the record, which is in it

An export record carries its event's Kafka timestamp, which is set here when the event is handed to the producer (linger
1 ms). Milliseconds.
"""

import argparse
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from benchmarks.contenders import OURS, OURS_DELIVERED
from benchmarks.environment import PARTITIONS, Job, open_environment
from benchmarks.events import profile_events
from benchmarks.process import Contender
from benchmarks.watch import GroupWatch, load, until
from processor.kafka.connection import consumer_config, producer_config
from processor.kafka.reading import read_topic

TICK_SECONDS = 0.005
WARM_UP_SECONDS = 45.0  # the broker's compilers take that long to rest
_LAST_SECONDS = 2.0  # for what is under way at the end


class Latency(NamedTuple):
    """Milliseconds, of `records` export records; `rate` is what was really sent a second."""

    p50: float
    p99: float
    highest: float
    records: int
    rate: float


class Arrivals:
    """Reads `exports` in a thread, from its end, until `close`."""

    def __init__(self, job: Job) -> None:
        config = consumer_config(job.settings, "latency") | {"fetch.wait.max.ms": 20, "enable.partition.eof": False}
        self._consumer = Consumer(config)
        self._consumer.assign(
            [TopicPartition(job.topics.exports, partition, OFFSET_END) for partition in range(PARTITIONS)]
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.seen: list[tuple[int, float]] = []
        self._thread.start()

    def _read(self) -> None:
        while not self._stopped.is_set():
            for message in self._consumer.consume(500, 0.005):
                if message.error() is None:
                    sent = message.timestamp()[1]
                    self.seen.append((sent, time.time() * 1000 - sent))

    def close(self) -> None:
        """Close the consumer, which reads no more."""
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    def since(self, begin: float) -> list[float]:
        """The latencies of events sent since then (ms since 1970)."""
        return [latency for sent, latency in self.seen if sent >= begin]


def measure(rate: int, seconds: float, profiles: int) -> Latency:
    """One worker of ours without delivery, after a warm-up at the same rate."""
    with open_environment() as environment:
        environment.fill(0, profiles)
        job = environment.new_job("latency")
        group = GroupWatch(job, [job.topics.profile_events])
        with Contender(OURS.command(job), job.folder) as contender:
            until(group, contender, job.topics.profile_events, environment.first)
            arrivals = Arrivals(job)
            try:
                begun, sent = send_paced(job, rate, events_for(rate, WARM_UP_SECONDS + seconds, profiles))
                time.sleep(_LAST_SECONDS)
            finally:
                arrivals.close()
                group.close()
    found = arrivals.since(begun + WARM_UP_SECONDS * 1000)
    percentiles = quantiles(found, n=100)
    return Latency(percentiles[49], percentiles[98], max(found), len(found), sent / (WARM_UP_SECONDS + seconds))


def measure_delivered(rate: int, seconds: float, profiles: int) -> Latency:
    """One whole worker; the id of a record says which event it came from, and `exports` when that was sent."""
    with TemporaryDirectory() as folder:
        arrivals = Path(folder) / "arrivals"
        with open_environment(arrivals) as environment:
            environment.fill(0, profiles)
            job = environment.new_job("latency")
            group = GroupWatch(job, [job.topics.profile_events])
            with Contender(OURS_DELIVERED.command(job), job.folder) as contender:
                until(group, contender, job.topics.profile_events, environment.first)
                begun, sent = send_paced(job, rate, events_for(rate, WARM_UP_SECONDS + seconds, profiles))
                time.sleep(_LAST_SECONDS)
                group.close()
            sent_at = {
                dict(record.headers)["record-id"]: record.timestamp or 0
                for record in read_topic(job.settings, job.topics.exports)
            }
        lines = [line.split(b" ") for line in arrivals.read_bytes().splitlines()]
    begin = begun + WARM_UP_SECONDS * 1000
    found = [float(int(answered) - sent_at[record_id]) for answered, record_id in lines if sent_at[record_id] >= begin]
    percentiles = quantiles(found, n=100)
    return Latency(percentiles[49], percentiles[98], max(found), len(found), sent / (WARM_UP_SECONDS + seconds))


def events_for(rate: int, seconds: float, profiles: int) -> Iterator[tuple[bytes, bytes]]:
    """Return as many events as are sent in so many seconds."""
    return profile_events(int(rate * seconds), profiles, seed=3)


def send_paced(job: Job, rate: int, events: Iterable[tuple[bytes, bytes]]) -> tuple[float, int]:
    """(beginning in ms since 1970, events sent): every 5 ms what is due by then."""
    producer = Producer(producer_config(job.settings) | {"linger.ms": 1})
    topic = job.topics.profile_events
    begun, begun_ms, count = time.perf_counter(), time.time() * 1000, 0
    for key, value in events:
        while count > (time.perf_counter() - begun) * rate:
            time.sleep(TICK_SECONDS)
        producer.poll(0)
        producer.produce(topic, value, key, timestamp=int(time.time() * 1000))
        count += 1
    producer.flush()
    return begun_ms, count


def main(rate: int, seconds: float, profiles: int, delivered: bool = False) -> None:
    """Measure once, and print the latencies."""
    noise = load()
    found = (measure_delivered if delivered else measure)(rate, seconds, profiles)
    where = "Kinesis" if delivered else "exports"
    print(
        f"event → {where} at {found.rate:,.0f} events/s: p50 {found.p50:.0f} ms, p99 {found.p99:.0f} ms, highest"
        f" {found.highest:.0f} ms ({found.records} records, load {noise} → {load()})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--delivered", action="store_true", help="until Kinesis has acknowledged it")
    arguments = parser.parse_args()
    main(arguments.rate, arguments.seconds, arguments.profiles, arguments.delivered)
