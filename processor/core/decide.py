"""Decide what leaves, and why. Pure: same input, same decision, on any machine (contract section 3)."""

from enum import StrEnum
from typing import Final

from processor.core.catalog import Catalog, CompiledFlow
from processor.core.causes import Causes, find_attribute_causes, find_realized, find_segment_causes, passes_gate
from processor.core.changes import find_writes
from processor.core.consent import as_consented
from processor.core.envelope import finish_record
from processor.core.fold import Change
from processor.core.partition_key import partition_key
from processor.core.record_ids import event_record_id
from processor.core.render import render, render_deletion
from schemas.event import EventType
from schemas.export import ExportRecord
from schemas.kafka import ConsumerRecord
from schemas.profile import EXITED, Document, Profile


class SkipReason(StrEnum):
    """The reasons why a flow sends nothing after an event."""

    FLOW_DISABLED = "flow_disabled"  # A12
    NOTHING_MAPPED_CHANGED = "nothing_mapped_changed"  # A3, A4, A5, A7
    UNCHANGED = "unchanged"  # A6 with suppressUnchanged
    NOT_A_MEMBER = "not_a_member"  # A9, and F3 for a profile in none of the mapped audiences
    TRIGGER_OFF = "trigger_off"  # A10
    DELETED_SILENTLY = "deleted_silently"  # F3 with onDelete: silent
    MERGED_SILENTLY = "merged_silently"  # F4
    CONSENT = "consent"  # F6: it would send a record, were the profile not opted out


_UNCHANGED: Final = SkipReason.UNCHANGED  # those of nearly every event: a look-up on the class costs 0.1 µs
_NOTHING_MAPPED_CHANGED: Final = SkipReason.NOTHING_MAPPED_CHANGED
_NOT_A_MEMBER: Final = SkipReason.NOT_A_MEMBER
_CONSENT: Final = SkipReason.CONSENT
_MERGED: Final = EventType.MERGED


def default_skip_reason(change: Change) -> SkipReason:
    """Return the one reason why no enabled flow that the event does not concern (`find_concerned`) sends anything."""
    if change.after is None:
        return SkipReason.MERGED_SILENTLY if change.event.type is _MERGED else _NOT_A_MEMBER
    return _NOT_A_MEMBER if change.identities else _NOTHING_MAPPED_CHANGED


def skip_reason_of(enabled: bool, default_skip: SkipReason) -> SkipReason:
    """Return why a flow of the rest sends nothing, be it enabled or not. Home of A12."""
    return default_skip if enabled else SkipReason.FLOW_DISABLED


def decide(flow: CompiledFlow, source: ConsumerRecord, change: Change, catalog: Catalog) -> ExportRecord | SkipReason:
    """Decide what `flow`, were it enabled, sends for one profile after one event, or why nothing. Home of A1."""
    seen = as_consented(flow, change) if flow.consent_gates else change
    after = seen.after
    if after is None:
        decision = _decide_end(flow, source, seen)
    else:
        causes = _causes_to_send(flow, seen, after)
        if isinstance(causes, SkipReason):
            decision = causes
        else:
            decision = _record(flow, source, seen, causes, render(flow, after, seen.event.time, causes, catalog), after)
    return decision if seen is change else _held_back(flow, source, change, decision)


def _held_back(
    flow: CompiledFlow, source: ConsumerRecord, change: Change, decision: ExportRecord | SkipReason
) -> ExportRecord | SkipReason:
    """Return the decision about a profile that is or was opted out.

    Of a decision to send nothing, the reason is the gate, or what else there is without it.
    """
    if isinstance(decision, ExportRecord):
        return decision
    after = change.after
    without_gate = _decide_end(flow, source, change) if after is None else _causes_to_send(flow, change, after)
    return without_gate if isinstance(without_gate, SkipReason) else _CONSENT


def would_send(flow: CompiledFlow, change: Change) -> bool:
    """Return whether `flow`, were it enabled, sends a record after an event that ends no profile.

    The answer is that of `decide`, without making the record.
    """
    if flow.consent_gates:
        change = as_consented(flow, change)
    return change.after is not None and not isinstance(_causes_to_send(flow, change, change.after), SkipReason)


def _causes_to_send(flow: CompiledFlow, change: Change, after: Profile) -> Causes | SkipReason:
    causes = _find_causes(flow, change, after)
    if isinstance(causes, SkipReason) or flow.all_triggers_on or causes.allowed_by(flow.options.triggers):
        return causes
    return SkipReason.TRIGGER_OFF


def _find_causes(flow: CompiledFlow, change: Change, after: Profile) -> Causes | SkipReason:
    segments = find_segment_causes(flow, change)
    identities = change.identities
    attributes = find_attribute_causes(flow, change, after.attributes)
    if not (identities or attributes):
        return Causes(segments, (), ()) if segments else _why_nothing(flow, change)
    if not passes_gate(flow, after.memberships):
        return Causes(segments, (), ()) if segments else _NOT_A_MEMBER
    return Causes(segments, identities, attributes)


def _why_nothing(flow: CompiledFlow, change: Change) -> SkipReason:
    if flow.suppress_unchanged and find_writes(change, flow.attributes_by_root):
        return _UNCHANGED
    return _NOTHING_MAPPED_CHANGED


def _decide_end(flow: CompiledFlow, source: ConsumerRecord, change: Change) -> ExportRecord | SkipReason:
    """Decide the last record of a profile: one that is deleted, or merged into another. Home of F3 and F4."""
    if change.event.type is _MERGED:
        return SkipReason.MERGED_SILENTLY
    before = change.before
    left = [(*key, EXITED) for key in find_realized(flow.mapped, before.memberships)]
    if not left:
        return _NOT_A_MEMBER
    if flow.options.on_delete == "silent":
        return SkipReason.DELETED_SILENTLY
    causes = Causes(left, (), ())
    if not (flow.all_triggers_on or causes.allowed_by(flow.options.triggers)):
        return SkipReason.TRIGGER_OFF
    return _record(flow, source, change, causes, render_deletion(flow, before, change.event.time, causes), before)


def _record(
    flow: CompiledFlow, source: ConsumerRecord, change: Change, causes: Causes, content: Document, profile: Profile
) -> ExportRecord:
    """Make the record of a flow after an event (D3)."""
    event = change.event
    record_id = event_record_id(source, flow.id)
    key = partition_key(flow.partition_key, event.key, profile)
    return finish_record(flow, record_id, event.key, event.time, change.version, causes.texts(), content, key)
