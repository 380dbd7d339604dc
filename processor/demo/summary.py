"""Show at the end of the tour: some records and why they left, counts, and what the crash left behind."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from processor.demo.descriptions import CauseDescriptions
from processor.demo.report import FLOW_HEADER, counted, dead_letter_counts, examples, flow_rows, skip_rows
from processor.demo.scenario import ScenarioOutcome
from processor.demo.screen import Screen
from processor.sandbox.shop import ShopEvent
from processor.verify.result import VerificationResult


class Summary(NamedTuple):
    """The scenario's events, its outcome, and how that compares with replay."""

    events: Sequence[ShopEvent]
    outcome: ScenarioOutcome
    verification: VerificationResult

    def conclusion(self) -> str:
        """Return the result in a sentence, for a scenario without faults."""
        expectation, flows = self.outcome.expectation, {record.flow_id for record in self.outcome.expectation.records}
        return (
            f"the streams equal replay: {len(expectation.records):,} records of {len(flows)} flows, none missing, none"
            " foreign, in order per profile and flow, keeping the first of each id."
        )


def show_summary(summary: Summary, screen: Screen) -> None:
    """Show the whole summary, some lines a part."""
    _show_records(summary, screen)
    _show_counts(summary, screen)
    _show_crash(summary, screen)


def _show_records(summary: Summary, screen: Screen) -> None:
    outcome = summary.outcome
    screen.title("Records in full, as the streams hold them, and why they left")
    for example in examples(
        outcome.configuration.flows,
        outcome.expectation,
        outcome.evidence,
        CauseDescriptions(outcome.configuration.audiences),
    ):
        screen.record(*example)


def _show_counts(summary: Summary, screen: Screen) -> None:
    flows, expectation, evidence = (
        summary.outcome.configuration.flows,
        summary.outcome.expectation,
        summary.outcome.evidence,
    )
    screen.title(f"{expectation.events:,} events, {expectation.applied:,} applied")
    screen.line(counted(Counter(str(event.kind) for event in summary.events)))
    screen.line(
        "skipped whole:"
        f" {counted(Counter({str(reason): count for reason, count in expectation.skipped_events.items()}))}"
    )
    screen.line(f"dead letters, unchanged on their topic: {counted(dead_letter_counts(evidence))}")
    screen.title("Records by cause (one may have several)")
    screen.table(FLOW_HEADER, list(flow_rows(flows, expectation, evidence, summary.verification.streams)))
    screen.title("Events after which a flow sends nothing, by reason")
    screen.table(["reason", *(flow.id for flow in flows)], list(skip_rows(flows, expectation.skipped)))


def _show_crash(summary: Summary, screen: Screen) -> None:
    verification = summary.verification
    screen.title("What the crash left behind")
    screen.line(f"on the topic exports: {_again(verification.exports.repeated)}")
    screen.line(f"on the topic dead-letters: {_again(verification.dead_letters.repeated)}")
    screen.line(f"in the streams: {_again(verification.repeated_in_streams)}")


def _again(repeated: int) -> str:
    return (
        "nothing came again"
        if not repeated
        else f"{repeated:,} came again after the restart, each with the id of its first"
    )
