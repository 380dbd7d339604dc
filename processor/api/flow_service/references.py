"""Find the objects that a change refers to, or refuse it. Pure."""

from pydantic import ValidationError

from processor.api.errors import ApiError, Code, not_found
from processor.api.flow_service.objects import Attached, Objects, destination_of
from processor.catalog.state import Kept
from processor.control.draft import Draft
from schemas.connection import AnyObject, Connection, Kind, SourceConnection, TargetConnection
from schemas.destination import Destination
from schemas.model import list_faults


def require_flow(draft: Draft, flow_id: str) -> Attached:
    """Return a flow with its connections; raise ApiError where it does not exist."""
    attached = Objects(draft.state).flow(flow_id)
    if attached is None:
        raise not_found(Kind.FLOW, flow_id)
    return attached


def require_object(objects: Objects, kind: Kind, object_id: str) -> Kept[AnyObject]:
    """Return a connection of any kind; raise ApiError where it does not exist."""
    kept = objects.find(kind, object_id)
    if kept is None:
        raise not_found(kind, object_id)
    return kept


def store_referenced(draft: Draft, kind: Kind, object_id: str, path: str) -> AnyObject:
    """Return the connection that the field `path` names, stored if it was derived; raise ApiError for none."""
    objects = Objects(draft.state)
    kept = objects.find(kind, object_id)
    if kept is None:
        raise ApiError(
            Code.INVALID, f"{path}: there is no {kind} object with the id {object_id}", kind=kind, object_id=object_id
        )
    objects.store(draft, kind, object_id)
    return kept.item


def require_base(draft: Draft, item: SourceConnection | TargetConnection) -> Connection:
    """Return the base connection of a connection; raise ApiError where their specs differ."""
    base = store_referenced(draft, Kind.CONNECTION, item.base_connection_id, "baseConnectionId")
    assert isinstance(base, Connection)
    if base.connection_spec.id != item.connection_spec.id:
        raise ApiError(
            Code.INVALID,
            f"baseConnectionId: that connection is of the spec {base.connection_spec.id}, not of"
            f" {item.connection_spec.id}",
        )
    return base


def build_destination(base: Connection, target: TargetConnection) -> Destination:
    """Return where flows of a target connection deliver; raise ApiError where that is not whole."""
    if target.params.region is None and target.params.stream_arn is None and base.region is None:
        raise ApiError(
            Code.INVALID, "params.region: neither the target connection nor its base connection names a region"
        )
    try:
        return destination_of(base, target)
    except ValidationError as error:
        raise ApiError(Code.INVALID, "; ".join(list_faults(error, "params"))) from None
