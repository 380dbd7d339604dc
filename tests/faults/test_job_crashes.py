"""Tests of jobs and expiry by workers that are killed while flows change and Kinesis fails.

Contract E1, E2, F1, F2, F5, D3, G1.

The other flows' records are exactly replay's. Of the flow that changes: no id twice, no record after one made from a
newer state, every job's record is what its profile was at that offset, and whoever is a member at the end is known to
be one. The streams hold what `exports` does. By hand, with other seeds (80 s each):

    SEEDS=9-12 python -m pytest tests/faults/test_job_crashes.py -m long -s
"""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest
import yaml

from processor.core.catalog import Catalog
from processor.foundation.fault_points import FAULT_POINTS
from processor.kafka.reading import read_topic
from processor.sandbox.shop import Kind, ShopEvent, shop_events
from schemas.kafka import ReadRecord
from schemas.times import format_time
from tests.faults.job_evidence import (
    AUDIENCES,
    CHANGING,
    require_members_known,
    require_no_marks,
    require_order_and_once,
    require_others_equal_to_replay,
    require_streams_hold_exports,
    require_what_jobs_sent,
    running_jobs,
)
from tests.faults.kinesis_proxy import FaultProxy, chaos
from tests.faults.seeds import seeds
from tests.kit.crew import Crew, crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.replayed import catalog_in_force
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
PARTITIONS: Final = 4
EVENTS_A_SECOND: Final = 100
CHANGES: Final = 5
READ_TIMEOUT_SECONDS: Final = 2.0
SETTINGS: Final = {
    "job_records_per_second": 400,
    "kinesis_read_timeout_seconds": READ_TIMEOUT_SECONDS,
    "kinesis_probe_seconds": 0.3,
    "kinesis_max_records_per_call": 50,  # more calls, more faults
}
MEMBERSHIPS: Final = ({"static_membership": True, "session_timeout_seconds": 20}, {"session_timeout_seconds": 6})
"""Who comes back has its partitions at once; or, of every other seed, the others have had them meanwhile."""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(PARTITIONS)
    return WholeJob(installation, kinesis, tmp_path)


class Changes:
    """Random changes of a flow: mapped, unmapped, disabled, enabled, deleted.

    `catalogs` are all that were in force.
    """

    def __init__(self, job: WholeJob, dice: Random) -> None:
        self._job, self._dice = job, dice
        self._file: dict[str, Any] = yaml.safe_load(job.text)
        like = self._file["flows"][0]
        stream = f"{CHANGING}-{job.installation.settings.app_id}"
        self._flow = like | {
            "id": CHANGING,
            "name": CHANGING,
            "attributes": ["homeAddress.city", "_shop.visits"],
            "options": {},
        }
        self._flow["destination"] = like["destination"] | {"stream": stream}
        self._flow["audiences"] = []
        self.catalogs: list[Catalog] = []

    def next(self) -> None:
        kind = self._dice.choice(("map", "map", "state", "state", "delete"))
        flow = None if kind == "delete" else self._flow
        if kind == "map":
            mapped = self._dice.sample(AUDIENCES, self._dice.randint(1, 3))
            self._flow["audiences"] = [{"namespace": "ups", "id": audience} for audience in mapped]
        elif kind == "state":
            self._flow["state"] = "disabled" if self._flow.get("state") != "disabled" else "enabled"
        self._put(flow)

    def last(self) -> None:
        """Put the flow into force with everything, enabled."""
        self._flow |= {
            "state": "enabled",
            "audiences": [{"namespace": "ups", "id": audience} for audience in AUDIENCES],
        }
        self._put(self._flow)

    def _put(self, flow: dict[str, Any] | None) -> None:
        file = self._file | {"flows": [*self._file["flows"], *([flow] if flow else [])]}
        self._job.text = yaml.safe_dump(file, sort_keys=False)
        self._job.create_streams()
        self._job.apply("--prune")
        self.catalogs.append(catalog_in_force(self._job.installation.settings))


class Moments:
    """Random blows to a crew of three while flows change: kills, at some step too.

    A third member comes and goes.
    """

    def __init__(self, workers: Crew, dice: Random) -> None:
        self._workers, self._dice = workers, dice

    def next(self) -> None:
        workers, dice = self._workers, self._dice
        moment = time.monotonic() + dice.uniform(0, 1.5)
        workers.keep(lambda: time.monotonic() >= moment, "the next kill", SECONDS)
        *first, third = workers.members
        if dice.random() < 0.5:
            workers.join_or_leave(third)
        fault = f"{dice.choice(FAULT_POINTS)}:{dice.randint(1, 6)}" if dice.random() < 0.6 else None
        workers.kill(dice.choice(first), fault=fault)


