"""The tour shows true numbers, and records as they stand in the streams."""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import pytest

from processor.core.catalog import Catalog
from processor.core.decide import SkipReason
from processor.core.step import Limits
from processor.demo.descriptions import CauseDescriptions
from processor.demo.report import FLOW_HEADER, counted, dead_letter_counts, examples, flow_rows, laid_out, skip_rows
from processor.demo.scenario import ScenarioOutcome
from processor.demo.screen import Plain
from processor.demo.summary import Summary, show_summary
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration
from processor.sandbox.shop import ShopEvent, shop_events
from processor.sandbox.streams import StreamRecord
from processor.verify.comparison import ExportedRecord
from processor.verify.evidence import Evidence
from processor.verify.expectation import Expectation, expect_by_replay
from processor.verify.result import VerificationResult, list_faults, verify_delivery
from schemas.kafka import ReadRecord

pytestmark = pytest.mark.xdist_group("demo-report")  # the module's fixtures are made once

SHOP = parse_shop_configuration(fill_shop_template("http://127.0.0.1:1"))
MOMENT = datetime(2026, 1, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def events() -> list[ShopEvent]:
    return list(shop_events(1000, customers=150))


@pytest.fixture(scope="module")
def expectation(events: Sequence[ShopEvent]) -> Expectation:
    sources = (
        ReadRecord("profile-events", 0, offset, event.timestamp, event.key, event.value)
        for offset, event in enumerate(events)
    )
    return expect_by_replay(sources, Catalog.of(SHOP.flows, SHOP.audiences), Limits())


@pytest.fixture(scope="module")
def evidence(expectation: Expectation) -> Evidence:
    """Return what a worker without a fault leaves behind."""
    records = expectation.records
    return Evidence(
        [
            ExportedRecord(record.id, record.flow_id, record.key, record.partition_key, record.value)
            for record in records
        ],
        expectation.dead_letters,
        {
            flow.id: [
                StreamRecord(record.partition_key, record.value, "1", "shard", MOMENT)
                for record in records
                if record.flow_id == flow.id
            ]
            for flow in SHOP.flows
        },
    )


def verified(expectation: Expectation, evidence: Evidence) -> VerificationResult:
    return verify_delivery(SHOP.flows, expectation, evidence, has_transactions=True, restarted_at=None)


def test_a_worker_without_a_fault_equals_replay(expectation: Expectation, evidence: Evidence) -> None:
    verification = verified(expectation, evidence)

    assert verification.faults == ()
    assert (
        verification.exports.expected
        == sum(comparison.expected for comparison in verification.streams.values())
        == len(expectation.records)
    )


@pytest.mark.parametrize("flow_id", ["vip-to-crm", "newsletter", "customer-360"])
def test_one_record_less_or_a_foreign_one_is_a_fault_in_any_stream(
    flow_id: str, expectation: Expectation, evidence: Evidence
) -> None:
    whole = evidence.streams[flow_id]
    foreign = StreamRecord("nobody", b"{}", "1", "shard", MOMENT)
    for stream in (whole[:-1], whole[1:], [*whole, foreign]):
        broken = Evidence(evidence.exports, evidence.dead_letters, {**evidence.streams, flow_id: stream})

        assert verified(expectation, broken).faults


def test_whatever_stands_in_the_stream_of_a_flow_that_is_switched_off_is_a_fault(
    expectation: Expectation, evidence: Evidence
) -> None:
    streams = {**evidence.streams, "spring-campaign": evidence.streams["newsletter"][:1]}

    assert verified(expectation, Evidence(evidence.exports, evidence.dead_letters, streams)).faults


def test_every_event_is_applied_skipped_or_put_aside(expectation: Expectation) -> None:
    assert expectation.events == 1000
    assert (
        expectation.applied + expectation.skipped_events.total() + len(expectation.dead_letters) == expectation.events
    )
    assert len(expectation.records) + expectation.skipped.total() == expectation.applied * len(SHOP.flows)


def test_a_row_of_a_flow_tells_its_records_and_their_causes(expectation: Expectation, evidence: Evidence) -> None:
    told = flow_rows(SHOP.flows, expectation, evidence, verified(expectation, evidence).streams)
    rows = {row[0]: dict(zip(FLOW_HEADER, row, strict=True)) for row in told}

    records = expectation.of_flow("newsletter")
    entered = [record for record in records if any(cause.endswith(":realized") for cause in record.causes)]
    assert rows["newsletter"]["records"] == rows["newsletter"]["in the stream"] == str(len(records))
    assert rows["newsletter"]["entered"] == str(len(entered))
    assert rows["spring-campaign"]["records"] == "0"


def test_reasons_to_send_nothing_are_counted_by_flow() -> None:
    rows = list(
        skip_rows(
            SHOP.flows[:2], {("vip-to-crm", SkipReason.NOT_A_MEMBER): 1200, ("newsletter", SkipReason.TRIGGER_OFF): 3}
        )
    )

    assert rows == [("not a member", "1,200", "-"), ("trigger off", "-", "3")]


def test_examples_stand_in_the_streams_and_say_why_they_left(expectation: Expectation, evidence: Evidence) -> None:
    shown = list(examples(SHOP.flows, expectation, evidence, CauseDescriptions(SHOP.audiences)))

    assert len(shown) == 3
    for flow, example in zip(SHOP.flows, shown, strict=False):
        assert orjson.loads(example.text) in [orjson.loads(record.data) for record in evidence.streams[flow.id]]
    assert all(example.reason.startswith("left because: ") for example in shown)


def test_dead_letters_that_came_again_count_once(evidence: Evidence) -> None:
    twice = Evidence([], [*evidence.dead_letters, *evidence.dead_letters], {})

    assert dead_letter_counts(twice) == dead_letter_counts(evidence)
    assert dead_letter_counts(evidence).total() == len(evidence.dead_letters)


def test_counts_are_told_the_most_frequent_first() -> None:
    assert counted({"rare": 1, "frequent": 1234}) == "frequent 1,234 · rare 1"


def test_a_value_is_laid_out_without_being_changed() -> None:
    value = {"short": {"a": 1}, "long": {f"key-{number}": "x" * 20 for number in range(10)}, "list": [1, 2]}

    text = laid_out(value)

    assert orjson.loads(text) == value
    assert text.splitlines()[1] == '  "short": {"a":1},'


def test_many_faults_are_told_in_few_lines() -> None:
    assert list_faults([f"fault {number}" for number in range(30)]).splitlines()[-1] == "and 20 more"


def test_the_findings_are_no_wall(events: Sequence[ShopEvent], expectation: Expectation, evidence: Evidence) -> None:
    lines: list[str] = []
    outcome = ScenarioOutcome(SHOP, expectation, evidence, MOMENT)

    show_summary(Summary(events, outcome, verified(expectation, evidence)), Plain(lines.append))

    assert len(lines) < 100
    assert any("nothing came again" in line for line in lines)
