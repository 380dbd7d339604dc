"""Tests of a new version that comes worker by worker: nothing moves that need not, nothing is lost or repeated."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import pytest
from confluent_kafka import Producer

from processor.catalog.follower import HOLDS_AFTER_SECONDS
from processor.foundation.errors import StoppedForOperator
from processor.kafka.connection import producer_config
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from schemas.wire.profiles_changelog import FORMAT, PROFILE
from tests.integration.test_flow_changes import Version, edit, read_by_versions, richer_vips
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import rows_of_changelog
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KitWorker

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
SESSION_SECONDS: Final = 30
EVENTS_A_SECOND: Final = 400


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    return job


def partitions(worker: KitWorker) -> set[int]:
    """Return the partitions of the worker's last takeover."""
    (last,) = re.findall(r"partitions_taken_over\s+partitions=\[([\d, ]*)\]", worker.said())[-1:]
    return {int(number) for number in last.split(",")}


def test_workers_are_exchanged_one_by_one_and_a_flow_between_them(job: WholeJob) -> None:
    """Static membership: a restart within the session moves no partition, and the other worker notices nothing."""
    versions = [Version(job.apply(), {})]
    static = {"static_membership": True, "session_timeout_seconds": SESSION_SECONDS}

    with job.worker("first", **static) as first, job.worker("second", **static) as second:
        wait_until(lambda: len(partitions(first)) == len(partitions(second)) == 2, "two partitions each", SECONDS)
        before = partitions(first), partitions(second)
        with flowing(job, shop_events(100_000, customers=300), EVENTS_A_SECOND):
            wait_until(lambda: job.delivered() > 0, "the first deliveries", SECONDS)
            quiet = second.taken_over()
            first.stop()
            job.start_again(first)
            assert second.taken_over() == quiet

            edit(job, richer_vips)
            catalog = job.apply()
            time.sleep(HOLDS_AFTER_SECONDS)  # what the contract asks of an author
            versions.append(Version(catalog, job.ends()))

            quiet = first.taken_over()
            second.stop()
            job.start_again(second)
            assert first.taken_over() == quiet
            wait_until(
                lambda: job.processed() > sum(versions[-1].holds_from.values()) + 500,
                "events after the change",
                DELIVERY_SECONDS,
            )
        job.wait_until_delivered(DELIVERY_SECONDS, first, second)
        after = partitions(first), partitions(second)
        first.stop()
        second.stop()

    assert after == before
    faults, seen = read_by_versions(job, versions)
    assert not faults, "\n".join(faults[:10])
    assert seen["vip-to-crm"] == 2


def test_a_row_of_a_newer_version_stops_the_worker_for_the_operator_and_is_left_as_it_is(job: WholeJob) -> None:
    """Also one that a restore brings: only a version that knows the format can go on."""
    job.apply()
    events = list(shop_events(400, customers=5))
    job.send(events[:200])
    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()
    newer = b"[%d," % (FORMAT + 1)
    write_over_rows(job, lambda row: newer + row.partition(b",")[2])
    job.send(events[200:])

    with job.new_worker() as worker:
        worker.start()
        code = worker.wait_for_end(SECONDS)
        said = worker.said()

    assert code == StoppedForOperator.exit_code
    assert f"has format {FORMAT + 1}, this version reads {FORMAT}" in said
    assert "start that version" in said
    rows = [row for rows in rows_of_changelog(job).values() for key, row in rows.items() if key.startswith(PROFILE)]
    assert rows
    assert all(row.startswith(newer) for row in rows)


def test_rows_of_the_version_before_are_read_and_what_it_applied_last_is_not_applied_again(job: WholeJob) -> None:
    """I5: format 3 holds ids without sources.

    The last event of each profile is sent once more; replay passes over it by its source and id.
    """
    job.apply()
    events = list(shop_events(400, customers=5))
    job.send(events[:200])
    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()
    write_over_rows(job, as_format_3)
    last = {event.key: event for event in events[:200]}
    job.send([*last.values(), *events[200:]])

    with job.new_worker() as worker:
        worker.start()
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    job.require_equal_to_replay()


def as_format_3(row: bytes) -> bytes:
    row_format, *fields, event_ids, size_bound, deadline, announced = orjson.loads(row)
    assert row_format == FORMAT
    return orjson.dumps([3, *fields, event_ids[1::2], size_bound, deadline, announced])


def write_over_rows(job: WholeJob, change: Callable[[bytes], bytes]) -> None:
    """Exchange every profile's row in the changelog."""
    settings = job.installation.settings
    producer = Producer(producer_config(settings))
    for partition, rows in rows_of_changelog(job).items():
        for key, row in rows.items():
            if key.startswith(PROFILE):
                producer.produce(settings.topics.changelog, change(row), key, partition)
    assert producer.flush(SECONDS) == 0
