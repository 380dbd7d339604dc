"""The worker as a process: what it waits for, what it refuses to start with, and how it ends."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from processor.worker.preconditions import find_environment
from tests.conftest import required
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.load import flowing
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KitWorker

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
AWAY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.2


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    return ready(WholeJob(installation, kinesis, tmp_path))


def ready(job: WholeJob) -> WholeJob:
    job.create_streams()
    job.apply()
    return job


def refusal(settings: Settings) -> str:
    """Return what a worker with these settings ends with before it starts: exit code 2."""
    with pytest.raises(UsageError) as refused:
        find_environment(settings)
    assert refused.value.exit_code == UsageError.exit_code
    return str(refused.value)


def test_a_second_worker_in_the_same_data_directory_refuses(job: WholeJob) -> None:
    settings = job.installation.settings
    first = find_environment(settings)

    said = refusal(settings)
    again = refusal(settings)
    first.directory.close()

    assert f"is in use by process {os.getpid()}: one data directory, one worker" in said
    assert env_name("data_dir") in said
    assert again == said, "the first holds it no more"


def test_missing_topics_are_refused_with_the_remedy(installation: Installation) -> None:
    installation.change(broker_wait_seconds=1)

    said = refusal(installation.settings)

    assert f"missing on the broker: {installation.topics.profile_events}" in said
    assert "profile-exporter init" in said


def test_another_number_of_partitions_is_refused_with_the_remedy(installation: Installation) -> None:
    installation.init(1)
    installation.change(partitions=2)

    said = refusal(installation.settings)

    assert f"{installation.topics.exports} has 1 partition, 2 are wanted" in said.replace("1 partitions", "1 partition")
    assert f"set {env_name('partitions')}" in said


def test_wrong_settings_are_refused_all_at_once_in_words(tmp_path: Path) -> None:
    """As a process: exit code 2 and what is printed are the same for all of the above."""
    installation = Installation("127.0.0.1:1", tmp_path / "data")
    installation.change(partitions="many", linger_seconds=-1, processing_guarantee="perhaps", log_format="console")

    with KitWorker(installation.env, tmp_path) as worker:
        worker.start()
        code, said = worker.wait_for_end(SECONDS), worker.said()

    assert code == UsageError.exit_code, said
    assert f"{env_name('partitions')}='many'" in said
    assert f"{env_name('linger_seconds')}='-1'" in said
    assert f"{env_name('processing_guarantee')}='perhaps'" in said
    assert "Traceback" not in said


@pytest.mark.quiet
def test_sigterm_under_load_ends_the_worker_within_ten_seconds_and_nothing_is_lost(job: WholeJob) -> None:
    job.send(shop_events(8_000, customers=1_000))

    with job.worker(static_membership=True) as worker:
        wait_until(lambda: job.delivered() > 0, "the first deliveries", SECONDS)
        assert any(job.lags().values()), "everything is done already: no load"
        asked_at = time.monotonic()
        worker.stop()
        took_seconds = time.monotonic() - asked_at
        job.start_again(worker)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    assert took_seconds < STOP_SECONDS
    job.require_equal_to_replay()


def test_a_broker_that_is_not_there_yet_is_waited_for(own_kafka: RealKafka, kinesis: str, tmp_path: Path) -> None:
    job = job_on(own_kafka, kinesis, tmp_path)
    job.send(shop_events(500, customers=100))
    own_kafka.stop()

    with job.new_worker() as worker:
        worker.start()
        wait_until(lambda: "waiting_for_broker" in worker.said(), "a word about the broker", SECONDS)
        own_kafka.restart()
        wait_until(lambda: job.processed() > 0, "the first events", SECONDS)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    job.require_equal_to_replay()


def job_on(broker: RealKafka, kinesis: str, folder: Path) -> WholeJob:
    folder.mkdir(exist_ok=True)
    installation = Installation(broker.bootstrap_servers, folder / "data")
    installation.init(4)
    return ready(WholeJob(installation, kinesis, folder))


@contextmanager
def supervised(worker: KitWorker) -> Iterator[Callable[[], None]]:
    """Give a function to be called again and again: it starts a failed worker anew, as a supervisor would.

    Any other end is a fault.
    """

    def look() -> None:
        code = worker.exit_code()
        if code is not None:
            assert worker.has_failed(code), f"exit code {code}:\n{worker.log_tail()}"
            worker.start()

    worker.start()
    yield look
    worker.stop()


def test_a_broker_that_goes_away_for_twenty_seconds_loses_and_repeats_nothing(kinesis: str, tmp_path: Path) -> None:
    """One broker is stopped and started again, one is frozen; events flow to both all the while."""
    with ExitStack() as stack, required():
        stopped, frozen = (stack.enter_context(RealKafka()) for _ in range(2))
        jobs = [job_on(broker, kinesis, tmp_path / name) for broker, name in ((stopped, "stopped"), (frozen, "frozen"))]
        looks = [
            stack.enter_context(supervised(stack.enter_context(job.new_worker(kinesis_probe_seconds=1))))
            for job in jobs
        ]
        with ExitStack() as load:
            for job in jobs:
                load.enter_context(flowing(job, shop_events(100_000, customers=300), 100))
            keep(looks, lambda: all(job.delivered() > 0 for job in jobs), "the first deliveries")
            stopped.stop()
            frozen.pause()
            gone_at, back_at = datetime.now(UTC), time.monotonic() + AWAY_SECONDS
            keep(looks, lambda: time.monotonic() >= back_at, "the end of the outage")
            frozen.resume()
            stopped.restart()
            ends = [sum(job.ends().values()) for job in jobs]
            keep(
                looks,
                lambda: all(job.processed() > end for job, end in zip(jobs, ends, strict=True)),
                "events after the outage",
            )
        for job in jobs:
            keep(looks, job.all_arrived, "delivery")  # called at once

        for job in jobs:
            job.require_equal_to_replay(gone_at)


def keep(looks: list[Callable[[], None]], done: Callable[[], bool], what: str) -> None:
    """Wait, and look after the workers meanwhile."""

    def looked() -> bool:
        for look in looks:
            look()
        return done()

    wait_until(looked, what, DELIVERY_SECONDS, POLL_SECONDS)
