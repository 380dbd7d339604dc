"""Real workers on a real Kafka, killed while Kinesis fails by plan (G1, G3, G4; issue 5): what arrived is what replay sends, and nothing came
again without a doubt. The same with sinks alone, faster and with more plans: test_kinesis_faults.py. By hand, with other seeds:

    SEEDS=7-9 python -m pytest tests/faults/test_workers_and_kinesis_faults.py -m long -s
"""

import os
from pathlib import Path
from random import Random
from typing import Final

import pytest
import yaml

from processor.demo.shop import shop_events
from tests.faults.kinesis_proxy import Do, FaultProxy, Plan, Rule, chaos
from tests.kit.crew import Crew, crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.whole_job import WholeJob

SECONDS: Final = 60.0
DELIVERY_SECONDS: Final = 120.0
EVENTS_A_SECOND: Final = 200
KILLS: Final = 3
CALLS_BETWEEN: Final = 40
READ_TIMEOUT_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 1.0  # an answer after that may have come too late for its producer
SETTINGS: Final = {
    "kinesis_read_timeout_seconds": READ_TIMEOUT_SECONDS,
    "kinesis_probe_seconds": 0.3,
    "kinesis_max_records_per_call": 20,  # more calls, more faults
    "static_membership": True,  # a worker that comes back has its partitions again: what it sends again, it or its death explains
    "session_timeout_seconds": 20,
}
FIRST, LAST = map(int, os.environ.get("SEEDS", "10-19").split("-"))


def plan(seed: int) -> Plan:
    """Chaos, and something that left a doubt for certain."""
    made = chaos(seed, late_seconds=READ_TIMEOUT_SECONDS + 0.5, poison=False)
    return made.model_copy(update={"rules": (Rule(do=Do.DROP, applied=True, every=25), *made.rules)})


def kill_in_chaos(installation: Installation, kinesis: str, folder: Path, seed: int) -> None:
    dice = Random(seed)
    installation.init(4)
    with FaultProxy(kinesis) as proxy:
        job = WholeJob(installation, proxy.url, folder)
        job.text = with_envelopes(job.text)  # so that no two records of a stream are equal
        job.create_streams()
        job.apply()
        proxy.follow(plan(seed))
        calls, killed_after = proxy.ledger.calls, []

        with crew(job, 2, **SETTINGS) as workers:
            workers.start()
            with flowing(job, shop_events(1_000_000, customers=200, seed=seed), EVENTS_A_SECOND):
                for _ in range(KILLS):
                    wait_for_calls(workers, proxy, len(calls) + dice.randint(1, CALLS_BETWEEN))
                    workers.kill(dice.choice(workers.members))
                    killed_after.append(len(calls))
            workers.keep(lambda: not any(job.lags().values()), f"delivery, by now {dict(proxy.ledger.faults())}", DELIVERY_SECONDS)
            workers.stop()
        proxy.wait_until_quiet(SECONDS)

        job.require_equal_to_replay(workers.started_at)
        repeats = list(proxy.ledger.repeats(SLOW_SECONDS))
        told = [repeat for repeat in repeats if repeat.because is None]
        unexplained = [repeat for repeat in told if not any(repeat.before.number <= kill < repeat.again.number for kill in killed_after)]
        assert [(repeat.record, repeat.before.number, repeat.again.number) for repeat in unexplained] == [], f"killed after {killed_after}"
        assert "drop" in {repeat.because for repeat in repeats}
    died = f"{len(told)} of them by {dict(workers.deaths)}"
    print(f"seed {seed}: {len(calls)} calls, {dict(proxy.ledger.faults())}, {len(repeats)} records came again, {died}")


def with_envelopes(text: str) -> str:
    """The configuration with `envelope: cloudevents` (D2) in every flow."""
    document = yaml.safe_load(text)
    for flow in document["flows"]:
        flow["options"] = {**flow.get("options", {}), "envelope": "cloudevents"}
    return yaml.safe_dump(document)


def wait_for_calls(workers: Crew, proxy: FaultProxy, count: int) -> None:
    workers.keep(lambda: len(proxy.ledger.calls) >= count, f"call {count}", SECONDS)


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_while_kinesis_fails_deliver_what_replay_sends(installation: Installation, kinesis: str, tmp_path: Path, seed: int) -> None:
    kill_in_chaos(installation, kinesis, tmp_path, seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(FIRST, LAST + 1))
def test_the_same_for_more_seeds(installation: Installation, kinesis: str, tmp_path: Path, seed: int) -> None:
    kill_in_chaos(installation, kinesis, tmp_path, seed)
