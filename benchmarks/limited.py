"""Measure a stream of one shard beside one that takes everything: python -m benchmarks.limited [--interpreted].

    unlimited    a backlog on `exports` that leaves as fast as the worker can
    limited      the same to an endpoint that takes 1,000 records a second and refuses more, as a shard of AWS does
    waiting      the worker of `unlimited` when everything is delivered

One worker process each, real Kafka, one flow. CPU is that of the whole worker, in the middle of its run: a record, and
as a share of a core.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.contenders import worker
from benchmarks.environment import ANSWER_MILLISECONDS, PARTITIONS, BenchmarkEnvironment, Job, open_environment
from benchmarks.process import Contender, usage
from benchmarks.watch import GroupWatch, wait_until_quiet
from processor.core.partitioner import partition_of
from processor.kafka.connection import confluent_config, producer_config
from processor.sandbox.child import ChildServer
from schemas.partitioner import Partitioner
from schemas.wire.exports import ExportHeader

A_SECOND: Final = 1_000  # of a shard (AWS: "Quotas and limits")
RECORD_BYTES: Final = 1_000
START_SECONDS: Final = 90.0
SETTLE_SECONDS: Final = 5.0  # after the first record: the burst of the shard and the fill of the buffer are over
WATCH_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 10.0
LIMITED_RECORDS: Final = 60_000
UNLIMITED_RECORDS: Final = 300_000


class Cost(NamedTuple):
    """The cost of a worker over some seconds; `cores` as a share of one."""

    records_a_second: float
    cores: float

    @property
    def microseconds(self) -> float:
        """CPU that one delivered record cost, in microseconds."""
        return self.cores / self.records_a_second * 1e6 if self.records_a_second else 0.0


def fill(job: Job, records: int) -> None:
    """Write a backlog of so many records of as many profiles to `exports`."""
    topic, value = job.topics.exports, b'{"text":"' + b"x" * (RECORD_BYTES - 11) + b'"}'
    producer = Producer(producer_config(job.settings) | {"queue.buffering.max.messages": 1_000_000, "linger.ms": 20})
    for number in range(records):
        key = f"p-{number:09d}"
        headers = {
            ExportHeader.RECORD_ID: f"profile-events-0-{number}-bench",
            ExportHeader.FLOW_ID: "bench",
            ExportHeader.PARTITION_KEY: key,
        }
        producer.produce(
            topic,
            value,
            key,
            partition_of(key.encode(), PARTITIONS, Partitioner.MURMUR2),
            headers=list(headers.items()),
        )
        if number % 1_000 == 0:
            producer.poll(0)
            while len(producer) > 500_000:
                producer.poll(0.2)
    producer.flush()


def begin_at_the_first(job: Job) -> None:
    """Have the group read the backlog: a worker refuses to guess how far records were delivered that it finds without
    an offset.
    """
    consumer = Consumer(confluent_config(job.settings) | {"group.id": job.app_id})
    consumer.commit(
        offsets=[TopicPartition(job.topics.exports, partition, 0) for partition in range(PARTITIONS)],
        asynchronous=False,
    )
    consumer.close()


@contextmanager
def delivering(
    environment: BenchmarkEnvironment, name: str, records: int, limit: int | None, *, compiled: bool
) -> Iterator["Run"]:
    """A worker that delivers a backlog to an endpoint of its own."""
    with ExitStack() as stack:
        endpoint = ChildServer(
            "benchmarks.canned", str(ANSWER_MILLISECONDS), "", *([] if limit is None else [str(limit)])
        )
        stack.callback(endpoint.stop)
        job = environment.new_job(name)
        environment.apply(endpoint.start())
        fill(job, records)
        begin_at_the_first(job)
        group = GroupWatch(job, [job.topics.exports])
        stack.callback(group.close)
        yield Run(
            group,
            stack.enter_context(Contender(worker(job, "processor.app", compiled=compiled), job.folder)),
            job,
            records,
        )
    environment.clear()


class Run:
    """A worker, and how far it is."""

    def __init__(self, group: GroupWatch, contender: Contender, job: Job, records: int) -> None:
        self._group, self._contender, self._job, self._records = group, contender, job, records

    def delivered(self) -> int:
        """Records of the backlog that the group has passed."""
        self._contender.require_running()
        return self._group.done()[self._job.topics.exports]

    def wait_for(self, records: int, seconds: float) -> None:
        """Until so many are delivered."""
        deadline = time.monotonic() + seconds
        while self.delivered() < records:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.delivered()} of {records} records after {seconds:.0f} s")
            time.sleep(0.1)

    def cost(self, seconds: float, records: int | None = None) -> Cost:
        """Measure for so many seconds, or until so many records are delivered."""
        began, before, done = time.perf_counter(), usage(self._contender.pid).cpu_seconds, self.delivered()
        if records is None:
            time.sleep(seconds)
        else:
            self.wait_for(records, seconds)
        took = time.perf_counter() - began
        return Cost((self.delivered() - done) / took, (usage(self._contender.pid).cpu_seconds - before) / took)


def measure(environment: BenchmarkEnvironment, *, compiled: bool) -> dict[str, Cost]:
    """Measure all workers, one after the other."""
    found = {}
    with delivering(environment, "unlimited", UNLIMITED_RECORDS, None, compiled=compiled) as run:
        run.wait_for(UNLIMITED_RECORDS // 10, START_SECONDS)
        found["unlimited"] = run.cost(START_SECONDS, UNLIMITED_RECORDS * 9 // 10)
        run.wait_for(UNLIMITED_RECORDS, START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        found["waiting"] = run.cost(IDLE_SECONDS)
    with delivering(environment, "limited", LIMITED_RECORDS, A_SECOND, compiled=compiled) as run:
        run.wait_for(1, START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        found["limited"] = run.cost(WATCH_SECONDS)
    return found


def main(*, compiled: bool) -> None:
    """Run one round and print its table."""
    with open_environment() as environment:
        others = wait_until_quiet(10.0)
        found = measure(environment, compiled=compiled)
    print(f"{'compiled' if compiled else 'interpreted'}; other processes used {others:.2f} cores before")
    for name in ("unlimited", "limited", "waiting"):
        cost = found[name]
        each = f"{cost.microseconds:8.1f} µs of CPU a record" if cost.records_a_second else ""
        print(f"{name:12}{cost.records_a_second:>9,.0f} records/s   {cost.cores:6.1%} of a core{each}")
    unlimited, limited, waiting = found["unlimited"].microseconds, found["limited"], found["waiting"].cores
    beside_waiting = limited._replace(cores=limited.cores - waiting).microseconds
    print(
        f"a limited record costs {limited.microseconds / unlimited:.2f} times an unlimited one,"
        f" {beside_waiting / unlimited:.2f} without waiting"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interpreted", action="store_true", help="as a working copy has it")
    main(compiled=not parser.parse_args().interpreted)
