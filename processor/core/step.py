"""One event, whole: parse, fold, decide for every flow that it concerns.

The one function that worker and replay share.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import orjson

from processor.core.catalog import Catalog, CompiledFlow, FlowStates
from processor.core.concerned import find_concerned, find_concerned_bits, list_in_order
from processor.core.decide import SkipReason, decide, default_skip_reason, skip_reason_of, would_send
from processor.core.fold import Change, fold, is_remembered
from processor.core.parse import parse_event
from processor.core.record_index import RecordIndex
from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.event import Event, EventType, TraceAttributes
from schemas.export import ExportRecord
from schemas.kafka import ConsumerRecord
from schemas.profile import Profile
from schemas.times import BadTimeError, format_time


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of contract I4 and I5."""

    max_document_bytes: int = 512 * 1024
    dedup_window: int = 1


class EventSkip(StrEnum):
    """The reasons why an event changed and emitted nothing."""

    ALREADY_APPLIED = "already_applied"  # I5: at or below the highest offset applied in its partition
    DUPLICATE_EVENT = "duplicate_event"  # I5: its source and id are in the profile's dedup window
    PROFILE_ABSENT = "profile_absent"  # I8


MissedBy = tuple[CompiledFlow, bool]
"""A disabled flow that catches up later (F1) and whose record an event changed, and whether it would have sent one."""

Skips = tuple[tuple[str, SkipReason], ...]
"""(flow id, why it sends nothing), in the order of the catalog."""


@dataclass(slots=True, init=False)  # as Event
class Step:
    """The outcome of one record: the profile afterwards, what leaves, and why nothing else does.

    `profile` is the state afterwards (None: absent); exactly the old one where nothing was applied.

    Where an event was applied, a flow of `flow_states` that sends nothing does so for its reason in `skips`. The
    others, maybe a hundred, are not listed: theirs is `default_skip`, or that they are disabled (`skip_reason_of`).
    `skipped` lists all.
    `missed`: the disabled flows that catch up later (F1), where the event would have sent a record, or changed what it
    would be (`RecordIndex`). `expired`: the deadline of an applied `membership.expired`. `trace`: of an applied event.
    """

    profile: Profile | None
    records: tuple[ExportRecord, ...]
    dead_letter: DeadLetter | None
    skipped_event: EventSkip | None
    flow_states: FlowStates
    default_skip: SkipReason | None
    skips: Skips
    missed: tuple[MissedBy, ...]
    expired: str
    trace: TraceAttributes

    def __init__(  # noqa: PLR0913, PLR0917  # an argument a field
        self,
        profile: Profile | None,
        records: tuple[ExportRecord, ...] = (),
        dead_letter: DeadLetter | None = None,
        skipped_event: EventSkip | None = None,
        flow_states: FlowStates = (),
        default_skip: SkipReason | None = None,
        skips: Skips = (),
        missed: tuple[MissedBy, ...] = (),
        expired: str = "",
        trace: TraceAttributes = None,
    ) -> None:
        self.profile = profile
        self.records = records
        self.dead_letter = dead_letter
        self.skipped_event = skipped_event
        self.flow_states = flow_states
        self.default_skip = default_skip
        self.skips = skips
        self.missed = missed
        self.expired = expired
        self.trace = trace

    @property
    def skipped(self) -> Skips:
        """Return every flow that sends nothing, and why; () where no event was applied.

        Costs what there are flows: not for each event.
        """
        default_skip = self.default_skip
        if default_skip is None:
            return ()
        sent, skips = {record.flow_id for record in self.records}, dict(self.skips)
        return tuple(
            [
                (flow_id, skips.get(flow_id) or skip_reason_of(enabled, default_skip))
                for flow_id, enabled in self.flow_states
                if flow_id not in sent
            ]
        )


_EXPIRED: Final = EventType.EXPIRED
_ENDS: Final = (EventType.DELETED, EventType.MERGED, EventType.EXPIRED)


def step(profile: Profile | None, record: ConsumerRecord, catalog: Catalog, limits: Limits) -> Step:
    """Apply the event in `record` to its own profile and decide what each flow sends. Home of A11.

    Changes nothing in place. The caller has already skipped offsets at or below the highest one applied (I5).
    """
    try:
        event = parse_event(record)
        if (skip := _skip_event(profile, event)) is not None:
            return Step(profile, skipped_event=skip)
        change = fold(profile, event, limits.dedup_window)
        after = change.after
        if after is not None and after.size_bound_bytes > limits.max_document_bytes:
            after = _measured(after, limits.max_document_bytes)
    except Unusable as unusable:
        return Step(profile, dead_letter=dead_letter(record, unusable))
    return _decided(record, change, after, catalog)


def _decided(record: ConsumerRecord, change: Change, after: Profile | None, catalog: Catalog) -> Step:
    records: list[ExportRecord] = []
    skips: list[tuple[str, SkipReason]] = []
    default_skip = default_skip_reason(change)
    for flow in find_concerned(change, catalog):
        decision = decide(flow, record, change, catalog)
        if isinstance(decision, ExportRecord):
            records.append(decision)
        elif decision is not default_skip:
            skips.append((flow.id, decision))
    index = catalog.records
    missed = () if index is None or after is None else _missed(change, after, index, catalog)
    expired = change.event.time if change.event.type is _EXPIRED else ""
    return Step(
        after,
        tuple(records),
        None,
        None,
        catalog.flow_states,
        default_skip,
        tuple(skips),
        missed,
        expired,
        change.event.trace,
    )


def _missed(change: Change, after: Profile, index: RecordIndex, catalog: Catalog) -> tuple[MissedBy, ...]:
    """Decide only for flows that the event concerns: it costs the others nothing, however many there are."""
    changed = index.changed(change, after)
    missed = [(flow, would_send(flow, change)) for flow in list_in_order(changed, catalog.tracking)]
    others = list_in_order(find_concerned_bits(change, index.flows) & ~changed, catalog.tracking)
    return tuple(missed + [(flow, True) for flow in others if would_send(flow, change)])


def _skip_event(profile: Profile | None, event: Event) -> EventSkip | None:
    """Return why an event applies nothing: a repetition, or the end of an absent profile. Home of I5 and I8."""
    if profile is None:
        return EventSkip.PROFILE_ABSENT if event.type in _ENDS else None
    if (
        event.id is not None
        and event.id in profile.event_ids
        and event.type is not _EXPIRED
        and is_remembered(profile, event)
    ):
        return EventSkip.DUPLICATE_EVENT
    return None


def _measured(profile: Profile, max_document_bytes: int) -> Profile:
    """Return the profile with its document's size as the bound; raises Unusable where that is too large."""
    size = len(orjson.dumps(profile.document))
    if size > max_document_bytes:
        raise Unusable(
            DeadLetterReason.DOCUMENT_TOO_LARGE,
            f"the document would have {size} bytes, {max_document_bytes} at most are allowed",
        )
    return replace(profile, size_bound_bytes=size)


def dead_letter(record: ConsumerRecord, unusable: Unusable) -> DeadLetter:
    """Return the record as a dead letter, whole and unchanged. Home of I4."""
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        unusable.reason,
        unusable.explanation,
        record_time(record.timestamp),
    )


def record_time(timestamp: int | None) -> str | None:
    """Kafka's timestamp (milliseconds) in the form of C8; None where there is none, or none that can be written so."""
    if timestamp is None or timestamp < 0:
        return None
    try:
        return format_time(timestamp // 1000)
    except BadTimeError:
        return None
