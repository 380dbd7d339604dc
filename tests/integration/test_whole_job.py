"""The whole job on a real Kafka, real worker processes and a Kinesis that stores: what leaves equals replay (contract 4b, A, B, D3, G1, G3)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from processor.demo.shop import shop_events
from processor.demo.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob, workers

EVENTS = 20_000
DELIVERY_SECONDS = 120.0


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    return ready(installation, kinesis, tmp_path)


def ready(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


def test_what_leaves_equals_replay_in_order_per_profile_and_flow(job: WholeJob) -> None:
    sent = job.send(shop_events(EVENTS, customers=2_000))

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    assert sent >= EVENTS
    job.require_equal_to_replay()


def test_the_same_with_another_endpoint(installation: Installation, kinesis_local: str, tmp_path: Path) -> None:
    job = ready(installation, kinesis_local, tmp_path)
    job.send(shop_events(500, customers=50))

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    job.require_equal_to_replay()


def test_a_worker_stopped_and_started_in_the_middle_loses_nothing_and_repeats_nothing(job: WholeJob) -> None:
    job.send(shop_events(4_000, customers=500))

    with job.worker() as worker:
        wait_until(lambda: job.delivered() > 500, "the first deliveries", 60)
        worker.stop()
        job.send(shop_events(2_000, customers=500, seed=8))
        job.start_again(worker)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    job.require_equal_to_replay()


def test_a_killed_worker_repeats_nothing_in_exports_and_only_the_same_records_in_kinesis(job: WholeJob) -> None:
    job.send(shop_events(6_000, customers=500))

    with job.worker() as worker:
        wait_until(lambda: job.delivered() > 500, "the first deliveries", 60)
        worker.kill()
        restarted_at = datetime.now(UTC)
        job.start_again(worker)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    job.require_equal_to_replay(restarted_at)


def test_two_workers_share_the_partitions_and_a_third_may_come_and_go(job: WholeJob) -> None:
    job.send(shop_events(3_000, customers=500))

    with workers(job, 2) as running:
        job.wait_until_delivered(DELIVERY_SECONDS, *running)
        with job.worker("late") as late:
            job.send(shop_events(3_000, customers=500, seed=9))
            job.wait_until_delivered(DELIVERY_SECONDS, *running, late)
            late.stop()
        job.send(shop_events(1_000, customers=500, seed=10))
        job.wait_until_delivered(DELIVERY_SECONDS, *running)
        for worker in running:
            worker.stop()

    job.require_equal_to_replay(datetime.now(UTC).replace(year=2000))
