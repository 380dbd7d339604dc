"""A supervisor and its processes struck at random: one of them killed, all at once, stopped, changed in number.

After each run: exports are exactly replay's, none twice, in order per profile and flow; streams hold the same, and only
the same records again; the rows of the changelog are the fold, and so are those of some directory.
"""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import pytest

from processor.foundation.fault_points import FAULT_POINTS
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from tests.faults.seeds import seeds
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.supervised import SupervisedWorkers
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 100
MOST_SECONDS_BETWEEN: Final = 3.0
MOST_PROCESSES: Final = 3
BLOWS: Final = 20
OF_A_TAKEOVER: Final = ("fenced", "restoring", "restored")
STEPS: Final = [
    "fenced:1",
    *(f"{point}:{passing}" for point in FAULT_POINTS if point not in OF_A_TAKEOVER for passing in (3, 9)),
]
"""Where a process dies soon, in each of its lives."""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


class Blows:
    """Random blows to a supervisor that runs: the same dice give the same blows (their effects differ)."""

    def __init__(self, workers: SupervisedWorkers, dice: Random) -> None:
        self._workers, self._dice = workers, dice
        self.struck: Counter[str] = Counter()

    def next(self) -> None:
        """Wait a while, then strike."""
        time.sleep(self._dice.uniform(0, MOST_SECONDS_BETWEEN))
        blows = (self._kill_process, self._kill_supervisor, self._kill_all, self._stop, self._crash_loop)
        (strike,) = self._dice.choices(blows, (8, 4, 3, 3, 2))
        self.struck[strike.__name__.strip("_")] += 1
        strike()

    def _kill_process(self) -> None:
        """The supervisor starts it again; where there is none, the test does."""
        process = self._dice.randint(1, self._workers.processes)
        if self._workers.processes == 1:
            self._workers.kill()
            self._start(1)
        elif self._workers.pids(process):
            self._workers.kill_process(process)

    def _kill_supervisor(self) -> None:
        """Its processes stop in order while the next ones begin."""
        self._workers.kill()
        self._start(self._dice.randint(1, MOST_PROCESSES))

    def _kill_all(self) -> None:
        self._workers.kill_all_at_once()
        self._start(self._dice.randint(1, MOST_PROCESSES))

    def _stop(self) -> None:
        self._stop_in_order()
        self._start(self._dice.randint(1, MOST_PROCESSES))

    def _crash_loop(self) -> None:
        """Every process dies at a step of the durability order, each time that it is started again."""
        self._stop_in_order()
        self._workers.arm(self._dice.choice(STEPS))
        self._start(self._dice.randint(2, MOST_PROCESSES))
        wait_until(lambda: len(self._workers.events("process_starts_again")) >= 3, "three deaths", SECONDS)
        self._workers.arm(None)
        self._workers.kill_all_at_once()
        self._start(self._dice.randint(1, MOST_PROCESSES))

    def _stop_in_order(self) -> None:
        self._workers.wait_until_begun()
        self._workers.stop()

    def _start(self, processes: int) -> None:
        self._workers.set_count(processes)
        self._workers.start()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", seeds("1-3"))
def test_a_supervisor_and_processes_struck_at_random_lose_nothing_and_export_nothing_twice(
    job: WholeJob, seed: int
) -> None:
    began_at, dice = datetime.now(UTC), Random(seed)
    with SupervisedWorkers(job, "machine", 2, session_timeout_seconds=2) as workers:
        blows = Blows(workers, dice)
        with flowing(job, shop_events(10**6, customers=300, seed=seed), EVENTS_A_SECOND):
            workers.start_and_take_over()
            for _ in range(BLOWS):
                blows.next()
                if dice.random() < 0.7:
                    see_progress(job)
        job.wait_until_delivered(SECONDS, workers)
        workers.stop()
    print(f"seed {seed}: {dict(blows.struck)}")

    replayed = job.require_equal_to_replay(began_at)
    require_rows_of_the_fold(job, replayed, workers.data_folders)


def see_progress(job: WholeJob) -> None:
    before = job.processed()
    wait_until(lambda: job.processed() > before, "progress", SECONDS)
