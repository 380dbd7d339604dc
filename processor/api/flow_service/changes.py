"""Create, change and delete flows, and delete connections: each function puts what follows into the draft.

Pure; what it raises changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from processor.api.errors import ApiError, Code
from processor.api.etags import require_match
from processor.api.flow_service.bodies import MappedSelectors, checked, known_spec, options_of_flow
from processor.api.flow_service.models import FlowBody
from processor.api.flow_service.objects import Attached, Objects, options_of
from processor.api.flow_service.patching import patched
from processor.api.flow_service.references import (
    build_destination,
    require_base,
    require_flow,
    require_object,
    store_referenced,
)
from processor.api.flow_service.specs import FLOW_SPECS
from processor.api.flow_service.views import FIXED, flow_view
from processor.catalog.state import Kept
from processor.control.draft import Draft
from processor.control.native import TooManyFlows, put_flow
from schemas.connection import FlowLink, Kind, TargetConnection
from schemas.flow import Flow, FlowState
from schemas.model import Remarks


def create_flow(draft: Draft, flow_id: str, body: FlowBody, remarks: Remarks) -> Kept[Flow]:
    """Create a flow, and return it as it is in force."""
    known_spec(body.flow_spec, FLOW_SPECS)
    return _put_flow(draft, flow_id, body, None, remarks)


def patch_flow(draft: Draft, flow_id: str, if_match: str, operations: Sequence[Any], remarks: Remarks) -> Kept[Flow]:
    """Change a flow, and return it as it is afterwards."""
    attached = require_flow(draft, flow_id)
    require_match(Kind.FLOW, flow_id, attached.flow.etag, if_match)
    before = flow_view(flow_id, attached)
    after = patched(before, operations)
    if after == before:
        return attached.flow
    body = {name: value for name, value in after.items() if name not in FIXED}
    Objects(draft.state).make_real(draft, flow_id)
    return _put_flow(draft, flow_id, checked(FlowBody, body), attached, remarks)


def set_flow_state(draft: Draft, flow_id: str, action: str) -> Kept[Flow]:
    """Enable or disable a flow; where it is so already, nothing changes."""
    attached = require_flow(draft, flow_id)
    states = {"enable": FlowState.ENABLED, "disable": FlowState.DISABLED}
    state = states.get(action.lower())
    if state is None:
        raise ApiError(
            Code.ACTION_NOT_VALID, f"op={action} is none of enable, disable", kind=Kind.FLOW, object_id=flow_id
        )
    return draft.put_flow(attached.flow.item.model_copy(update={"state": state}))


def delete_object(draft: Draft, kind: Kind, object_id: str) -> None:
    """Delete an object, where nothing uses it."""
    objects = Objects(draft.state)
    if kind is Kind.FLOW:
        require_flow(draft, object_id)
        draft.delete_flow(object_id)
        draft.delete_object(Kind.FLOW, object_id)
        return
    require_object(objects, kind, object_id)
    if users := objects.users(kind, object_id):
        code = Code.BASE_IN_USE if kind is Kind.CONNECTION else Code.IN_USE_BY_FLOWS
        raise ApiError(
            code, f"it is used by {', '.join(sorted(users)[:5])}: delete those first", kind=kind, object_id=object_id
        )
    draft.delete_object(kind, object_id)


def _put_flow(draft: Draft, flow_id: str, body: FlowBody, before: Attached | None, remarks: Remarks) -> Kept[Flow]:
    (source_id,), (target_id,) = body.source_connection_ids, body.target_connection_ids
    store_referenced(draft, Kind.SOURCE_CONNECTION, source_id, "sourceConnectionIds")
    target = store_referenced(draft, Kind.TARGET_CONNECTION, target_id, "targetConnectionIds")
    assert isinstance(target, TargetConnection)
    notes, audiences = ({}, ()) if before is None else (before.link.notes, before.flow.item.audiences)
    mapped = MappedSelectors(body, notes, audiences, draft.now_ms // 1000)
    flow = _build_flow(draft, flow_id, body, target, mapped, before, remarks)
    spec = known_spec(body.flow_spec, FLOW_SPECS)
    draft.put_object(
        Kind.FLOW,
        flow_id,
        FlowLink(source_connection_id=source_id, target_connection_id=target_id, flow_spec=spec, notes=mapped.notes),
    )
    try:
        kept = put_flow(draft, flow)
    except TooManyFlows as error:
        raise ApiError(Code.TOO_MANY_FLOWS, str(error), kind=Kind.FLOW) from None
    return kept if before is None or kept.etag != before.flow.etag else draft.put_flow(flow, even_if_same=True)


def _build_flow(
    draft: Draft,
    flow_id: str,
    body: FlowBody,
    target: TargetConnection,
    mapped: MappedSelectors,
    before: Attached | None,
    remarks: Remarks,
) -> Flow:
    options = options_of(options_of_flow(body, remarks), target)
    return checked(
        Flow,
        {
            "id": flow_id,
            "name": body.name,
            "description": body.description,
            "state": FlowState.ENABLED if before is None else before.flow.item.state,
            "destination": build_destination(require_base(draft, target), target).model_dump(by_alias=True),
            "audiences": mapped.audiences,
            "attributes": mapped.attributes,
            "options": options.model_dump(by_alias=True),
        },
        remarks=remarks,
    )
