"""What one worker decided, counted since it started (contract section 7)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from processor.core.decide import SkipReason
from processor.core.step import Step
from schemas.record import ExportRecord


@dataclass(slots=True)
class FlowCounts:
    """One flow: records on `exports`, by kind of cause (a record counts once a kind), and decisions to send nothing."""

    exported: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[SkipReason] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """Of decided events; `applied` are those that changed or ended a profile."""

    applied: int = 0
    skipped_events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    flows: dict[str, FlowCounts] = field(default_factory=dict)

    def note(self, step: Step) -> None:
        """Count what one record led to."""
        if step.dead_letter is not None:
            self.dead_letters[step.dead_letter.reason] += 1
        elif step.skipped_event is not None:
            self.skipped_events[step.skipped_event] += 1
        else:
            self.applied += 1
            self._note_flows(step.records, step.skipped)

    def _note_flows(self, records: Iterable[ExportRecord], skipped: Iterable[tuple[str, SkipReason]]) -> None:
        for record in records:
            flow = self.flow(record.flow_id)
            flow.exported += 1
            for kind in {cause.partition(":")[0] for cause in record.causes}:
                flow.causes[kind] += 1
        flows = self.flows
        for flow_id, reason in skipped:
            counts = flows[flow_id] if flow_id in flows else self.flow(flow_id)
            counts.skipped[reason] += 1

    def flow(self, flow_id: str) -> FlowCounts:
        """The counts of a flow, made where there are none."""
        counts = self.flows.get(flow_id)
        if counts is None:
            counts = self.flows[flow_id] = FlowCounts()
        return counts

    def add(self, other: "Counts") -> None:
        """Add another's counts."""
        self.applied += other.applied
        self.skipped_events.update(other.skipped_events)
        self.dead_letters.update(other.dead_letters)
        for flow_id, theirs in other.flows.items():
            ours = self.flow(flow_id)
            ours.exported += theirs.exported
            ours.causes.update(theirs.causes)
            ours.skipped.update(theirs.skipped)
