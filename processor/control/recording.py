"""Flows whose etag no audit event names, as those of before audit events had etags: they are recorded once.

An export names the etag of its flow, and `flows` is compacted: what the etag stood for is known from audit events
alone.
"""

from collections.abc import Callable, Collection, Container, Mapping

from processor.catalog.state import ControlState
from processor.control.draft import Draft
from schemas.wire.audit_events import FlowEtag
from schemas.wire.flows import StoredFlow

Unnamed = Callable[[Collection[FlowEtag]], Container[FlowEtag]]
"""Those of some flows and etags that no audit event names."""


def find_unnamed_candidates(state: ControlState) -> Mapping[FlowEtag, StoredFlow]:
    """Return the flows that audit events may not name: those whose record names no author.

    They are in force, or deleted with exits still to send (F2). A record that names its author was written in one
    transaction with an audit event that names its etag: for it nothing is looked up.
    """
    in_force = {
        (flow_id, kept.etag): StoredFlow(kept.item, kept.etag)
        for flow_id, kept in state.flows.items()
        if kept.updated_by is None
    }
    return in_force | {
        (flow_id, stored.etag): stored for flow_id, stored in state.leaving.items() if stored.updated_by is None
    }


def record_etags(draft: Draft, unnamed: Unnamed) -> None:
    """Put an audit event `recorded` into the draft for each flow that lacks one.

    `unnamed` reads what was committed before.
    """
    before = find_unnamed_candidates(draft.state)
    missing = unnamed(before.keys()) if before else ()
    for flow_etag, stored in before.items():
        if flow_etag in missing:
            draft.record_flow(stored)
