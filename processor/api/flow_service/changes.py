"""What clients change: each function decides by the draft's state and puts what follows into it.

Pure; what it raises changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from processor.api.errors import ApiError, Code, not_found
from processor.api.etags import require_match
from processor.api.flow_service.bodies import (
    Mapped,
    checked,
    connection_of,
    known_spec,
    options_of_flow,
    source_of,
    target_of,
)
from processor.api.flow_service.models import ConnectionBody, FlowBody, SourceConnectionBody, TargetConnectionBody
from processor.api.flow_service.objects import Attached, Objects, destination_of, options_of
from processor.api.flow_service.patching import patched
from processor.api.flow_service.specs import FLOW_SPECS
from processor.api.flow_service.views import FIXED, connection_view, flow_view
from processor.catalog.state import Kept
from processor.control.draft import Draft
from processor.control.native import TooManyFlows, put_flow
from processor.foundation.secrets import Secrets
from schemas.connection import AnyObject, Connection, FlowLink, Kind, SourceConnection, TargetConnection
from schemas.destination import Destination
from schemas.flow import Flow, FlowState
from schemas.model import Remarks, list_faults


def create_connection(draft: Draft, object_id: str, body: ConnectionBody, secrets: Secrets) -> str:
    """Its etag."""
    return draft.put_object(Kind.CONNECTION, object_id, connection_of(body, secrets)).etag


def create_source(draft: Draft, object_id: str, body: SourceConnectionBody) -> str:
    """The same of a source connection."""
    source = source_of(body)
    _base(draft, source)
    return draft.put_object(Kind.SOURCE_CONNECTION, object_id, source).etag


def create_target(draft: Draft, object_id: str, body: TargetConnectionBody, remarks: Remarks) -> str:
    """The same of a target connection."""
    target = target_of(body, remarks)
    if (
        target.params.region is None and target.params.stream_arn is None
    ):  # one that was made before this was asked for may lack it, and be changed
        raise ApiError(Code.INVALID, "params.region: Field required")
    _destination(_base(draft, target), target)
    return draft.put_object(Kind.TARGET_CONNECTION, object_id, target).etag


def create_flow(draft: Draft, flow_id: str, body: FlowBody, remarks: Remarks) -> Kept[Flow]:
    """The flow, in force."""
    known_spec(body.flow_spec, FLOW_SPECS)
    return _put_flow(draft, flow_id, body, None, remarks)


def patch_connection(
    draft: Draft,
    kind: Kind,
    object_id: str,
    if_match: str,
    operations: Sequence[Any],
    secrets: Secrets,
    remarks: Remarks,
) -> str:
    """Its etag afterwards.

    What it says of where records go holds for all flows that use it, in the same transaction.
    """
    objects = Objects(draft.state)
    kept = _found(objects, kind, object_id)
    require_match(kind, object_id, kept.etag, if_match)
    after = patched(connection_view(objects, object_id, kept), operations)
    body = {name: value for name, value in after.items() if name not in FIXED}
    flow_ids = _make_users_real(draft, objects, kind, object_id)
    item: AnyObject
    if kind is Kind.CONNECTION:
        assert isinstance(kept.item, Connection)
        item = connection_of(checked(ConnectionBody, body), secrets, kept.item)
    elif kind is Kind.SOURCE_CONNECTION:
        item = source_of(checked(SourceConnectionBody, body))
        _base(draft, item)
    else:
        item = target_of(checked(TargetConnectionBody, body), remarks)
        _destination(_base(draft, item), item)
    etag = draft.put_object(kind, object_id, item).etag
    _follow_connections(draft, flow_ids)
    return etag


def patch_flow(draft: Draft, flow_id: str, if_match: str, operations: Sequence[Any], remarks: Remarks) -> Kept[Flow]:
    """The flow afterwards."""
    attached = _flow(draft, flow_id)
    require_match(Kind.FLOW, flow_id, attached.flow.etag, if_match)
    before = flow_view(flow_id, attached)
    after = patched(before, operations)
    if after == before:
        return attached.flow
    body = {name: value for name, value in after.items() if name not in FIXED}
    Objects(draft.state).make_real(draft, flow_id)
    return _put_flow(draft, flow_id, checked(FlowBody, body), attached, remarks)


def set_state(draft: Draft, flow_id: str, action: str) -> Kept[Flow]:
    """Enable or disable; already so: nothing changes."""
    attached = _flow(draft, flow_id)
    states = {"enable": FlowState.ENABLED, "disable": FlowState.DISABLED}
    state = states.get(action.lower())
    if state is None:
        raise ApiError(
            Code.ACTION_NOT_VALID, f"op={action} is none of enable, disable", kind=Kind.FLOW, object_id=flow_id
        )
    return draft.put_flow(attached.flow.item.model_copy(update={"state": state}))


def delete(draft: Draft, kind: Kind, object_id: str) -> None:
    """Remove it, where nothing uses it."""
    objects = Objects(draft.state)
    if kind is Kind.FLOW:
        _flow(draft, object_id)
        draft.delete_flow(object_id)
        draft.delete_object(Kind.FLOW, object_id)
        return
    _found(objects, kind, object_id)
    if users := objects.users(kind, object_id):
        code = Code.BASE_IN_USE if kind is Kind.CONNECTION else Code.IN_USE_BY_FLOWS
        raise ApiError(
            code, f"it is used by {', '.join(sorted(users)[:5])}: delete those first", kind=kind, object_id=object_id
        )
    draft.delete_object(kind, object_id)


def _put_flow(draft: Draft, flow_id: str, body: FlowBody, before: Attached | None, remarks: Remarks) -> Kept[Flow]:
    (source_id,), (target_id,) = body.source_connection_ids, body.target_connection_ids
    _referenced(draft, Kind.SOURCE_CONNECTION, source_id, "sourceConnectionIds")
    target = _referenced(draft, Kind.TARGET_CONNECTION, target_id, "targetConnectionIds")
    assert isinstance(target, TargetConnection)
    notes, audiences = ({}, ()) if before is None else (before.link.notes, before.flow.item.audiences)
    mapped = Mapped(body, notes, audiences, draft.now_ms // 1000)
    options = options_of(options_of_flow(body, remarks), target)
    flow = checked(
        Flow,
        {
            "id": flow_id,
            "name": body.name,
            "description": body.description,
            "state": FlowState.ENABLED if before is None else before.flow.item.state,
            "destination": _destination(_base(draft, target), target).model_dump(by_alias=True),
            "audiences": mapped.audiences,
            "attributes": mapped.attributes,
            "options": options.model_dump(by_alias=True),
        },
        remarks=remarks,
    )
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


def _make_users_real(draft: Draft, objects: Objects, kind: Kind, object_id: str) -> list[str]:
    """The flows that use it, directly or by another connection: they keep using it when it is another than the derived
    one.
    """
    users = objects.users(kind, object_id)
    if kind is Kind.CONNECTION:
        users = [
            flow_id
            for user in users
            for of in (Kind.SOURCE_CONNECTION, Kind.TARGET_CONNECTION)
            for flow_id in objects.users(of, user)
        ]
    flow_ids = list(dict.fromkeys(users))
    for flow_id in flow_ids:
        objects.make_real(draft, flow_id)
    return flow_ids


def _follow_connections(draft: Draft, flow_ids: Sequence[str]) -> None:
    """These flows say where their connections say that they deliver."""
    objects = draft.state.objects
    for flow_id in flow_ids:
        link = objects[Kind.FLOW, flow_id].item
        assert isinstance(link, FlowLink)
        target = objects[Kind.TARGET_CONNECTION, link.target_connection_id].item
        assert isinstance(target, TargetConnection)
        base = objects[Kind.CONNECTION, target.base_connection_id].item
        assert isinstance(base, Connection)
        flow = draft.state.flows[flow_id].item
        draft.put_flow(
            flow.model_copy(
                update={"destination": _destination(base, target), "options": options_of(flow.options, target)}
            )
        )


def _flow(draft: Draft, flow_id: str) -> Attached:
    attached = Objects(draft.state).flow(flow_id)
    if attached is None:
        raise not_found(Kind.FLOW, flow_id)
    return attached


def _found(objects: Objects, kind: Kind, object_id: str) -> Kept[AnyObject]:
    kept = objects.find(kind, object_id)
    if kept is None:
        raise not_found(kind, object_id)
    return kept


def _referenced(draft: Draft, kind: Kind, object_id: str, place: str) -> AnyObject:
    """What the object at `place` refers to; stored from now on, if it was derived."""
    objects = Objects(draft.state)
    kept = objects.find(kind, object_id)
    if kept is None:
        raise ApiError(
            Code.INVALID, f"{place}: there is no {kind} object with the id {object_id}", kind=kind, object_id=object_id
        )
    objects.store(draft, kind, object_id)
    return kept.item


def _base(draft: Draft, item: SourceConnection | TargetConnection) -> Connection:
    base = _referenced(draft, Kind.CONNECTION, item.base_connection_id, "baseConnectionId")
    assert isinstance(base, Connection)
    if base.connection_spec.id != item.connection_spec.id:
        raise ApiError(
            Code.INVALID,
            f"baseConnectionId: that connection is of the spec {base.connection_spec.id}, not of"
            f" {item.connection_spec.id}",
        )
    return base


def _destination(base: Connection, target: TargetConnection) -> Destination:
    if target.params.region is None and target.params.stream_arn is None and base.region is None:
        raise ApiError(
            Code.INVALID, "params.region: neither the target connection nor its base connection names a region"
        )
    try:
        return destination_of(base, target)
    except ValidationError as error:
        raise ApiError(Code.INVALID, "; ".join(list_faults(error, "params"))) from None
