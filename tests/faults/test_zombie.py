"""A worker that is frozen longer than its session and wakes up, not knowing that others took over.

The transactional ids fence it: nothing of it reaches `exports` or the changelog, also where the changelog is compacted,
and what is restored from there is the fold.
"""

import shutil
from pathlib import Path
from typing import Final

import pytest

from processor.sandbox.shop import shop_events
from processor.sandbox.streams import ACCESS_KEY_ID
from processor.sandbox.waiting import wait_until
from tests.faults.kinesis_proxy import Do, FaultProxy, Plan, Rule
from tests.kit.crew import crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import is_compacted, require_rows_of_the_fold
from tests.kit.topics import COMPACTED_ALL_THE_TIME, alter_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 200
SESSION_SECONDS: Final = 2


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    return job


@pytest.mark.parametrize(
    "point",
    [
        "rows_acknowledged",
        *(pytest.param(point, marks=pytest.mark.long) for point in ("batch_decided", "exports_sent", "committed")),
    ],
)
def test_a_zombie_is_refused_by_the_broker_and_what_is_restored_is_the_fold(job: WholeJob, point: str) -> None:
    """Frozen inside the durability order; where its transaction is open, it must fail when it goes on."""
    changelog = job.installation.topics.changelog
    alter_topic(job.installation.settings.kafka_bootstrap_servers, changelog, **COMPACTED_ALL_THE_TIME)

    with crew(job, 2, session_timeout_seconds=SESSION_SECONDS) as workers:
        zombie, next_owner = workers.members
        with flowing(job, shop_events(1_000_000, customers=200), EVENTS_A_SECOND):
            workers.start(zombie, fault=f"{point}:20:freeze")
            wait_until(lambda: zombie.is_frozen, "the frost", SECONDS)
            workers.start(next_owner)
            workers.keep(lambda: next_owner.has_taken_over, "the next owner's takeover", SECONDS)
            ends = sum(job.ends().values())
            workers.keep(lambda: job.processed() > ends, "events processed by the next owner", SECONDS)
            before = zombie.taken_over()
            zombie.thaw()
            workers.keep(lambda: zombie.taken_over() > before, "the zombie at work again", SECONDS)
            workers.keep(
                lambda: is_compacted(job), "compaction", SECONDS
            )  # while rows are written: the last segment never is
        workers.keep(job.all_arrived, "delivery", DELIVERY_SECONDS)
        workers.stop()
        for folder in workers.folders:
            shutil.rmtree(folder)
        job.send(shop_events(300, customers=200, seed=8))
        workers.start()
        workers.keep(job.all_arrived, "delivery", DELIVERY_SECONDS)
        workers.stop()
        if point in ("exports_sent", "rows_acknowledged"):
            assert workers.deaths.keys() == {
                "failed"
            }  # once, unless its next owner misses a session of two seconds too
            assert "ProducerFenced" in zombie.said()
    replayed = job.require_equal_to_replay(workers.started_at)
    require_rows_of_the_fold(job, replayed, workers.folders)


def test_g3_a_worker_that_was_frozen_sends_nothing_of_what_others_deliver_by_now(job: WholeJob, kinesis: str) -> None:
    """Kinesis cannot fence it. Its buffer is full when it wakes up, and its next owner has delivered most of that."""
    slow = Plan(rules=(Rule(do=Do.DELAY, seconds=0.05),))
    with (
        FaultProxy(kinesis, slow) as proxy,
        crew(job, 2, session_timeout_seconds=SESSION_SECONDS, kinesis_max_records_per_call=10) as workers,
    ):
        job.text = job.text.replace(kinesis, proxy.url)
        job.apply()
        job.send(shop_events(3_000, customers=400))
        zombie, next_owner = workers.members
        zombie.sign_with("zombie")

        workers.start(zombie)
        workers.keep(lambda: sent_by("zombie", proxy) > 20, "deliveries", SECONDS)
        zombie.freeze()
        workers.start(next_owner)
        workers.keep(
            lambda: next_owner.has_taken_over and sent_by(ACCESS_KEY_ID, proxy) > 40,
            "the next owner's deliveries",
            SECONDS,
        )
        before, calls = zombie.taken_over(), len(proxy.ledger.calls)
        zombie.thaw()
        workers.keep(lambda: zombie.taken_over() > before, "the zombie at work again", SECONDS)
        workers.keep(job.all_arrived, "delivery", DELIVERY_SECONDS)
        workers.stop()

    assert "delivery_fenced" in zombie.said()
    told = [
        repeat for repeat in proxy.ledger.repeats() if repeat.again.number > calls and repeat.again.producer == "zombie"
    ]
    assert [repeat for repeat in told if repeat.before.producer != "zombie"] == []
    job.require_equal_to_replay(workers.started_at)


def sent_by(producer: str, proxy: FaultProxy) -> int:
    """Calls; those with the keys that a flow names are nobody's."""
    return sum(call.producer == producer for call in proxy.ledger.calls)
