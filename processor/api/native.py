"""The native calls, /v1/flows and /v1/audiences: flows and audiences as in a file (contract 4b)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from processor.api.calls import TheCall, changed_object, if_match_of
from processor.api.errors import ApiError, Code, not_found
from processor.api.etags import quoted, require_match
from processor.api.flow_service.bodies import checked
from processor.catalog.state import Kept
from processor.control import native
from processor.control.draft import Draft
from schemas.audience import Audience, warning_of_namespace
from schemas.destination import MASKED, mask_secrets
from schemas.flow import Flow
from schemas.model import Remarks, dump_model

router = APIRouter(prefix="/v1", tags=["native"])

JsonObject = dict[str, Any]


@router.get("/flows")
def list_flows(call: TheCall) -> JsonObject:
    """List all flows, with their secrets masked."""
    return {"items": [_shown(kept) for _, kept in sorted(call.state.flows.items())]}


@router.get("/flows/{flow_id}")
def get_flow(call: TheCall, flow_id: str) -> JsonObject:
    """Show a flow, with its secret masked."""
    kept = call.state.flows.get(flow_id)
    if kept is None:
        raise not_found("flows", flow_id)
    return _shown(kept)


@router.put("/flows/{flow_id}")
def put_flow(call: TheCall, request: Request, flow_id: str, body: JsonObject) -> JsonObject:
    """Create or change a flow; with If-Match only where the etag fits. A masked secret stays what it is."""
    remarks = Remarks()

    def decide(draft: Draft) -> tuple[Kept[Flow], Flow | None]:
        before = draft.state.flows.get(flow_id)
        _require_match(request, "flows", flow_id, None if before is None else before.etag)
        try:
            return native.put_flow(draft, _flow(flow_id, body, before, remarks)), (
                None if before is None else before.item
            )
        except native.TooManyFlows as error:
            raise ApiError(Code.TOO_MANY_FLOWS, str(error), kind="flows") from None

    kept, before = call.change(decide)
    return changed_object(flow_id, kept.etag, call.warnings(kept.item, remarks, before))


@router.delete("/flows/{flow_id}", status_code=204)
def delete_flow(
    call: TheCall, request: Request, flow_id: str, give_up: Annotated[bool, Query(alias="giveUp")] = False
) -> None:
    """Delete a flow; records of it that wait become dead letters (G9).

    `giveUp`: what one that was removed before has still to deliver (F2).
    """

    def decide(draft: Draft) -> None:
        before = draft.state.flows.get(flow_id) or (draft.state.leaving.get(flow_id) if give_up else None)
        if before is None:
            raise not_found("flows", flow_id)
        _require_match(request, "flows", flow_id, before.etag)
        try:
            (native.abandon_flow if give_up else native.delete_flow)(draft, flow_id)
        except native.NotDeletedYet as error:
            raise ApiError(Code.INVALID, str(error), kind="flows", object_id=flow_id) from None

    call.change(decide)


@router.get("/audiences")
def list_audiences(call: TheCall) -> JsonObject:
    """List all audiences that somebody described."""
    return {"items": [_audience(kept) for _, kept in sorted(call.state.audiences.items())]}


@router.get("/audiences/{namespace}/{audience_id}")
def get_audience(call: TheCall, namespace: str, audience_id: str) -> JsonObject:
    """Show an audience that somebody described."""
    kept = call.state.audiences.get((namespace, audience_id))
    if kept is None:
        raise not_found("audiences", f"{namespace}/{audience_id}")
    return _audience(kept)


@router.put("/audiences/{namespace}/{audience_id}")
def put_audience(call: TheCall, request: Request, namespace: str, audience_id: str, body: JsonObject) -> JsonObject:
    """Describe an audience; no record leaves for that (M1)."""
    _require_same(body, namespace=namespace, id=audience_id)
    audience = checked(Audience, body | {"namespace": namespace, "id": audience_id})

    def decide(draft: Draft) -> Kept[Audience]:
        before = draft.state.audiences.get(audience.key)
        _require_match(request, "audiences", f"{namespace}/{audience_id}", None if before is None else before.etag)
        return draft.put_audience(audience)

    warning = warning_of_namespace(namespace)
    return changed_object(
        f"{namespace}/{audience_id}", call.change(decide).etag, None if warning is None else [warning]
    )


@router.delete("/audiences/{namespace}/{audience_id}", status_code=204)
def delete_audience(call: TheCall, request: Request, namespace: str, audience_id: str) -> None:
    """Delete the description of an audience; memberships in it go on."""

    def decide(draft: Draft) -> None:
        before = draft.state.audiences.get((namespace, audience_id))
        if before is None:
            raise not_found("audiences", f"{namespace}/{audience_id}")
        _require_match(request, "audiences", f"{namespace}/{audience_id}", before.etag)
        native.delete_audience(draft, (namespace, audience_id))

    call.change(decide)


def _flow(flow_id: str, body: JsonObject, before: Kept[Flow] | None, remarks: Remarks) -> Flow:
    _require_same(body, id=flow_id)
    destination = body.get("destination")
    credentials = destination.get("credentials") if isinstance(destination, dict) else None
    if (
        isinstance(destination, dict)
        and isinstance(credentials, dict)
        and credentials.get("secretKey") == MASKED
        and before is not None
    ):
        kept = getattr(before.item.destination.credentials, "secret_key", MASKED)
        body = body | {"destination": destination | {"credentials": credentials | {"secretKey": kept}}}
    return checked(Flow, body | {"id": flow_id}, remarks=remarks)


def _require_same(body: JsonObject, **wanted: str) -> None:
    for name, value in wanted.items():
        if body.get(name, value) != value:
            raise ApiError(Code.INVALID, f"{name}: the body says another one than the path")


def _require_match(request: Request, kind: str, object_id: str, etag: str | None) -> None:
    if "if-match" in request.headers:
        require_match(kind, object_id, etag, if_match_of(request))


def _shown(kept: Kept[Flow]) -> JsonObject:
    flow: JsonObject = mask_secrets(dump_model(kept.item))
    return {"flow": flow, "etag": quoted(kept.etag), "createdAt": kept.created_at, "updatedAt": kept.updated_at}


def _audience(kept: Kept[Audience]) -> JsonObject:
    return {"audience": dump_model(kept.item), "etag": quoted(kept.etag)}
