"""The calls of the Flow Service that create connections and flows."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from processor.api.calls import Call, TheCall, changed_object
from processor.api.flow_service import changes, connection_changes
from processor.api.flow_service.bodies import remarks_on_params
from processor.api.flow_service.models import ConnectionBody, FlowBody, SourceConnectionBody, TargetConnectionBody
from processor.api.flow_service.routes import PATH
from schemas.model import Remarks

CREATED: Final = 201

router = APIRouter(prefix=PATH, tags=["Flow Service"])


@router.post("/connections", status_code=CREATED)
def create_connection(call: TheCall, request: Request, response: Response, body: ConnectionBody) -> dict[str, Any]:
    """Create a base connection; a secret in it is encrypted before it is stored, and never shown again."""
    return _created(
        call,
        request,
        response,
        lambda draft, new: connection_changes.create_connection(draft, new, body, call.services.secrets),
    )


@router.post("/sourceConnections", status_code=CREATED)
def create_source_connection(
    call: TheCall, request: Request, response: Response, body: SourceConnectionBody
) -> dict[str, Any]:
    """Create a source connection for profiles."""
    return _created(call, request, response, lambda draft, new: connection_changes.create_source(draft, new, body))


@router.post("/targetConnections", status_code=CREATED)
def create_target_connection(
    call: TheCall, request: Request, response: Response, body: TargetConnectionBody
) -> dict[str, Any]:
    """Create a target connection, a stream; `warnings` in the response (ours) are those of contract M5."""
    remarks = Remarks()
    return _created(
        call, request, response, lambda draft, new: connection_changes.create_target(draft, new, body, remarks), remarks
    )


@router.post("/flows", status_code=CREATED)
def create_flow(call: TheCall, request: Request, response: Response, body: FlowBody) -> dict[str, Any]:
    """Create a flow, which is enabled at once.

    `warnings` in the response (ours): the faults of its destination, and the warnings of contract M3 and M5.
    """
    new, remarks = call.services.new_id(), Remarks()
    kept = call.change(lambda draft: changes.create_flow(draft, new, body, remarks))
    response.headers["Location"] = f"{request.url.path}/{new}"
    return changed_object(new, kept.etag, call.warnings(kept.item, remarks))


def _created(
    call: Call, request: Request, response: Response, create: Callable[[Any, str], str], remarks: Sequence[str] = ()
) -> dict[str, Any]:
    new = call.services.new_id()
    etag = call.change(lambda draft: create(draft, new))
    response.headers["Location"] = f"{request.url.path}/{new}"
    return changed_object(new, etag, remarks_on_params(remarks))
