"""Tests of real workers that are killed while Kinesis fails by plan (G1, G3, G4).

What arrived is what replay sends. Nothing came again but after a response that left a doubt, or after the death of the
worker that heard it.

The same with sinks alone, faster and with more plans: test_kinesis_faults.py. By hand, with other seeds (22 s each):

    SEEDS=7-9 python -m pytest tests/faults/test_workers_and_kinesis_faults.py -m long -s
"""

from pathlib import Path
from random import Random
from typing import Final

import pytest
import yaml

from processor.sandbox.shop import shop_events
from tests.faults.kinesis_proxy import Do, FaultProxy, Ledger, Plan, Rule, chaos
from tests.faults.seeds import seeds
from tests.kit.crew import Crew, crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KitWorker

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 200
KILLS: Final = 3
CALLS_BETWEEN: Final = (20, 50)
READ_TIMEOUT_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 1.0  # an answer after that may have come too late for its producer
SETTINGS: Final = {
    "kinesis_read_timeout_seconds": READ_TIMEOUT_SECONDS,
    "kinesis_probe_seconds": 0.3,
    "kinesis_max_records_per_call": 20,  # more calls, more faults
    "static_membership": True,  # whoever comes back has its partitions at once
    "session_timeout_seconds": 20,
}


def plan(seed: int) -> Plan:
    """Chaos, and something that leaves a doubt for certain."""
    made = chaos(seed, late_seconds=READ_TIMEOUT_SECONDS + 0.5, unwanted=False)
    return made.model_copy(update={"rules": (Rule(do=Do.DROP, applied=True, every=15), *made.rules)})


def told_apart(text: str) -> str:
    """Return the flows so that no two records are equal, and that who sent them is who signed.

    The ledger knows records by their bytes.
    """
    contents = yaml.safe_load(text)
    for flow in contents["flows"]:
        flow.setdefault("options", {})["envelope"] = "cloudevents"
        flow["destination"]["credentials"] = {"type": "default"}
    return yaml.safe_dump(contents)


class Lives:
    """Each life of a worker signs with a key of its own; `ended` are the keys of those that were killed."""

    def __init__(self, workers: Crew) -> None:
        self._workers = workers
        self._keys: dict[KitWorker, str] = {}
        self.ended: set[str] = set()
        for worker in workers.members:
            self._give_key(worker)

    def end(self, worker: KitWorker) -> None:
        """Kill it, and let it come back."""
        self.ended.add(self._keys[worker])
        self._give_key(worker)
        self._workers.kill(worker)

    def _give_key(self, worker: KitWorker) -> None:
        self._keys[worker] = f"WORKER{self._workers.members.index(worker)}LIFE{len(self.ended)}"
        worker.sign_with(self._keys[worker])


def kill_in_chaos(installation: Installation, kinesis: str, folder: Path, seed: int) -> None:
    dice = Random(seed)
    installation.init(4)
    with FaultProxy(kinesis) as proxy:
        job = WholeJob(installation, proxy.url, folder)
        job.text = told_apart(job.text)
        job.create_streams()
        job.apply()
        proxy.follow(plan(seed))

        with crew(job, 2, **SETTINGS) as workers:
            lives = Lives(workers)
            workers.start()
            workers.keep(lambda: all(worker.has_taken_over for worker in workers.members), "takeovers", SECONDS)
            with flowing(job, shop_events(1_000_000, customers=200, seed=seed), EVENTS_A_SECOND):
                for _ in range(KILLS):
                    wait_for_calls(workers, proxy, len(proxy.ledger.calls) + dice.randint(*CALLS_BETWEEN))
                    lives.end(dice.choice(workers.members))
                wait_for_calls(workers, proxy, len(proxy.ledger.calls) + CALLS_BETWEEN[0])
            workers.keep(job.all_arrived, f"delivery, by now {dict(proxy.ledger.faults())}", DELIVERY_SECONDS)
            workers.stop()
        proxy.wait_until_quiet(SECONDS)

        assert workers.deaths == {"killed": KILLS}, "a worker ended by itself"
        job.require_equal_to_replay(workers.started_at)
        told = require_repeats_explained(proxy.ledger, lives.ended)
    print(
        f"seed {seed}: {len(proxy.ledger.calls)} calls, {dict(proxy.ledger.faults())}; deaths brought {told} of the"
        " records that came again"
    )


def wait_for_calls(workers: Crew, proxy: FaultProxy, count: int) -> None:
    workers.keep(lambda: len(proxy.ledger.calls) >= count, f"call {count}, by now {len(proxy.ledger.calls)}", SECONDS)


def require_repeats_explained(ledger: Ledger, ended: set[str]) -> int:
    """Require every repeat to be explained; return how many are explained by a death alone."""
    repeats = list(ledger.repeats(SLOW_SECONDS))
    told = [repeat for repeat in repeats if repeat.because is None]
    unexplained = [
        repeat
        for repeat in told
        if repeat.before.producer not in ended or repeat.again.producer == repeat.before.producer
    ]
    places = [
        (repeat.record, *((call.number, call.producer) for call in (repeat.before, repeat.again)))
        for repeat in unexplained
    ]
    assert places == [], f"repeated without a doubt; these had died: {ended}"
    assert "drop" in {repeat.because for repeat in repeats}, "no answer left a doubt: the test proves little"
    return len(told)


def test_g1_g3_g4_workers_killed_while_kinesis_fails_deliver_what_replay_sends(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    kill_in_chaos(installation, kinesis, tmp_path, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", seeds("10-19"))
def test_the_same_for_more_seeds(installation: Installation, kinesis: str, tmp_path: Path, seed: int) -> None:
    kill_in_chaos(installation, kinesis, tmp_path, seed)
