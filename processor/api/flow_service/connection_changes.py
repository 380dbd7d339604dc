"""Create and change connections: each function decides by the draft's state and puts what follows into it.

Pure; what it raises changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from processor.api.errors import ApiError, Code
from processor.api.etags import require_match
from processor.api.flow_service.bodies import checked, connection_of, source_of, target_of
from processor.api.flow_service.models import ConnectionBody, SourceConnectionBody, TargetConnectionBody
from processor.api.flow_service.objects import Objects, options_of
from processor.api.flow_service.patching import patched
from processor.api.flow_service.references import build_destination, require_base, require_object
from processor.api.flow_service.views import FIXED, connection_view
from processor.catalog.state import Kept
from processor.control.draft import Draft
from processor.foundation.secrets import Secrets
from schemas.connection import AnyObject, Connection, FlowLink, Kind, TargetConnection
from schemas.model import Remarks


def create_connection(draft: Draft, object_id: str, body: ConnectionBody, secrets: Secrets) -> str:
    """Create a base connection and return its etag."""
    return draft.put_object(Kind.CONNECTION, object_id, connection_of(body, secrets)).etag


def create_source(draft: Draft, object_id: str, body: SourceConnectionBody) -> str:
    """Create a source connection and return its etag."""
    source = source_of(body)
    require_base(draft, source)
    return draft.put_object(Kind.SOURCE_CONNECTION, object_id, source).etag


def create_target(draft: Draft, object_id: str, body: TargetConnectionBody, remarks: Remarks) -> str:
    """Create a target connection and return its etag."""
    target = target_of(body, remarks)
    # one that was made before this was asked for may lack it, and be changed
    if target.params.region is None and target.params.stream_arn is None:
        raise ApiError(Code.INVALID, "params.region: Field required")
    build_destination(require_base(draft, target), target)
    return draft.put_object(Kind.TARGET_CONNECTION, object_id, target).etag


def patch_connection(
    draft: Draft,
    kind: Kind,
    object_id: str,
    if_match: str,
    operations: Sequence[Any],
    secrets: Secrets,
    remarks: Remarks,
) -> str:
    """Change a connection and return its etag afterwards.

    Where it sends records holds for all flows that use it, in the same transaction.
    """
    objects = Objects(draft.state)
    kept = require_object(objects, kind, object_id)
    require_match(kind, object_id, kept.etag, if_match)
    after = patched(connection_view(objects, object_id, kept), operations)
    body = {name: value for name, value in after.items() if name not in FIXED}
    flow_ids = _make_users_real(draft, objects, kind, object_id)
    item = _changed_item(draft, kind, kept, body, secrets, remarks)
    etag = draft.put_object(kind, object_id, item).etag
    _follow_connections(draft, flow_ids)
    return etag


def _changed_item(
    draft: Draft, kind: Kind, kept: Kept[AnyObject], body: dict[str, Any], secrets: Secrets, remarks: Remarks
) -> AnyObject:
    if kind is Kind.CONNECTION:
        assert isinstance(kept.item, Connection)
        return connection_of(checked(ConnectionBody, body), secrets, kept.item)
    if kind is Kind.SOURCE_CONNECTION:
        source = source_of(checked(SourceConnectionBody, body))
        require_base(draft, source)
        return source
    target = target_of(checked(TargetConnectionBody, body), remarks)
    build_destination(require_base(draft, target), target)
    return target


def _make_users_real(draft: Draft, objects: Objects, kind: Kind, object_id: str) -> list[str]:
    """Store what the users of a connection were shown, and return the flows among them.

    Flows use it directly or by another connection; they keep using it when it differs from the derived one.
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
    """Have these flows deliver where their connections lead."""
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
                update={"destination": build_destination(base, target), "options": options_of(flow.options, target)}
            )
        )
