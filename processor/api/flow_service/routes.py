"""The calls of the Flow Service, below /data/foundation/flowservice."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from processor.api.access import require_write
from processor.api.calls import Call, TheCall, if_match_of, quoted_answer
from processor.api.errors import ApiError, Code, not_found
from processor.api.flow_service import changes, query
from processor.api.flow_service.models import (
    ConnectionBody,
    FlowBody,
    PatchOperation,
    SourceConnectionBody,
    TargetConnectionBody,
)
from processor.api.flow_service.objects import Objects, destination_of
from processor.api.flow_service.specs import CONNECTION_SPECS, FLOW_SPECS, KINESIS, PROFILE_SERVICE
from processor.api.flow_service.views import all_views, connection_view, flow_view, without_secret
from processor.catalog.state import Kept
from schemas.connection import AnyObject, Connection, Kind, SpecReference, TargetConnection, TargetParams
from schemas.flow import Flow
from schemas.model import Remarks, list_faults

PATH: Final = "/data/foundation/flowservice"
CREATED: Final = 201

router = APIRouter(prefix=PATH, tags=["Flow Service"])

Properties = Annotated[
    list[str], Query(alias="property", description="property=name==X; a comma is or, repeated it is and")
]
Limit = Annotated[int | None, Query(description="1 to 100, 20 unless told")]
OrderBy = Annotated[str | None, Query(alias="orderby", description="a property, - before it for descending")]
Count = Annotated[bool, Query(description="only how many there are")]
Token = Annotated[str | None, Query(alias="continuationToken", description="of the page before")]


# the catalogue --------------------------------------------------------------------------------------------------------


def _catalogue(path: str, specs: list[dict[str, Any]]) -> None:
    @router.get(f"/{path}", name=f"list {path}")
    def list_specs(call: TheCall, properties: Properties = []) -> dict[str, Any]:  # noqa: ARG001, B006  # authorised; never changed
        return _answer(path, query.select(specs, query.Query(properties, query.MAX_LIMIT)))

    @router.get(f"/{path}/{{spec_id}}", name=f"get {path}")
    def get_spec(call: TheCall, spec_id: str) -> dict[str, Any]:  # noqa: ARG001  # authorised
        found = [spec for spec in specs if spec["id"] == spec_id]
        if not found:
            raise not_found(path, spec_id)
        return {"items": found}


_catalogue("connectionSpecs", CONNECTION_SPECS)
_catalogue("flowSpecs", FLOW_SPECS)


# create ---------------------------------------------------------------------------------------------------------------


@router.post("/connections", status_code=CREATED)
def create_connection(call: TheCall, request: Request, response: Response, body: ConnectionBody) -> dict[str, Any]:
    """A base connection. A secret in it is encrypted before it is stored, and never shown again."""
    return _created(
        call, request, response, lambda draft, new: changes.create_connection(draft, new, body, call.services.secrets)
    )


@router.post("/sourceConnections", status_code=CREATED)
def create_source_connection(
    call: TheCall, request: Request, response: Response, body: SourceConnectionBody
) -> dict[str, Any]:
    """A source connection."""
    return _created(call, request, response, lambda draft, new: changes.create_source(draft, new, body))


@router.post("/targetConnections", status_code=CREATED)
def create_target_connection(
    call: TheCall, request: Request, response: Response, body: TargetConnectionBody
) -> dict[str, Any]:
    """A target connection: a stream. `warnings` in the answer (ours): what contract M5 warns of."""
    remarks = Remarks()
    return _created(
        call, request, response, lambda draft, new: changes.create_target(draft, new, body, remarks), remarks
    )


@router.post("/flows", status_code=CREATED)
def create_flow(call: TheCall, request: Request, response: Response, body: FlowBody) -> dict[str, Any]:
    """A flow, enabled.

    `warnings` in the answer (ours): what its destination says against it, and what contract M3 and M5 warn of.
    """
    new, remarks = call.services.new_id(), Remarks()
    kept = call.change(lambda draft: changes.create_flow(draft, new, body, remarks))
    response.headers["Location"] = f"{request.url.path}/{new}"
    return quoted_answer(new, kept.etag, call.warnings(kept.item, remarks))


def _created(
    call: Call, request: Request, response: Response, create: Callable[[Any, str], str], remarks: Sequence[str] = ()
) -> dict[str, Any]:
    new = call.services.new_id()
    etag = call.change(lambda draft: create(draft, new))
    response.headers["Location"] = f"{request.url.path}/{new}"
    return quoted_answer(new, etag, _of_params(remarks))


def _of_params(remarks: Sequence[str]) -> list[str]:
    """Remarks on a target connection, which says as `params` what is an option of a flow."""
    return [remark.replace("options.", "params.", 1) for remark in dict.fromkeys(remarks)]


# read, change, remove -------------------------------------------------------------------------------------------------


def _objects(kind: Kind) -> None:
    @router.get(f"/{kind}", name=f"list {kind}")
    def list_objects(
        call: TheCall,
        properties: Properties = [],  # noqa: B006  # never changed
        limit: Limit = None,
        orderby: OrderBy = None,
        count: Count = False,
        token: Token = None,
    ) -> dict[str, Any]:
        views = [without_secret(view) | call.tenant for view in all_views(Objects(call.state), kind)]
        return _answer(kind, query.select(views, query.Query(properties, limit, orderby, count, token)))

    @router.get(f"/{kind}/{{object_id}}", name=f"get {kind}")
    def get_object(call: TheCall, object_id: str) -> dict[str, Any]:
        return {"items": [_view(Objects(call.state), kind, object_id) | call.tenant]}

    @router.delete(f"/{kind}/{{object_id}}", status_code=204, name=f"delete {kind}")
    def delete_object(call: TheCall, object_id: str) -> None:
        call.change(lambda draft: changes.delete(draft, kind, object_id))


def _patches(kind: Kind) -> None:
    @router.patch(f"/{kind}/{{object_id}}", name=f"patch {kind}")
    def patch_object(call: TheCall, request: Request, object_id: str, body: list[PatchOperation]) -> dict[str, Any]:
        if_match, operations, remarks = if_match_of(request), [_as_sent(operation) for operation in body], Remarks()
        if kind is Kind.FLOW:
            kept = call.change(lambda draft: changes.patch_flow(draft, object_id, if_match, operations, remarks))
            return quoted_answer(object_id, kept.etag, call.remarks(kept.item, remarks))
        secrets = call.services.secrets
        etag = call.change(
            lambda draft: changes.patch_connection(draft, kind, object_id, if_match, operations, secrets, remarks)
        )
        return quoted_answer(object_id, etag, _of_params(remarks))


for _kind in Kind:
    _objects(_kind)
    _patches(_kind)


@router.post("/flows/{flow_id}/action")
def act_on_flow(call: TheCall, flow_id: str, op: str, strict: bool = False) -> dict[str, Any]:
    """Enable or disable.

    Enabling asks the destination and tells in `warnings` (ours) what is wrong; with `strict` it is refused then.
    """
    require_write(call.caller)  # before a destination is asked: that is a signed call to wherever a flow says
    warnings: list[str] = []
    if op.lower() == "enable":
        kept_before = call.state.flows.get(flow_id)
        asked = [] if kept_before is None or kept_before.item.enabled else [kept_before.item.destination]
        if strict:
            _require_no_findings(flow_id, [text for each in asked for text in call.services.examine([each], False)])
        else:
            warnings = [text for each in asked for text in call.findings_to_tell(each)]
    kept: Kept[Flow] = call.change(lambda draft: changes.set_state(draft, flow_id, op))
    return quoted_answer(flow_id, kept.etag, warnings)


@router.get("/connections/{object_id}/test")
def test_connection(call: TheCall, object_id: str) -> dict[str, Any]:
    """Would a flow be let in?

    Asked of each stream on the connection; where there is none yet, only whether we are let in at all.

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


