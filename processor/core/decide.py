"""Decide what leaves, and why. Pure: same input, same decision, on any machine (contract section 3)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import orjson

from processor.core.catalog import Catalog, CompiledFlow
from processor.core.causes import (
    Causes,
    changed_only,
    mapped_transitions,
    passes_gate,
    realized_in,
    written_attributes,
)
from processor.core.fold import Change
from processor.core.membership import EXITED, Transition
from processor.core.partition_key import partition_key
from processor.core.render import render, render_deletion
from schemas.event import EventType, SourceRecord
from schemas.profile import Document
from schemas.record import ExportRecord


class SkipReason(StrEnum):
    """Why a flow sends nothing after an event."""

    FLOW_DISABLED = "flow_disabled"  # A12
    NOTHING_MAPPED_CHANGED = "nothing_mapped_changed"  # A3, A4, A5, A7
    UNCHANGED = "unchanged"  # A6 with suppressUnchanged
    NOT_A_MEMBER = "not_a_member"  # A9, and F3 for a profile in none of the mapped audiences
    TRIGGER_OFF = "trigger_off"  # A10
    DELETED_SILENTLY = "deleted_silently"  # F3 with onDelete: silent
    MERGED_SILENTLY = "merged_silently"  # F4


_NO_CAUSES: Final = Causes([], [], [])


def decide(
    flow: CompiledFlow, source: SourceRecord, change: Change, identities: Sequence[str], catalog: Catalog
) -> ExportRecord | SkipReason:
    """What `flow` sends for one profile after one event, or why it sends nothing.

    `identities` are the namespaces of `changed_identities(change)`, which is the same for every flow.
    """
    if not flow.enabled:
        return SkipReason.FLOW_DISABLED
    if change.after is None:
        return _decide_end(flow, source, change)
    causes = _find_causes(flow, change, identities)
    if isinstance(causes, SkipReason):
        return causes
    if not causes.allowed_by(flow.options.triggers):
        return SkipReason.TRIGGER_OFF
    document = change.after.document
    return _record(flow, source, change, causes, render(flow, document, change.event.time, causes, catalog), document)


def _find_causes(flow: CompiledFlow, change: Change, identities: Sequence[str]) -> Causes | SkipReason:
    segments = mapped_transitions(flow, change) if change.transitions else []
    attributes = written = written_attributes(flow, change)
    if written and flow.options.suppress_unchanged:
        attributes = changed_only(flow, change, written)
    if not (segments or identities or attributes):
        return SkipReason.UNCHANGED if written else SkipReason.NOTHING_MAPPED_CHANGED
    if (identities or attributes) and not passes_gate(flow, change.after_document.get("segmentMembership", {})):
        return Causes(segments, [], []) if segments else SkipReason.NOT_A_MEMBER
    return Causes(segments, list(identities), attributes)


def _decide_end(flow: CompiledFlow, source: SourceRecord, change: Change) -> ExportRecord | SkipReason:
    """The last record of a profile that is deleted (F3); none for one that is merged into another (F4)."""
    if change.event.type is EventType.MERGED:
        return SkipReason.MERGED_SILENTLY
    document = change.before_document
    left = [Transition(*key, EXITED) for key in realized_in(flow, document.get("segmentMembership", {}))]
    if not left:
        return SkipReason.NOT_A_MEMBER
    if flow.options.on_delete == "silent":
        return SkipReason.DELETED_SILENTLY
    causes = _NO_CAUSES._replace(segments=left)
    if not causes.allowed_by(flow.options.triggers):
        return SkipReason.TRIGGER_OFF
    return _record(flow, source, change, causes, render_deletion(flow, document, change.event.time, causes), document)


def _record(
    flow: CompiledFlow, source: SourceRecord, change: Change, causes: Causes, content: Document, document: Document
) -> ExportRecord:
    event = change.event
    record_id = f"{source.topic}-{source.partition}-{source.offset}-{flow.id}"
    texts = causes.texts()
    data = orjson.dumps(content)
    value = data
    if flow.options.envelope == "cloudevents":
        value = _envelope(flow, record_id, change, texts, data)
    key = partition_key(flow.partition_key, event.key, document)
    return ExportRecord(
        record_id, flow.id, flow.etag, event.key, event.time, change.version, texts, data, value, key
    )


def _envelope(flow: CompiledFlow, record_id: str, change: Change, causes: tuple[str, ...], data: bytes) -> bytes:
    """The record as a CloudEvent (D2): lets a consumer drop duplicates and prove order."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": record_id,
            "source": f"/flows/{flow.id}",
            "type": "profile.exported",
            "subject": change.event.key,
            "time": change.event.time,
            "datacontenttype": "application/json",
            "profileversion": change.version,
            "causes": orjson.dumps(causes).decode(),
            "data": orjson.Fragment(data),
        }
    )
