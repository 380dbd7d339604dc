"""The fault proxy itself: it does what its plan says, and its ledger tells the truth."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as boto

from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.faults import FaultKind
from processor.delivery.kinesis.responses import classify_response
from processor.foundation.sizes import MIB
from processor.sandbox.streams import create_stream, read_stream
from schemas.wire.exports import decode_export
from tests.delivery.fakes import export_record
from tests.faults.kinesis_proxy import Buckets, Do, FaultProxy, Plan, Rule, chaos, codes
from tests.faults.kinesis_proxy.buckets import Shards
from tests.faults.kinesis_proxy.plan import Course
from tests.faults.kinesis_proxy.traffic import ENVIRON, REGION, destination

pytestmark = pytest.mark.xdist_group("kinesis-proxy")  # the module's fixtures are made once

STREAM = "fault-proxy"
OPTIONS = KinesisOptions(calls_in_flight=1, connect_timeout_seconds=5.0, read_timeout_seconds=0.5)
EXPORTS = [decode_export(export_record(offset, f"p-{offset}")) for offset in range(3)]
QUIET_SECONDS = 10.0


@pytest.fixture(scope="module")
def proxy(kinesis: str) -> Iterator[FaultProxy]:
    create_stream(kinesis, REGION, STREAM, 2)
    with FaultProxy(kinesis) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stream(proxy: FaultProxy) -> Iterator[KinesisStream]:
    opened = KinesisStream(destination(proxy.url, STREAM), OPTIONS, ENVIRON)
    yield opened
    opened.close()


async def outcome_of(stream: KinesisStream) -> Any:
    try:
        return await stream.put(EXPORTS)
    except Exception as error:
        return error


DOUBTFUL = (FaultKind.AMBIGUOUS, True)
UNTOUCHED = (FaultKind.AMBIGUOUS, False)


@pytest.mark.parametrize(
    ("rule", "kind", "is_applied"),
    [
        *((Rule(do=Do.ERROR, status=status, code=code), FaultKind.THROTTLED, False)
          for status, code in codes.THROTTLED),
        *((Rule(do=Do.ERROR, status=status, code=code), FaultKind.AMBIGUOUS, False)
          for status, code in codes.AMBIGUOUS),
        *((Rule(do=Do.ERROR, status=status, code=code, applied=True), FaultKind.AMBIGUOUS, True)
          for status, code in codes.AMBIGUOUS),
        *((Rule(do=Do.ERROR, status=status, code=code), FaultKind.REFUSED, False) for status, code in codes.REFUSED),
        *((Rule(do=Do.ERROR, status=status, code=code), FaultKind.REJECTED, False) for status, code in codes.REJECTED),
        *((Rule(do=Do.ERROR, status=status, code=code), FaultKind.UNKNOWN, False) for status, code in codes.UNKNOWN),
        (Rule(do=Do.HTML, status=200), *UNTOUCHED),
        (Rule(do=Do.HTML, status=200, applied=True), *DOUBTFUL),
        (Rule(do=Do.HTML, status=503), *UNTOUCHED),
        (Rule(do=Do.HTML, status=403), FaultKind.REFUSED, False),
        (Rule(do=Do.HTML, status=404), FaultKind.REFUSED, False),
        (Rule(do=Do.EMPTY, status=200, applied=True), *DOUBTFUL),
        (Rule(do=Do.EMPTY, status=500), *UNTOUCHED),
        (Rule(do=Do.DROP), *UNTOUCHED),
        (Rule(do=Do.DROP, applied=True), *DOUBTFUL),
        (Rule(do=Do.RESET), *UNTOUCHED),
        (Rule(do=Do.RESET, applied=True), *DOUBTFUL),
        (Rule(do=Do.SILENCE, seconds=0.05), *UNTOUCHED),
        (Rule(do=Do.SILENCE, seconds=0.05, applied=True), *DOUBTFUL),
        (Rule(do=Do.SILENCE, seconds=0.6), *UNTOUCHED),
        (Rule(do=Do.LATE, seconds=0.6), *DOUBTFUL),
        (Rule(do=Do.DELAY, seconds=0.8), *DOUBTFUL),
        (Rule(do=Do.TRUNCATE), *DOUBTFUL),
    ],
    ids=lambda value: f"{value.do}-{value.status}-{value.code}-{value.applied}" if isinstance(value, Rule) else None,
)  # fmt: skip
async def test_g4_every_fault_of_a_call_reaches_boto3_as_what_it_is(
    proxy: FaultProxy, stream: KinesisStream, kinesis: str, rule: Rule, kind: FaultKind, is_applied: bool
) -> None:
    """A record that was applied stands in the stream, though the producer was not told."""
    before = len(read_stream(kinesis, REGION, STREAM))
    proxy.follow(Plan(rules=(rule,)))

    whole = classify_response(await outcome_of(stream), len(EXPORTS)).whole
    proxy.wait_until_quiet(QUIET_SECONDS)

    (call,) = proxy.ledger.calls
    assert whole is not None
    assert whole.kind is kind
    assert (len(call.applied), len(call.told), call.fault) == (3 * is_applied, 0, rule.do.value)
    assert len(read_stream(kinesis, REGION, STREAM)) - before == 3 * is_applied


async def test_what_the_plan_does_not_name_is_let_through(proxy: FaultProxy, stream: KinesisStream) -> None:
    proxy.follow(Plan(rules=(Rule(do=Do.DROP, at=(2,)),)))

    first, second, third = [await outcome_of(stream) for _ in range(3)]

    assert (
        classify_response(first, 3)
        == classify_response(third, 3)
        == classify_response({"Records": [{"SequenceNumber": "1"}] * 3}, 3)
    )
    assert isinstance(second, boto.ConnectionClosedError)
    assert [(len(call.applied), len(call.told)) for call in proxy.ledger.calls] == [(3, 3), (0, 0), (3, 3)]


@pytest.mark.parametrize("applied", [False, True])
async def test_g4_entries_fail_alone_stored_or_not(proxy: FaultProxy, stream: KinesisStream, applied: bool) -> None:
    proxy.follow(Plan(rules=(Rule(do=Do.ENTRIES, code="InternalFailure", keys="p-1", applied=applied),)))

    verdict = classify_response(await outcome_of(stream), 3)

    (call,) = proxy.ledger.calls
    assert {index: fault.code for index, fault in verdict.faults.items()} == {1: "InternalFailure"}
    assert [each.record for each in call.applied] == [
        name for index, name in enumerate(call.received) if applied or index != 1
    ]
    assert call.told == [name for index, name in enumerate(call.received) if index != 1]


async def test_a_stream_that_ignores_partition_keys_puts_a_key_on_any_shard(
    proxy: FaultProxy, stream: KinesisStream
) -> None:
    proxy.follow(Plan(rules=(Rule(do=Do.SPREAD),)))

    answers = [await outcome_of(stream) for _ in range(12)]

    assert {answer["Records"][0]["ShardId"][-1] for answer in answers} == {"0", "1"}


async def test_a_full_shard_refuses_records_and_the_others_take_theirs(
    proxy: FaultProxy, stream: KinesisStream
) -> None:
    proxy.follow(Plan(buckets=Buckets(shards=1, records=0.001, burst=2000.0)))

    verdict = classify_response(await outcome_of(stream), 3)

    assert {index: fault.kind for index, fault in verdict.faults.items()} == {2: FaultKind.THROTTLED}
    assert proxy.ledger.calls[0].throttled == 1


async def test_the_ledger_knows_where_a_record_stands_and_why_it_came_again(
    proxy: FaultProxy, stream: KinesisStream, kinesis: str
) -> None:
    before = len(read_stream(kinesis, REGION, STREAM))
    proxy.follow(
        Plan(
            rules=(
                Rule(do=Do.DROP, applied=True, at=(1,)),
                Rule(do=Do.ERROR, code="ThrottlingException", status=400, at=(2,)),
            )
        )
    )

    for _ in range(4):
        await outcome_of(stream)

    calls, ledger = proxy.ledger.calls, proxy.ledger
    first = [repeat for repeat in ledger.repeats() if repeat.record == calls[0].received[0]]
    assert [(repeat.before.number, repeat.again.number, repeat.because) for repeat in first] == [
        (1, 2, "drop"),
        (1, 3, "drop"),
        (3, 4, None),
    ]
    assert {repeat.because for repeat in ledger.repeats(slow_seconds=0)} == {"drop", "slow"}
    assert {call.producer for call in calls} == {"AKIDEXAMPLE"}
    stored = ledger.stored(STREAM)
    assert len(stored) == 9
    assert {(each.shard, each.sequence) for each in stored} <= {
        (each.shard, each.sequence_number) for each in read_stream(kinesis, REGION, STREAM)
    }
    assert len(read_stream(kinesis, REGION, STREAM)) == before + 9


def test_a_shard_takes_a_thousand_records_and_a_mebibyte_a_second() -> None:
    """Kinesis quotas; the clock is the test's."""
    now = [0.0]
    shards = Shards(Buckets(shards=2), lambda: now[0])
    lower, upper = (
        {"PartitionKey": "a", "ExplicitHashKey": "0"},
        {"PartitionKey": "a", "ExplicitHashKey": str(2**128 - 1)},
    )

    taken = sum(shards.takes(lower, 100) for _ in range(1500))
    other = shards.takes(upper, MIB)
    now[0] = 0.25
    later = sum(shards.takes(lower, 100) for _ in range(1500))
    full = shards.takes(upper, MIB)
    now[0] = 1.0
    again = shards.takes(upper, MIB)

    assert (taken, later) == (1000, 250)
    assert (other, full, again) == (True, False, True)


