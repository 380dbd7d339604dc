"""A destination that is unavailable for longer than memory lasts: its flow waits alone (contract G3, G4)."""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import pytest
import yaml

from processor.demo.endpoint import read_stream
from processor.demo.evidence import exported
from processor.demo.shop import shop_events
from processor.demo.waiting import wait_until
from processor.kafka.reading import read_topic
from tests.faults.kinesis_proxy import Buckets, Do, FaultProxy, Plan, Rule
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

BROKEN: Final = "customer-360"
HEALTHY: Final = ("vip-to-crm", "newsletter")
REFUSED: Final = Plan(rules=(Rule(do=Do.ERROR, status=400, code="AccessDeniedException"),))
LIMITED: Final = Plan(buckets=Buckets(shards=2, records=5))
REJECTING: Final = Plan(rules=(Rule(do=Do.ERROR, status=413, code="RequestEntityTooLargeException"),))
SILENT: Final = Plan(rules=(Rule(do=Do.SILENCE, seconds=10.0),))
SLOW: Final = Plan(rules=(Rule(do=Do.DELAY, seconds=0.1),))
BUFFERED_RECORDS: Final = 300
EVENTS_A_SECOND: Final = 300
SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    alter_topic(installation.settings.kafka_bootstrap_servers, installation.topics.exports, message_timestamp_type="LogAppendTime")
    return WholeJob(installation, kinesis, tmp_path)


@pytest.fixture
def proxy(job: WholeJob) -> Iterator[FaultProxy]:
    """Before the stream of the flow that is to fail."""
    with FaultProxy(job.kinesis) as proxy:
        file = yaml.safe_load(job.text)
        (broken,) = (flow for flow in file["flows"] if flow["id"] == BROKEN)
        broken["destination"]["endpointUrl"] = proxy.url
        job.text = yaml.safe_dump(file, sort_keys=False)
        yield proxy


def status(job: WholeJob) -> dict[str, Any]:
    (found,) = (flow for flow in job.status()["flows"] if flow["id"] == BROKEN)
    return dict(found)


def latencies(job: WholeJob, flow_id: str) -> list[tuple[float, float]]:
    """Of each record of a flow: when it came to `exports`, and how many seconds later its stream had it."""
    settings = job.installation.settings
    (destination,) = (flow.destination for flow in job.configuration.flows if flow.id == flow_id)
    arrivals: dict[tuple[str, bytes], list[float]] = defaultdict(list)
    for record in read_stream(job.kinesis, destination.region, destination.stream):
        arrivals[record.partition_key, record.data].append(record.arrival.timestamp())
    found = []
    for record in read_topic(settings, settings.topics.exports):
        export = exported(record)
        if export.flow_id == flow_id:
            assert record.timestamp is not None
            came = record.timestamp / 1000
            found.append((came, arrivals[export.partition_key, export.value].pop(0) - came))
    return found


@pytest.mark.quiet
def test_g4_a_flow_that_waits_longer_than_memory_lasts_waits_alone_and_then_leaves_in_order(job: WholeJob, proxy: FaultProxy) -> None:
    """Also across kill -9 and a stop in the middle of its pause, and across kill -9 while it catches up."""
    job.create_streams()
    job.apply()
    settings: dict[str, Any] = {
        "max_buffered_records": BUFFERED_RECORDS,
        "park_after_seconds": 1,
        "kinesis_probe_seconds": 1,
        "kinesis_max_records_per_call": 20,  # so that catching up takes a while
    }

    with job.worker(**settings) as worker:
        with flowing(job, shop_events(100_000, customers=300), EVENTS_A_SECOND):
            wait_until(lambda: job.delivered() > 3 * BUFFERED_RECORDS, "deliveries before the pause", SECONDS)
            broken_at = time.time()
            proxy.follow(REFUSED)
            wait_until(lambda: status(job)["waiting"] > 4 * BUFFERED_RECORDS, "more waiting than the buffer holds", SECONDS)
            calm_until = time.time()
        wait_until(lambda: not any(job.lags().values()), "the group's offset, which a parked flow does not hold back", SECONDS)
        paused = status(job)
        worker.kill()
        killed_at = datetime.now(UTC)
        job.start_again(worker)
        wait_until(lambda: status(job)["nextProbe"] is not None, "a probe of the next worker", SECONDS)
        after_the_kill = status(job)
        began = time.monotonic()
        worker.stop()
        stopped_within = time.monotonic() - began
        after_the_stop = status(job)
        job.start_again(worker)
        calls = len(proxy.ledger.calls)
        proxy.follow(SLOW)
        wait_until(lambda: len(proxy.ledger.calls) > calls + 20, "some of what was parked", SECONDS)
        worker.kill()
        is_catching_up = status(job)["waiting"] > 0
        proxy.follow(Plan())
        job.start_again(worker)
        wait_until(lambda: not status(job)["waiting"], "everything that was parked", SECONDS)
        assert status(job)["paused"] == []
        worker.stop()

    for told in (paused, after_the_kill, after_the_stop):
        assert told["paused"] == ["access_denied"]
        assert told["waiting"] > 4 * BUFFERED_RECORDS
        assert told["parked"] > 3 * BUFFERED_RECORDS
        assert told["pausedSince"] == paused["pausedSince"]
        assert told["oldestWaiting"] is not None
    assert stopped_within < STOP_SECONDS
    assert is_catching_up
    job.require_equal_to_replay(killed_at)
    measured = [each for flow_id in HEALTHY for each in latencies(job, flow_id)]
    before = [seconds for came, seconds in measured if came < broken_at]
    during = [seconds for came, seconds in measured if broken_at <= came < calm_until]
    print(f"{HEALTHY}, seconds from exports to its stream: before {spread(before)}, during the pause {spread(during)}")
    assert min(len(before), len(during)) > 100
    assert median(during) < median(before) + 0.2
    assert quantiles(during, n=20)[-1] < quantiles(before, n=20)[-1] + 1.0


def spread(seconds: list[float]) -> str:
    return f"median {median(seconds):.3f}, 95 % {quantiles(seconds, n=20)[-1]:.3f}, of {len(seconds)}"


def test_g4_a_stream_that_is_slow_silent_or_rejects_everything_holds_up_nobody_and_loses_nothing(job: WholeJob, proxy: FaultProxy) -> None:
    """Ten records a second of a thousand; then no answer at all; then 413 for whatever it is sent."""
    job.create_streams()
    job.apply()
    proxy.follow(LIMITED)
    job.send(shop_events(3_000))
    with job.worker(max_buffered_records=BUFFERED_RECORDS, kinesis_probe_seconds=0.5, kinesis_read_timeout_seconds=4.0) as worker:
        wait_until(lambda: not any(job.lags().values()), "the others' delivery", SECONDS)
        slow = status(job)
        proxy.follow(SILENT)
        wait_until(lambda: status(job)["paused"] == ["unreachable"], "a pause for silence", SECONDS)
        parked = worker.said().count("flow_parked")
        proxy.follow(REJECTING)
        wait_until(lambda: status(job)["paused"] == ["destination_unusable"], "a pause for rejections", SECONDS)
        proxy.follow(Plan())
        job.wait_until_delivered(2 * SECONDS, worker)

    assert (slow["paused"], slow["parked"] > 0) == ([], True)
    assert parked <= 4 * job.installation.settings.partitions
    job.require_equal_to_replay()
