"""The calls of the Flow Service that ask destinations: enabling a flow, and the test of a connection."""

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from processor.api.access import require_write
from processor.api.calls import Call, TheCall, changed_object
from processor.api.errors import ApiError, Code, not_found
from processor.api.flow_service import changes
from processor.api.flow_service.objects import Objects, destination_of
from processor.api.flow_service.routes import PATH
from processor.api.flow_service.specs import KINESIS, PROFILE_SERVICE
from processor.catalog.state import Kept
from schemas.connection import AnyObject, Connection, Kind, SpecReference, TargetConnection, TargetParams
from schemas.flow import Flow
from schemas.model import list_faults

router = APIRouter(prefix=PATH, tags=["Flow Service"])


@router.post("/flows/{flow_id}/action")
def act_on_flow(call: TheCall, flow_id: str, op: str, strict: bool = False) -> dict[str, Any]:
    """Enable or disable a flow.

    Enabling asks the destination and returns its faults in `warnings` (ours); with `strict` it is refused then.
    """
    require_write(call.caller)  # before a destination is asked: that is a signed call to wherever a flow says
    warnings: list[str] = []
    if op.lower() == "enable":
        kept_before = call.state.flows.get(flow_id)
        asked = [] if kept_before is None or kept_before.item.enabled else [kept_before.item.destination]
        if strict:
            _require_no_findings(flow_id, [text for each in asked for text in call.services.examine([each], False)])
        else:
            warnings = [text for each in asked for text in call.find_faults(each)]
    kept: Kept[Flow] = call.change(lambda draft: changes.set_flow_state(draft, flow_id, op))
    return changed_object(flow_id, kept.etag, warnings)


@router.get("/connections/{object_id}/test")
def test_connection(call: TheCall, object_id: str) -> dict[str, Any]:
    """Test whether flows on a connection would be authorized.

    Each stream on the connection is asked; where it has none yet, only whether we are authorized at all.

    `findings` (ours): what is wrong. As it makes signed calls to an address that somebody chose, a token for reading is
    not enough.
    """
    require_write(call.caller)
    objects = Objects(call.state)
    kept = objects.find(Kind.CONNECTION, object_id)
    if kept is None:
        raise not_found(Kind.CONNECTION, object_id)
    assert isinstance(kept.item, Connection)
    if kept.item.connection_spec.id == PROFILE_SERVICE:
        return {"result": True, "findings": []}
    findings = _findings(
        call, kept.item, [target for _, target in objects.all(Kind.TARGET_CONNECTION) if _is_on(target, object_id)]
    )
    return {"result": not findings, "findings": findings}


def _require_no_findings(flow_id: str, findings: list[str]) -> None:
    if findings:
        raise ApiError(
            Code.ACTION_NOT_VALID, "it would not deliver: " + "; ".join(findings), kind=Kind.FLOW, object_id=flow_id
        )


def _is_on(target: Kept[AnyObject], base_id: str) -> bool:
    return isinstance(target.item, TargetConnection) and target.item.base_connection_id == base_id


def _findings(call: Call, base: Connection, targets: list[Kept[AnyObject]]) -> list[str]:
    examine = call.services.examine
    try:
        if targets:
            destinations = dict.fromkeys(
                destination_of(base, each.item) for each in targets if isinstance(each.item, TargetConnection)
            )
            return examine(list(destinations), False)
        if base.region is None:
            return ["neither the connection nor a target connection on it names a region"]
        spec = SpecReference(id=KINESIS)
        anywhere = TargetConnection(
            name="-", base_connection_id="-", connection_spec=spec, params=TargetParams(stream="-")
        )
        return examine([destination_of(base, anywhere)], True)
    except ValidationError as error:  # an address or a region that was stored before it was refused
        return list_faults(error, "auth.params")
