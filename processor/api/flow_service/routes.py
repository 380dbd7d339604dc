"""The calls of the Flow Service, below /data/foundation/flowservice, that read, change and delete objects."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from processor.api.calls import TheCall, changed_object, if_match_of
from processor.api.errors import not_found
from processor.api.flow_service import changes, connection_changes, query
from processor.api.flow_service.bodies import remarks_on_params
from processor.api.flow_service.models import PatchOperation
from processor.api.flow_service.objects import Objects
from processor.api.flow_service.specs import CONNECTION_SPECS, FLOW_SPECS
from processor.api.flow_service.views import all_views, connection_view, flow_view, without_secret
from schemas.connection import Kind
from schemas.model import Remarks

PATH: Final = "/data/foundation/flowservice"

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
        return _response(path, query.select(specs, query.Query(properties, query.MAX_LIMIT)))

    @router.get(f"/{path}/{{spec_id}}", name=f"get {path}")
    def get_spec(call: TheCall, spec_id: str) -> dict[str, Any]:  # noqa: ARG001  # authorised
        found = [spec for spec in specs if spec["id"] == spec_id]
        if not found:
            raise not_found(path, spec_id)
        return {"items": found}


_catalogue("connectionSpecs", CONNECTION_SPECS)
_catalogue("flowSpecs", FLOW_SPECS)


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
        return _response(kind, query.select(views, query.Query(properties, limit, orderby, count, token)))

    @router.get(f"/{kind}/{{object_id}}", name=f"get {kind}")
    def get_object(call: TheCall, object_id: str) -> dict[str, Any]:
        return {"items": [_view(Objects(call.state), kind, object_id) | call.tenant]}

    @router.delete(f"/{kind}/{{object_id}}", status_code=204, name=f"delete {kind}")
    def delete_object(call: TheCall, object_id: str) -> None:
        call.change(lambda draft: changes.delete_object(draft, kind, object_id))


def _patches(kind: Kind) -> None:
    @router.patch(f"/{kind}/{{object_id}}", name=f"patch {kind}")
    def patch_object(call: TheCall, request: Request, object_id: str, body: list[PatchOperation]) -> dict[str, Any]:
        if_match, operations, remarks = if_match_of(request), [_as_sent(operation) for operation in body], Remarks()
        if kind is Kind.FLOW:
            kept = call.change(lambda draft: changes.patch_flow(draft, object_id, if_match, operations, remarks))
            return changed_object(object_id, kept.etag, call.remarks(kept.item, remarks))
        secrets = call.services.secrets
        etag = call.change(
            lambda draft: connection_changes.patch_connection(
                draft, kind, object_id, if_match, operations, secrets, remarks
            )
        )
        return changed_object(object_id, etag, remarks_on_params(remarks))


for _kind in Kind:
    _objects(_kind)
    _patches(_kind)


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


def _response(path: str, found: query.Page) -> dict[str, Any]:
    if found.total is not None:
        return {"count": found.total}
    links = {} if found.next_token is None else {"next": {"href": f"/{path}?continuationToken={found.next_token}"}}
    return {"items": list(found.items), "_links": links}


def _as_sent(operation: PatchOperation) -> dict[str, Any]:
    """Return an operation as a client wrote it: without what was not sent, and with the very value that came."""
    fields = {"op": operation.op, "path": operation.path, "value": operation.value, "from_": operation.from_}
    return {name.rstrip("_"): value for name, value in fields.items() if name in operation.model_fields_set}
