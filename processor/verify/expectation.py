"""Replay the events that stand on the topic: the records a worker must send, and why it sends no others. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.decide import SkipReason
from processor.core.replay import Replay
from processor.core.step import EventSkip, Limits, Step
from schemas.dead_letter import DeadLetter
from schemas.export import ExportRecord
from schemas.kafka import ReadRecord


@dataclass(slots=True)
class Expectation:
    """The outcome of a replay. `forgotten` are the profiles that were deleted or merged."""

    events: int = 0
    applied: int = 0
    records: list[ExportRecord] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    skipped_events: Counter[EventSkip] = field(default_factory=Counter)
    skipped: Counter[tuple[str, SkipReason]] = field(default_factory=Counter)
    forgotten: set[str] = field(default_factory=set)

    def of_flow(self, flow_id: str) -> Sequence[ExportRecord]:
        """Return the records of one flow."""
        return [record for record in self.records if record.flow_id == flow_id]


def expect_by_replay(events: Iterable[ReadRecord], catalog: Catalog, limits: Limits) -> Expectation:
    """Fold and decide `events`, which are in the order of each partition."""
    run, outcome, counts = Replay(catalog, limits), Expectation(), Counts()
    for event in events:
        was_there = (event.topic, event.partition, event.key or b"") in run.profiles
        step = run.feed(event)
        _add_step(outcome, step)
        counts.count_step(step)
        if was_there and step.profile is None:
            outcome.forgotten.add((event.key or b"").decode())
    outcome.skipped.update(
        {(flow_id, reason): count for flow_id, flow in counts.flows.items() for reason, count in flow.skipped.items()}
    )
    return outcome


def _add_step(outcome: Expectation, step: Step) -> None:
    outcome.events += 1
    outcome.records += step.records
    if step.dead_letter is not None:
        outcome.dead_letters.append(step.dead_letter)
    elif step.skipped_event is not None:
        outcome.skipped_events[step.skipped_event] += 1
    else:
        outcome.applied += 1
