"""Flows whose etag no audit event names, as those of before audit events had etags: they are recorded once.

An export names the etag of its flow, and `flows` is compacted: what the etag stood for is known from audit events alone.
"""

from collections.abc import Callable, Collection, Container, Mapping

from processor.control.audit import FlowEtag
from processor.control.draft import Draft
from processor.control.state import ControlState
from processor.kafka.catalog_records import StoredFlow

Unnamed = Callable[[Collection[FlowEtag]], Container[FlowEtag]]
"""Those of some flows and etags that no audit event names."""


def standing_flows(state: ControlState) -> Mapping[FlowEtag, StoredFlow]:
    """Give what stands on `flows`: the flows in force, and those that are deleted and still have exits to send (F2)."""
    in_force = {(flow_id, kept.etag): StoredFlow(kept.item, kept.etag) for flow_id, kept in state.flows.items()}
    return in_force | {(flow_id, stored.etag): stored for flow_id, stored in state.leaving.items()}


def record_etags(draft: Draft, unnamed: Unnamed) -> None:
    """Put an audit event `recorded` into the draft for each flow that lacks one; `unnamed` reads what was committed before."""
    standing = standing_flows(draft.state)
    missing = unnamed(standing.keys()) if standing else ()
    for flow_etag, stored in standing.items():
        if flow_etag in missing:
            draft.record_flow(stored)
