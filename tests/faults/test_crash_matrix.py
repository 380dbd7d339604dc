"""Workers killed at every step of the durability order, and at random (contract D3, G1, G3, I5).

After each run: exports are exactly replay's, none twice, in order per profile and flow; streams hold the same, and only
the same records again; the rows of the changelog and of RocksDB are the fold.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest

from processor.foundation.fault_points import FAULT_POINTS
from processor.sandbox.shop import shop_events
from tests.kit.crew import Crew, crew
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.load import flowing
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 100
MOST_SECONDS_BETWEEN: Final = 3.0
AWAY_SECONDS: Final = 30.0

CHAINS: Final = (
    (
        "batch_decided:2",
        "exports_sent:2",
        "rows_acknowledged:3",
        "committed:2",
        "restoring:1",  # there is something to restore: the last life ended between log and disk
        "restored:1",
        "progress_noted:9",  # two or four of them are of the takeover
    ),
    (
        "transaction_begun:3",
        "rows_sent:3",
        "rows_acknowledged:3:3",  # some milliseconds into the commit
        "rows_acknowledged:2:8",
        "fenced:1",
        "rows_applied:3",
        "delivery_noted:2",
    ),
)
"""Of two workers side by side: one life after the other, each armed with the next fault."""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    return ready(WholeJob(installation, kinesis, tmp_path))


@pytest.fixture
def own_job(own_kafka: RealKafka, kinesis: str, tmp_path: Path) -> WholeJob:
    return ready(WholeJob(Installation(own_kafka.bootstrap_servers, tmp_path / "data"), kinesis, tmp_path))


def ready(job: WholeJob) -> WholeJob:
    job.installation.init(4)
    job.create_streams()
    job.apply()
    return job


class Moments:
    """Random blows to a crew and its broker: the same dice give the same blows (their effects differ)."""

    def __init__(self, workers: Crew, broker: RealKafka, dice: Random) -> None:
        self._workers, self._broker, self._dice = workers, broker, dice
        self.broker_restarts = self.broker_outages = 0

    def next(self) -> None:
        """Wait a while, then kill somebody, or let somebody come or go, or end the broker and start it again."""
        moment = time.monotonic() + self._dice.uniform(0, MOST_SECONDS_BETWEEN)
        self._workers.keep(lambda: time.monotonic() >= moment, "the moment", SECONDS)
        blows = (self._kill, self._kill_twice, self._join_or_leave, self._restart_broker, self._lose_broker)
        (happen,) = self._dice.choices(blows, (24, 32, 16, 8, 4))
        happen()
        if self._dice.random() < 0.7:
            self._see_progress()

    def _see_progress(self) -> None:
        job, workers = self._workers.job, self._workers
        before = job.processed()
        workers.keep(lambda: job.processed() > before, "progress", SECONDS)

    def _kill(self) -> None:
        self._workers.kill(self._dice.choice(self._workers.members))

    def _kill_twice(self) -> None:
        """Kill a member, and let it die at a step of its next life."""
        fault = f"{self._dice.choice(FAULT_POINTS)}:{self._dice.randint(1, 9)}:{self._dice.choice((0, 0, 2, 5, 20))}"
        self._workers.kill(self._dice.choice(self._workers.members), fault=fault)

    def _join_or_leave(self) -> None:
        self._workers.join_or_leave(self._workers.members[-1])

    def _lose_broker(self) -> None:
        self.broker_outages += 1
        self._broker.pause()
        back_at = time.monotonic() + AWAY_SECONDS
        self._workers.keep(lambda: time.monotonic() >= back_at, "the end of the outage", SECONDS)
        self._broker.resume()

    def _restart_broker(self) -> None:
        self.broker_restarts += 1
        if self._dice.random() < 0.5:
            self._broker.kill()
        self._broker.restart()


def kill_at_random(job: WholeJob, broker: RealKafka, *, kills: int, seed: int) -> Crew:
    """A crew of three that works through so many kills; everything is delivered when it returns, and nobody works."""
    with crew(job, 3, session_timeout_seconds=2) as workers:
        moments = Moments(workers, broker, Random(seed))
        workers.start(*workers.members[:2])
        with flowing(job, shop_events(1_000_000, customers=300, seed=seed), EVENTS_A_SECOND):
            workers.keep(lambda: job.delivered() > 0, "the first deliveries", SECONDS)
            while workers.kills < kills:
                moments.next()
        workers.keep(job.all_arrived, "delivery", DELIVERY_SECONDS)
        workers.stop()
    broker_ends = f"{moments.broker_restarts} restarts and {moments.broker_outages} outages of the broker"
    print(f"seed {seed}: {workers.kills} kills, {broker_ends}; {dict(workers.deaths)}")
    return workers


def require_all_well(workers: Crew, *, has_transactions: bool = True) -> None:
    """Nothing lost, nothing twice (with transactions), nothing else; and what was kept is the fold."""
    job = workers.job
    replayed = job.require_equal_to_replay(workers.started_at, has_transactions=has_transactions)
    require_rows_of_the_fold(job, replayed, workers.folders)


def go_through(job: WholeJob, chains: Sequence[Sequence[str]], **settings: object) -> Crew:
    """Everything is delivered when it returns, and nobody works.

    Static members keep their partitions from one life to the next.
    """
    with crew(job, len(chains), static_membership=True, session_timeout_seconds=20, **settings) as workers:
        with flowing(job, shop_events(1_000_000, customers=300), EVENTS_A_SECOND):
            workers.go_through(dict(zip(workers.members, chains, strict=True)), SECONDS)
        workers.start()
        workers.keep(job.all_arrived, "delivery", DELIVERY_SECONDS)
        workers.stop()
    print(f"{workers.kills} kills: {dict(workers.deaths)}")
    return workers


def test_a_worker_killed_at_any_step_loses_nothing_and_exports_nothing_twice(job: WholeJob) -> None:
    workers = go_through(job, CHAINS)

    assert {fault.partition(":")[0] for fault in workers.deaths} - {"failed"} == set(FAULT_POINTS)
    require_all_well(workers)


@pytest.mark.long
def test_without_transactions_nothing_is_lost_and_what_comes_again_is_the_same(job: WholeJob) -> None:
    """`at_least_once`; there is no transaction to be killed in."""
    chains = [
        [fault for fault in chain if not fault.startswith(("transaction_begun", "rows_acknowledged"))]
        for chain in CHAINS
    ]

    workers = go_through(job, chains, processing_guarantee="at_least_once")

    require_all_well(workers, has_transactions=False)


@pytest.mark.long
def test_workers_that_die_come_and_go_at_random_lose_nothing_and_export_nothing_twice(
    own_job: WholeJob, own_kafka: RealKafka
) -> None:
    workers = kill_at_random(own_job, own_kafka, kills=5, seed=3)

    require_all_well(workers)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_a_hundred_kills_at_random_lose_nothing_and_export_nothing_twice(
    own_job: WholeJob, own_kafka: RealKafka, seed: int
) -> None:
    """Each seed kills twenty-five times."""
    workers = kill_at_random(own_job, own_kafka, kills=25, seed=seed)

    require_all_well(workers)