def change_in_chaos(installation: Installation, kinesis: str, folder: Path, seed: int) -> None:
    """Workers die, come and go while a flow changes, events flow and Kinesis fails."""
    dice = Random(seed)
    with FaultProxy(kinesis) as proxy:
        installation.init(PARTITIONS)
        job = WholeJob(installation, proxy.url, folder)
        job.create_streams()
        before = job.apply()
        events = shop_events(1_000_000, customers=600, seed=seed)
        job.send(islice(events, 2_000))
        changes = Changes(job, dice)

        with crew(job, 3, **SETTINGS, **MEMBERSHIPS[seed % 2]) as workers:
            workers.start(*workers.members[:2])
            workers.keep(lambda: not any(job.lags().values()), "the history", SECONDS)
            proxy.follow(chaos(seed, READ_TIMEOUT_SECONDS + 0.5, unwanted=False))
            moments = Moments(workers, dice)
            with flowing(job, events, EVENTS_A_SECOND):
                for _ in range(CHANGES):
                    changes.next()
                    moments.next()
                changes.last()
            workers.keep(lambda: not running_jobs(job), "the end of all jobs", SECONDS)
            workers.keep(job.all_arrived, f"delivery, by now {dict(proxy.ledger.faults())}", SECONDS)
            workers.stop()
        proxy.wait_until_quiet(SECONDS)

        assert workers.kills >= 3
        assert proxy.ledger.faults(), "Kinesis did not fail: the test proves little"
        require_others_equal_to_replay(job, before)
        require_order_and_once(job)
        sent = require_what_jobs_sent(job, changes.catalogs)
        assert sent
        require_members_known(job)
        require_no_marks(job, workers)
        require_streams_hold_exports(job)
    print(
        f"seed {seed}: {dict(workers.deaths)}; {len(proxy.ledger.calls)} calls, {dict(proxy.ledger.faults())}; {sent}"
        " records of jobs"
    )


def test_jobs_send_each_profile_once_and_nothing_older_whoever_dies_or_fails(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    change_in_chaos(installation, kinesis, tmp_path, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", seeds("2-8"))
def test_the_same_for_more_seeds(installation: Installation, kinesis: str, tmp_path: Path, seed: int) -> None:
    change_in_chaos(installation, kinesis, tmp_path, seed)


def ending(count: int, at: int) -> Iterator[ShopEvent]:
    """Profiles whose memberships end at a moment, in seconds since 1970."""
    for number in range(count):
        entry = {
            "status": "realized",
            "lastQualificationTime": format_time(at - 60),
            "validUntil": format_time(at + number % 3),
        }
        data = {"segmentMembership": {"ups": {"vip-customers": entry}}}
        event = {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": "/t",
            "type": "profile.patched",
            "time": format_time(at - 60),
            "data": data,
        }
        yield shop_event(f"ending-{number:04}", event, at)


def shop_event(key: str, event: dict[str, Any], at: int) -> ShopEvent:
    return ShopEvent(key.encode(), orjson.dumps(event), (at - 60) * 1000, Kind.QUALIFIED)


@pytest.mark.quiet
def test_f5_memberships_end_within_a_minute_and_once_whoever_is_killed(job: WholeJob) -> None:
    job.create_streams()
    catalog = job.apply()
    at, count = int(time.time()) + 6, 300
    job.send(ending(count, at))
    job.installation.change(membership_expiry=True)
    settings = job.installation.settings

    with crew(job, 2, static_membership=True, session_timeout_seconds=20) as workers:
        workers.start(workers.members[0], fault="transaction_begun:4")
        workers.start(workers.members[1], fault="rows_acknowledged:5")
        workers.keep(lambda: len(expiries(job)) >= count, "the ends", SECONDS)
        ended_after = time.time() - at
        workers.keep(job.all_arrived, "delivery", SECONDS)
        workers.stop()

    ids = [orjson.loads(record.value or b"{}")["id"] for record in expiries(job)]
    assert sorted(ids) == sorted(f"expiry-ending-{number:04}-{format_time(at + number % 3)}" for number in range(count))
    assert ended_after < 60
    replayed = job.require_equal_to_replay(workers.started_at, catalog_of=lambda _: catalog)
    assert {entry[0] for profile in replayed.profiles.values() for entry in profile.memberships["ups"].values()} == {
        "e"
    }
    assert settings.membership_expiry


def expiries(job: WholeJob) -> list[ReadRecord]:
    settings = job.installation.settings
    return [
        record
        for record in read_topic(settings, settings.topics.profile_events)
        if b'"membership.expired"' in (record.value or b"")
    ]
