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

from processor.kafka.reading import read_topic
from processor.sandbox.shop import shop_events
from processor.sandbox.streams import read_stream
from processor.sandbox.waiting import wait_until
from processor.verify.evidence import exported, read_evidence
from processor.worker.adapters.parked_rows import parked_flows
from tests.faults.kinesis_proxy import Buckets, Do, FaultProxy, Plan, Rule
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

BROKEN: Final = "customer-360"
HEALTHY: Final = ("vip-to-crm", "newsletter")
REFUSED: Final = Plan(rules=(Rule(do=Do.ERROR, status=400, code="AccessDeniedException"),))
REJECTING: Final = Plan(rules=(Rule(do=Do.ERROR, status=413, code="RequestEntityTooLargeException"),))
SILENT: Final = Plan(rules=(Rule(do=Do.SILENCE, seconds=10.0),))
TRICKLING: Final = Plan(buckets=Buckets(shards=2, records=1))
SLOW: Final = Plan(rules=(Rule(do=Do.DELAY, seconds=0.1),))
BUFFERED_RECORDS: Final = 300
EVENTS_A_SECOND: Final = 300
SECONDS: Final = 240.0
STOP_SECONDS: Final = 10.0
NEW_ROWS_ARE_HELD: Final = '''
"""A broker that takes no row of a flow that is parked anew while a file says so; rows of earlier stays it takes."""
import asyncio, os, sys
from aiokafka import AIOKafkaProducer
send, known = AIOKafkaProducer.send, set()
async def send_unless_held(self, topic, value=None, key=None, **rest):
    if topic.endswith("delivery-positions") and value is not None and key not in known:
        if os.path.exists("new-rows-are-held"):
            print("a new row is held", file=sys.stderr, flush=True)
        while os.path.exists("new-rows-are-held"):
            await asyncio.sleep(0.1)
        known.add(key)
    return await send(self, topic, value, key, **rest)
AIOKafkaProducer.send = send_unless_held
'''


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    alter_topic(
        installation.settings.kafka_bootstrap_servers,
        installation.topics.exports,
        message_timestamp_type="LogAppendTime",
    )
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
    """Return of each record of a flow when it came to `exports`, and how many seconds later its stream had it."""
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
def test_g4_a_flow_that_waits_longer_than_memory_lasts_waits_alone_and_then_leaves_in_order(
    job: WholeJob, proxy: FaultProxy
) -> None:
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
            wait_until(
                lambda: status(job)["waiting"] > 4 * BUFFERED_RECORDS, "more waiting than the buffer holds", SECONDS
            )
            calm_until = time.time()
        wait_until(
            lambda: not any(job.lags().values()), "the group's offset, which a parked flow does not hold back", SECONDS
        )
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


def test_g4_a_stream_that_is_slow_silent_or_rejects_everything_holds_up_nobody_and_loses_nothing(
    job: WholeJob, proxy: FaultProxy
) -> None:
    """Two records a second of a thousand; then no answer at all; then 413 for whatever it is sent.

    One rejection pauses the flow: with more, what few profiles have is rightly dead-lettered before the pause.
    """
    job.create_streams()
    job.apply()
    proxy.follow(TRICKLING)
    job.send(shop_events(3_000))
    with job.worker(
        max_buffered_records=BUFFERED_RECORDS,
        kinesis_probe_seconds=0.5,
        kinesis_read_timeout_seconds=4.0,
        kinesis_max_rejections_in_a_row=1,
    ) as worker:
        wait_until(lambda: status(job)["parked"] > 0, "the slow flow to wait beside the group", SECONDS)
        slow = status(job)
        wait_until(lambda: not any(job.lags().values()), "the others' delivery", SECONDS)
        proxy.follow(SILENT)
        wait_until(lambda: status(job)["paused"] == ["unreachable"], "a pause for silence", SECONDS)
        parked = worker.said().count("flow_parked")
        proxy.follow(REJECTING)
        wait_until(lambda: status(job)["paused"] == ["destination_unusable"], "a pause for rejections", SECONDS)
        proxy.follow(Plan())
        job.wait_until_delivered(2 * SECONDS, worker)

    assert slow["paused"] == []
    assert parked <= 4 * job.installation.settings.partitions
    job.require_equal_to_replay()


def healthy_have_all(job: WholeJob) -> bool:
    """Return whether the streams that work have everything that `exports` has for them."""
    evidence = read_evidence(job.installation.settings, job.configuration.flows, job.kinesis)
    return all(
        len(evidence.streams[flow]) >= sum(each.flow_id == flow for each in evidence.exports) for flow in HEALTHY
    )


def test_g1_a_flow_that_relapses_right_after_it_caught_up_loses_nothing_when_a_kill_comes_before_its_new_row(
    job: WholeJob, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Records that came in between were once passed.

    The only durable row gave the flow back to the group's offset.
    """
    job.create_streams()
    job.apply()
    (tmp_path / "sitecustomize.py").write_text(NEW_ROWS_ARE_HELD)
    events = list(shop_events(900))
    proxy.follow(REFUSED)
    job.send(events[:600])
    settings = job.installation.settings

    with job.new_worker(park_after_seconds=1, kinesis_probe_seconds=0.5) as worker:
        hold = job.folder("worker") / "new-rows-are-held"
        worker.add_to_path(tmp_path)
        job.start_again(worker)
        wait_until(lambda: not any(job.lags().values()), "the others' delivery", SECONDS)
        proxy.follow(TRICKLING)
        wait_until(
            lambda: all(row.until is not None for row in parked_flows(settings)), "a flow that has caught up", SECONDS
        )
        hold.touch()
        proxy.follow(REFUSED)
        wait_until(lambda: "a new row is held" in worker.said(), "the relapse", SECONDS)
        job.send(events[600:800])
        wait_until(
            lambda: not job.lags()[settings.topics.profile_events] and healthy_have_all(job),
            "the others' delivery",
            SECONDS,
        )
        job.send(events[800:])  # what is committed with the last of these was delivered before
        wait_until(lambda: not job.lags()[settings.topics.profile_events], "a commit", SECONDS)
        behind = job.lags()[settings.topics.exports]
        rows = parked_flows(settings)
        worker.kill()
        killed_at = datetime.now(UTC)
        hold.unlink()
        proxy.follow(Plan())
        job.start_again(worker)
        job.wait_until_delivered(2 * SECONDS, worker)

    job.require_equal_to_replay(killed_at)
    assert {row.flow for row in rows} == {BROKEN}
    assert all(row.until is not None for row in rows), "a row that parks was written: the kill came too late"
    assert behind > 0, "the group has passed what no row owes"