def test_the_same_plan_does_the_same_and_another_seed_something_else() -> None:
    def story(seed: int) -> list[str | None]:
        course = Course(chaos(seed))
        return [
            None if rule is None else rule.do.value
            for rule in (course.next([{"PartitionKey": "p-1"}]) for _ in range(200))
        ]

    assert story(1) == story(1) != story(2)


def test_every_fault_is_in_the_plan_of_some_seed() -> None:
    planned = {rule.do for seed in range(24) for rule in chaos(seed).rules}

    assert planned == set(Do) - {Do.SPREAD}
    assert any(chaos(seed).buckets for seed in range(24))


def test_plans_and_ledger_go_over_http(proxy: FaultProxy) -> None:
    plan = {"rules": [{"do": "drop", "applied": True, "at": [1, 2]}], "buckets": {"shards": 2}}

    def put(body: object) -> bytes:
        request = urllib.request.Request(f"{proxy.url}/plan", json.dumps(body).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bytes(answer.read())

    assert put(plan) == b"followed from now on\n"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        put({"rules": [{"do": "explode"}]})
    with urllib.request.urlopen(f"{proxy.url}/ledger", timeout=5) as answer:
        assert json.loads(answer.read()) == {"calls": [], "repeats": []}


def test_it_runs_by_hand(kinesis: str) -> None:
    command = [sys.executable, "-m", "tests.faults.kinesis_proxy", "--upstream", kinesis, "--chaos", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url, before, upstream = process.stdout.readline().split()[:3]
            create_stream(url, REGION, STREAM)
        finally:
            process.terminate()

    assert (before, upstream) == ("before", f"{kinesis};")


def test_a_plan_that_is_shown_can_be_given_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.kinesis_proxy", "--chaos", "5", "--show"]

    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert Plan.model_validate_json(shown) == chaos(5)


async def test_g4_an_endpoint_that_is_not_there_is_told_by_the_proxy() -> None:
    with FaultProxy("http://127.0.0.1:1") as proxy:
        opened = KinesisStream(destination(proxy.url, STREAM), OPTIONS, ENVIRON)
        whole = classify_response(await outcome_of(opened), len(EXPORTS)).whole
        opened.close()

    assert whole is not None
    assert (whole.kind, whole.code) == (FaultKind.AMBIGUOUS, "BadGateway")
    assert "127.0.0.1:1" in whole.message


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ('{"rules": [{"do": "drop", "often": 2}]}', "often"),
        ("{", "Invalid JSON"),
        ('{"rules": [{"do": "drop", "rate": 2}]}', "rate"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_what_is_wrong(plan: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(plan)
    command = [sys.executable, "-m", "tests.faults.kinesis_proxy", "--plan", str(tmp_path / "plan.json")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "plan.json" in done.stderr
    assert said in done.stderr
