"""Flows and audiences as a file has them (contract 4b), put into force one by one."""

from collections.abc import Iterable
from difflib import get_close_matches

from processor.catalog.state import Kept
from processor.control.draft import Draft
from processor.foundation.errors import UsageError
from schemas.audience import AudienceKey
from schemas.connection import Kind
from schemas.flow import MAX_FLOWS, Flow, FlowState


class TooManyFlows(UsageError):
    """More flows would be in force than M3 allows."""

    def __init__(self, count: int, kept: int = 0) -> None:
        besides = f" ({kept} of them not in the file)" if kept else ""
        super().__init__(f"{count} flows would be in force{besides}, {MAX_FLOWS} at most are allowed")


class NoSuchFlow(UsageError):
    """No flow has this id; `known`: the ids there are, one of which may be meant."""

    def __init__(self, flow_id: str, known: Iterable[str] = ()) -> None:
        near = get_close_matches(flow_id, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "`profile-exporter flows list` shows those in force"
        super().__init__(f"there is no flow {flow_id}; {remedy}")


class NotDeletedYet(UsageError):
    """A flow is in force: only what a deleted one still has to deliver can be abandoned."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(
            f"flow {flow_id} is in force, perhaps created anew: delete it first; then what it still has to deliver can"
            " be given up"
        )


class NoSuchAudience(UsageError):
    """Nobody described an audience of this key."""

    def __init__(self, key: AudienceKey) -> None:
        super().__init__(f"there is no audience {'/'.join(key)}")


def put_flow(draft: Draft, flow: Flow) -> Kept[Flow]:
    """Create or change a flow; raises TooManyFlows."""
    kept = draft.put_flow(flow)
    if len(draft.state.flows) > MAX_FLOWS:
        raise TooManyFlows(len(draft.state.flows))
    return kept


def set_flow_state(draft: Draft, flow_id: str, state: FlowState) -> Kept[Flow]:
    """Enable or disable a flow: from the next event that a worker decides (A12). Raises NoSuchFlow."""
    if flow_id not in draft.state.flows:
        raise NoSuchFlow(flow_id)
    return draft.put_flow(draft.state.flows[flow_id].item.model_copy(update={"state": state}))


def abandon_flow(draft: Draft, flow_id: str) -> None:
    """Abandon what a flow that was deleted with `emitExitOnUnmap` has to deliver: it becomes dead letters.

    Raises NotDeletedYet, NoSuchFlow.
    """
    if flow_id in draft.state.flows:
        raise NotDeletedYet(flow_id)
    if flow_id not in draft.state.leaving:
        raise NoSuchFlow(flow_id)
    draft.abandon_flow(flow_id)


def delete_flow(draft: Draft, flow_id: str) -> None:
    """Delete a flow: its records that still wait become dead letters `flow_deleted` (G9).

    With `emitExitOnUnmap` they and its last exits are delivered. Raises NoSuchFlow.
    """
    if flow_id not in draft.state.flows:
        raise NoSuchFlow(flow_id)
    draft.delete_flow(flow_id)
    draft.delete_object(Kind.FLOW, flow_id)


def delete_audience(draft: Draft, key: AudienceKey) -> None:
    """Delete the description of an audience; memberships in it go on (M1). Raises NoSuchAudience."""
    if key not in draft.state.audiences:
        raise NoSuchAudience(key)
    draft.delete_audience(key)
