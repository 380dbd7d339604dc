"""Rebalances that come at a bad moment, on a real broker with real workers."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import orjson
import pytest

from processor.sandbox.shop import ShopEvent, shop_events
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
LARGE_PROFILES: Final = 300
LARGE_BYTES: Final = 45_000  # a restore reads 4 MiB of a partition at once: one of these takes several reads
HEARTBEATS: Final = 4
IDLE_FOR_LONG: Final = '''
"""A member that has fetched nothing for longer than Faust's default lets it."""
import sys
from aiokafka.consumer.subscription_state import SubscriptionState
idle = SubscriptionState.fetcher_idle_time
def idle_for_long(self):
    print("asked how long it is idle", file=sys.stderr, flush=True)
    return idle.fget(self) + 1_001
SubscriptionState.fetcher_idle_time = property(idle_for_long)
'''
FAUSTS_PATIENCE_SECONDS: Final = 8  # its own default is 90
COORDINATOR_AWAY: Final = """
import asyncio, os
from aiokafka.consumer.group_coordinator import GroupCoordinator
ask = GroupCoordinator._do_fetch_commit_offsets
async def ask_when_it_is_back(self, partitions):
    while not os.path.exists("coordinator-is-back"):
        await asyncio.sleep(0.1)
    return await ask(self, partitions)
GroupCoordinator._do_fetch_commit_offsets = ask_when_it_is_back
"""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    return job


def large_events(count: int) -> Iterator[ShopEvent]:
    """Each of a profile of its own, large, and of no flow."""
    random = Random(7)
    for number in range(count):
        text = b64encode(random.randbytes(LARGE_BYTES)).decode()
        value = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/test",
            "type": "profile.patched",
            "time": "2026-01-01T00:00:00Z",
        }
        yield ShopEvent(
            f"large-{number}".encode(), orjson.dumps(value | {"data": {"unmapped": text}}), 1_767_225_600_000, "patch"
        )


def test_a_rebalance_in_the_middle_of_a_restore_crashes_nobody(job: WholeJob) -> None:
    """A restore once went on in a store that the revocation had closed.

    The crash was a rebalance for whoever restored next.
    """
    job.installation.init(4)
    job.apply()
    job.send(large_events(LARGE_PROFILES))

    with job.worker("other") as other, job.new_worker("restoring") as restoring, job.new_worker("joining") as joining:
        job.wait_until_delivered(SECONDS, other)
        restoring.arm("restoring:1:hold")
        restoring.start()
        wait_until(lambda: "left={" in restoring.said(), "a restore", SECONDS)
        joining.start()
        wait_until(lambda: "because it is rebalancing" in restoring.said(), "a rebalance", SECONDS)
        taken_over = restoring.taken_over()
        restoring.go_on()
        wait_until(lambda: restoring.has_taken_over and joining.has_taken_over, "both to take over", SECONDS)
        job.send(shop_events(200, customers=50))
        job.wait_until_delivered(SECONDS, other, restoring, joining)
        said = restoring.said()
        for worker in (restoring, joining, other):
            worker.stop()

    assert taken_over == 0
    assert "rebalanced_during_takeover" in said
    assert "DB instance already closed" not in said, "a crash where the next assignment comes late"
    require_rows_of_the_fold(
        job, job.replay(), [job.folder(name) / "data" for name in ("restoring", "joining", "other")]
    )


def test_a_spare_worker_stays_in_the_group_quietly_and_takes_over_when_partitions_come(
    job: WholeJob, tmp_path: Path
) -> None:
    """A spare worker once tried its takeover again each second.

    It left the group for ever when it had fetched nothing for a quarter of an hour.
    """
    job.installation.init(1)
    job.apply()
    (tmp_path / "sitecustomize.py").write_text(IDLE_FOR_LONG)

    with job.worker("owner") as owner, job.new_worker("spare") as spare:
        spare.add_to_path(tmp_path)
        spare.start()
        wait_until(lambda: spare.has_taken_over, "a takeover of nothing", SECONDS)
        begun = spare.said().count("asked how long it is idle")
        wait_until(lambda: spare.said().count("asked how long it is idle") >= begun + HEARTBEATS, "heartbeats", SECONDS)
        quiet = spare.taken_over()
        owner.kill()
        wait_until(lambda: spare.taken_over() > quiet, "a takeover", SECONDS)
        job.send(shop_events(100, customers=20))
        job.wait_until_delivered(SECONDS, spare)
        said = spare.said()
        spare.stop()

    assert "takeover_interrupted" not in said
    assert quiet <= 2
    job.require_equal_to_replay()


def test_a_coordinator_that_is_away_for_long_is_waited_for_and_the_wait_is_said(job: WholeJob, tmp_path: Path) -> None:
    """Faust's time-out of the seek once ended recovery in silence.

    The worker stayed in its group, and did nothing ever after.
    """
    job.installation.init(2)
    job.apply()
    (tmp_path / "sitecustomize.py").write_text(COORDINATOR_AWAY)
    job.send(shop_events(100, customers=20))

    with job.new_worker() as worker:
        worker.add_to_path(tmp_path)
        worker.set_variable("BROKER_REQUEST_TIMEOUT", str(FAUSTS_PATIENCE_SECONDS))
        worker.start()
        wait_until(lambda: "still_waiting" in worker.said(), "the wait to be said", SECONDS)
        wait_until(lambda: bool(job.status()["workers"][0]["waiting"]), "the wait in status", SECONDS)
        (waiting,) = job.status()["workers"][0]["waiting"]
        (job.folder("worker") / "coordinator-is-back").touch()
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert waiting["what"] == "the leaders of partitions and the group's coordinator, for offsets to begin at"
    job.require_equal_to_replay()
