"""`worker --processes N` at work: whatever happens to supervisor and processes, what left equals replay."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import pytest

from processor.foundation.errors import StoppedForOperator
from processor.sandbox.shop import Kind, ShopEvent, shop_events
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.supervised import SupervisedWorkers
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 200
NOW_MS: Final = 1_768_120_653_000


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


def see_progress(job: WholeJob) -> None:
    before = job.delivered()
    wait_until(lambda: job.delivered() > before, "deliveries", SECONDS)


def test_processes_that_are_stopped_killed_and_changed_in_number_under_load_lose_and_repeat_nothing(
    job: WholeJob,
) -> None:
    """Two, of which one is killed, and which are stopped; three, whose supervisor is killed; at once one, alone."""
    began_at = datetime.now(UTC)
    with SupervisedWorkers(job, "machine", 2) as workers:
        with flowing(job, shop_events(10**6, customers=300), EVENTS_A_SECOND):
            workers.start_and_take_over()
            see_progress(job)
            names = require_two_in_status(job, workers)
            workers.kill_process(2)
            wait_until(lambda: len(workers.pids(2)) == 2, "another start", SECONDS)
            workers.wait_until_taken_over(2)
            see_progress(job)
            assert len(workers.pids(1)) == 1, "the other one went on"
            workers.stop()

            workers.set_count(3)
            workers.start_and_take_over()
            see_progress(job)
            assert workers.events("supervisor_starts")[0]["workers"] == [*names, f"{names[0]}-3"]
            workers.kill()

            workers.set_count(1)
            workers.start_and_take_over()
            see_progress(job)
        job.wait_until_delivered(SECONDS, workers)
        workers.stop()

    replayed = job.require_equal_to_replay(began_at)
    require_rows_of_the_fold(job, replayed, workers.data_folders)


def require_two_in_status(job: WholeJob, workers: SupervisedWorkers) -> list[str]:
    """Wait until `status` shows two workers that share the partitions; return their names."""

    def shared() -> bool:
        owned = [worker["partitions"] for worker in job.status()["workers"]]
        return len(owned) == 2 and all(owned) and sorted([*owned[0], *owned[1]]) == [0, 1, 2, 3]

    wait_until(shared, "two workers in status", SECONDS)
    names = [worker["name"] for worker in job.status()["workers"]]
    assert names == workers.events("supervisor_starts")[0]["workers"]
    assert names[1] == f"{names[0]}-2"
    return names


def test_a_process_that_stops_for_the_operator_stops_all_with_its_words_and_every_line_is_json(job: WholeJob) -> None:
    """Before, one is killed: as a static member it comes back to its partitions, and the other notices nothing."""
    static = {"static_membership": True, "session_timeout_seconds": 60, "max_bad_events_in_a_row": 5}
    with SupervisedWorkers(job, "machine", 2, **static) as workers:
        workers.start_and_take_over()
        wait_until(lambda: len(workers.partitions(1)) == len(workers.partitions(2)) == 2, "two each", SECONDS)
        before = workers.partitions(2), len(workers.events("partitions_taken_over", 1))
        workers.kill_process(2)
        wait_until(lambda: len(workers.pids(2)) == 2, "another start", SECONDS)
        workers.wait_until_taken_over(2)
        after = workers.partitions(2), len(workers.events("partitions_taken_over", 1))
        job.send(ShopEvent(b"p-1", b"no JSON", NOW_MS, Kind.BAD) for _ in range(5))
        code = workers.wait_for_end(SECONDS)

    lines = [orjson.loads(line) for line in workers.said().splitlines()]
    assert after == before
    assert code == StoppedForOperator.exit_code
    (said,) = [line for line in lines if line["event"] == "ended" and "process" in line]
    assert lines[-1]["event"] == "ended"
    assert lines[-1]["reason"] == f"process {said['process']}: {said['reason']}"
    assert "5 unusable events in a row" in said["reason"]
    assert lines[-1]["remedy"] == said["remedy"]
    other = 3 - said["process"]
    assert [event["exit_code"] for event in workers.events("process_stopped")] == [0]
    assert workers.events("process_stopped")[0]["process"] == other
