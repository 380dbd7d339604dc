"""Compare everything that a worker left behind with replay. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from processor.verify.comparison import Comparison, compare_dead_letters, compare_exports, compare_stream
from processor.verify.evidence import Evidence
from processor.verify.expectation import Expectation
from schemas.flow import Flow

_MOST_FAULTS: Final = 10


class VerificationResult(NamedTuple):
    """The comparisons of the `exports` topic, of the dead letters, and of each flow's stream by flow id."""

    exports: Comparison
    dead_letters: Comparison
    streams: Mapping[str, Comparison]

    @property
    def faults(self) -> tuple[str, ...]:
        """Return all faults; none, where what left equals replay."""
        return tuple(
            fault
            for comparison in (self.exports, self.dead_letters, *self.streams.values())
            for fault in comparison.faults
        )

    @property
    def repeated_in_streams(self) -> int:
        """Count the records that stand in a stream again."""
        return sum(comparison.repeated for comparison in self.streams.values())


def verify_delivery(
    flows: Sequence[Flow],
    expectation: Expectation,
    evidence: Evidence,
    *,
    has_transactions: bool,
    restarted_at: datetime | None,
) -> VerificationResult:
    """Compare all evidence with replay; `restarted_at` is when a killed worker was started again (None: never)."""
    may_repeat = not has_transactions and restarted_at is not None
    records = expectation.records
    return VerificationResult(
        compare_exports(records, evidence.exports, may_repeat=may_repeat, forgotten=frozenset(expectation.forgotten)),
        compare_dead_letters(expectation.dead_letters, evidence.dead_letters, may_repeat=may_repeat),
        {
            flow.id: compare_stream(flow, records, evidence.exports, evidence.streams[flow.id], restarted_at)
            for flow in flows
        },
    )


def list_faults(faults: Sequence[str]) -> str:
    """List faults one a line, the first few of many."""
    rest = len(faults) - _MOST_FAULTS
    return "\n".join([*faults[:_MOST_FAULTS], *([f"and {rest} more"] if rest > 0 else [])])