@router.get("/runs")
def list_runs(call: TheCall) -> dict[str, Any]:  # noqa: ARG001  # authorised
    """Hourly runs of flows: none are recorded yet."""
    return {"items": [], "_links": {}}


@router.get("/runs/{run_id}")
def get_run(call: TheCall, run_id: str) -> dict[str, Any]:  # noqa: ARG001  # authorised
    """One run: none are recorded yet."""
    raise not_found("runs", run_id)


def _view(objects: Objects, kind: Kind, object_id: str) -> dict[str, Any]:
    if kind is Kind.FLOW:
        attached = objects.flow(object_id)
        if attached is None:
            raise not_found(kind, object_id)
        return flow_view(object_id, attached)
    kept = objects.find(kind, object_id)
    if kept is None:
        raise not_found(kind, object_id)
    return without_secret(connection_view(objects, object_id, kept))


def _answer(path: str, found: query.Found) -> dict[str, Any]:
    if found.total is not None:
        return {"count": found.total}
    links = {} if found.next_token is None else {"next": {"href": f"/{path}?continuationToken={found.next_token}"}}
    return {"items": list(found.items), "_links": links}


def _as_sent(operation: PatchOperation) -> dict[str, Any]:
    """The operation as a client wrote it; what it did not say is not there, and a value is the very object that
    came.
    """
    said = {"op": operation.op, "path": operation.path, "value": operation.value, "from_": operation.from_}
    return {name.rstrip("_"): value for name, value in said.items() if name in operation.model_fields_set}
