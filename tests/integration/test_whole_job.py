"""Tests of the whole job with real worker processes: what leaves equals replay (4b, A, B, D3, G1, G3)."""

import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob, workers

EVENTS = 20_000
DELIVERY_SECONDS = 240.0
TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    return ready(installation, kinesis, tmp_path)


def ready(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


def send_traced(job: WholeJob) -> None:
    """One event with a trace in its headers, which `vip-to-crm` exports."""
    data = {"segmentMembership": {"ups": {"vip-customers": {"status": "realized"}}}}
    event = {
        "specversion": "1.0",
        "id": "traced",
        "source": "/test",
        "type": "profile.patched",
        "time": "2026-01-11T08:37:33Z",
        "data": data,
    }
    with Writer(job.installation.settings) as writer:
        topic, headers = (
            job.installation.topics.profile_events,
            [("other", b"\xff"), ("traceparent", TRACEPARENT), ("tracestate", b"a=b")],
        )
        writer.write(topic, b"traced", orjson.dumps(event), name="traced", headers=headers)


def test_what_leaves_equals_replay_in_order_per_profile_and_flow(job: WholeJob) -> None:
    """Each record says when it was decided.

    The trace of an event goes on in the headers of that event's records alone.
    """
    begun_ms = time.time() * 1000
    send_traced(job)
    sent = job.send(shop_events(EVENTS, customers=2_000))

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    assert sent >= EVENTS
    job.require_equal_to_replay()
    exports = list(read_topic(job.installation.settings, job.installation.topics.exports))
    assert all(begun_ms - 1 <= int(dict(record.headers)["decided-at"]) <= time.time() * 1000 for record in exports)
    traced = [record for record in exports if "traceparent" in dict(record.headers)]
    assert {record.key for record in traced} == {b"traced"}
    assert all(record.headers[-2:] == (("traceparent", TRACEPARENT), ("tracestate", b"a=b")) for record in traced)


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
