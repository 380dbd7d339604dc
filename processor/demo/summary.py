"""What the tour shows at its end: some records and why they left, counts, and what the crash left behind."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from processor.demo.descriptions import Words
from processor.demo.report import FLOW_HEADER, counted, dead_letter_counts, examples, flow_rows, skip_rows
from processor.demo.scenario import Played
from processor.demo.screen import Screen
from processor.sandbox.shop import ShopEvent
from processor.verify.result import Verdict


class Findings(NamedTuple):
    """The story's events, what it came to, and how that compares with replay."""

    events: Sequence[ShopEvent]
    played: Played
    verdict: Verdict

    def conclusion(self) -> str:
        """The verdict in a sentence, where there are no faults."""
        expectation, flows = self.played.expectation, {record.flow_id for record in self.played.expectation.records}
        return (
            f"the streams equal replay: {len(expectation.records):,} records of {len(flows)} flows, none missing, none"
            " foreign, in order per profile and flow, keeping the first of each id."
        )


def show(findings: Findings, screen: Screen) -> None:
    """All of it; never a wall."""
    _show_records(findings, screen)
    _show_counts(findings, screen)
    _show_crash(findings, screen)


def _show_records(findings: Findings, screen: Screen) -> None:
    played = findings.played
    screen.title("Records in full, as the streams hold them, and why they left")
    for example in examples(played.said.flows, played.expectation, played.evidence, Words(played.said.audiences)):
        screen.record(*example)


def _show_counts(findings: Findings, screen: Screen) -> None:
    flows, expectation, evidence = findings.played.said.flows, findings.played.expectation, findings.played.evidence
    screen.title(f"{expectation.events:,} events, {expectation.applied:,} applied")
    screen.line(counted(Counter(str(event.kind) for event in findings.events)))
    screen.line(
        "skipped whole:"
        f" {counted(Counter({str(reason): count for reason, count in expectation.skipped_events.items()}))}"
    )
    screen.line(f"dead letters, unchanged on their topic: {counted(dead_letter_counts(evidence))}")
    screen.title("Records by cause (one may have several)")
    screen.table(FLOW_HEADER, list(flow_rows(flows, expectation, evidence, findings.verdict.streams)))
    screen.title("Events after which a flow sends nothing, by reason")
    screen.table(["reason", *(flow.id for flow in flows)], list(skip_rows(flows, expectation.skipped)))


def _show_crash(findings: Findings, screen: Screen) -> None:
    verdict = findings.verdict
    screen.title("What the crash left behind")
    screen.line(f"on the topic exports: {_again(verdict.exports.repeated)}")
    screen.line(f"on the topic dead-letters: {_again(verdict.dead_letters.repeated)}")
    screen.line(f"in the streams: {_again(verdict.repeated_in_streams)}")


def _again(repeated: int) -> str:
    return (
        "nothing came again"
        if not repeated
        else f"{repeated:,} came again after the restart, each with the id of its first"
    )
