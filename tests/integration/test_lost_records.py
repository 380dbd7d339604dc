"""Tests of a log whose start passes a reader at any moment.

The worker stops and names what is gone (exit code 3), or goes on where that is accepted.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.group_lag import group_lag
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KitWorker

SECONDS: Final = 240.0
FROZEN_SECONDS: Final = 2.0
ACCEPT: Final = "PROFILE_EXPORTER_ACCEPT_GAPS="


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.apply()
    return whole_job


def admin(job: WholeJob) -> AdminClient:
    return AdminClient({"bootstrap.servers": job.installation.settings.kafka_bootstrap_servers})


def delete_records(job: WholeJob, topic: str, keep: int) -> dict[int, int]:
    """Remove all but the last records of each partition; where the partitions begin then."""
    (places,) = group_lag(job.installation.settings, [topic]).values()
    begins = {place.partition: max(place.start, place.end - keep) for place in places}
    client = admin(job)  # must live until the answer is here
    for future in client.delete_records(
        [TopicPartition(topic, partition, begin) for partition, begin in begins.items()]
    ).values():
        future.result(SECONDS)
    return begins


def while_frozen(worker: KitWorker, happens: Callable[[], object]) -> None:
    """Well within its session: nobody takes its partitions."""
    worker.freeze()
    until = time.monotonic() + FROZEN_SECONDS
    happens()
    time.sleep(max(0.0, until - time.monotonic()))
    worker.thaw()


def named_gaps(worker: KitWorker) -> dict[tuple[str, int], int]:
    """Return what the last line of a stopped worker asks to be accepted: first offsets, by topic partition."""
    names = worker.said().splitlines()[-1].partition(ACCEPT)[2].split(",")
    return {
        (topic, int(partition)): int(offset)
        for topic, partition, offset in (name.strip().rsplit(":", 2) for name in names)
    }


def committed(job: WholeJob, topic: str) -> dict[tuple[str, int], int]:
    (places,) = group_lag(job.installation.settings, [topic]).values()
    return {(topic, place.partition): place.committed or 0 for place in places}


def test_a_retention_that_overtakes_a_running_worker_stops_it_with_the_gap(job: WholeJob) -> None:
    """Events that the worker had read before the gap are processed; the gap is passed once it is accepted by name."""
    job.create_streams()
    topic = job.installation.topics.profile_events
    with job.worker() as worker:
        job.send(shop_events(100, customers=20))
        job.wait_until_delivered(SECONDS, worker)
        while_frozen(
            worker, lambda: (job.send(shop_events(2_000, customers=20, seed=9)), delete_records(job, topic, keep=20))
        )
        code = worker.wait_for_end(SECONDS)
        gaps, reached = named_gaps(worker), committed(job, topic)
        worker.change(accept_gaps=worker.said().splitlines()[-1].partition(ACCEPT)[2])
        said = worker.said()
        if len(gaps) == 1:  # the other partition's gap is found by the next start
            worker.start()
            assert worker.wait_for_end(SECONDS) == 3
            gaps |= named_gaps(worker)
            worker.change(
                accept_gaps=",".join(f"{topic}:{partition}:{first}" for (_, partition), first in gaps.items())
            )
        job.start_again(worker)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert code == 3
    assert "are gone" in said
    assert gaps == reached, "each begins where the worker was"
    assert worker.said().count("offsets_skipped") == len(gaps)


def test_records_of_exports_that_are_deleted_under_a_running_worker_stop_it_with_the_gap(job: WholeJob) -> None:
    job.create_streams()
    topic = job.installation.topics.exports
    producer = Producer({"bootstrap.servers": job.installation.settings.kafka_bootstrap_servers})

    def exported_and_deleted() -> None:
        for number in range(4):  # a fetch that is on its way takes the first ones
            for partition in range(2):
                producer.produce(topic, b"no export %d" % number, partition=partition)
            producer.flush(SECONDS)
        delete_records(job, topic, keep=1)

    with job.worker() as worker:
        job.send(shop_events(100, customers=20))
        job.wait_until_delivered(SECONDS, worker)
        while_frozen(worker, exported_and_deleted)
        code = worker.wait_for_end(SECONDS)

    assert code == 3
    assert "are gone (retention, or deleted records), and were not delivered" in worker.said()
    assert named_gaps(worker).items() <= committed(job, topic).items()


def test_records_of_a_parked_flow_that_are_deleted_stop_the_worker_with_the_gap(job: WholeJob) -> None:
    """Records of a parked flow are read by another reader than the group's."""
    settings: dict[str, Any] = {"park_after_seconds": 0.1, "kinesis_probe_seconds": 1}
    with job.worker(**settings) as worker:  # no stream is there: every flow is paused, and parked
        job.send(shop_events(300, customers=20))
        wait_until(
            lambda: "flow_parked" in worker.said() and not any(job.lags().values()), "everything to be parked", SECONDS
        )
        worker.kill()  # with what its reader had fetched already
        delete_records(job, job.installation.topics.exports, keep=0)
        worker.start()
        code = worker.wait_for_end(SECONDS)

    assert code == 3
    assert "were not delivered to the parked flow" in worker.said()
    assert named_gaps(worker)
