"""Build the FastAPI application: routes, and every error in the one form."""

from collections.abc import Callable
from typing import Final

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from processor.api import jobs, native, uploads
from processor.api.access import RequireToken
from processor.api.calls import Services
from processor.api.errors import ApiError, Code, error_response
from processor.api.flow_service import check_routes, create_routes, routes
from processor.api.limits import LimitBody, Limits, NoTraceback, NoTrailingSlash, OnlyThisMachine
from processor.api.page import SECURITY_HEADERS, docs_page
from processor.control.ports import Superseded
from processor.foundation.errors import CommandError, UsageError
from schemas.model import describe_fault, first_faults

_log = structlog.get_logger(__name__)

_PARTS_OF_A_REQUEST: Final = ("body", "query", "path", "header")
_HEALTH: Final = ("/health/live", "/health/ready")
_HEALTH_THREADS: Final = 2
_STATUSES: Final = {
    404: Code.NO_SUCH_PATH,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
    415: Code.WRONG_MEDIA_TYPE,
}


def build_app(
    services: Services, limits: Limits, ready: Callable[[], None], stop: Callable[[], None] = lambda: None
) -> FastAPI:
    """Build the application of an API.

    `ready` raises CommandError where Kafka does not answer, or another API took over; `stop` is called when this one
    must end.
    """
    app = FastAPI(
        title="profile-exporter",
        summary="Flows, audiences, connections and jobs",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for module in (routes, create_routes, check_routes):
        app.include_router(module.router)
    app.include_router(uploads.router)  # before the paths of audiences, which would take it for one
    app.include_router(native.router)
    app.include_router(jobs.router)
    app.add_middleware(LimitBody, limits=limits, streamed=[uploads.PATH])
    app.add_middleware(RequireToken, access=lambda: app.state.services.access, open_paths=_HEALTH)
    app.add_middleware(NoTrailingSlash)
    app.add_middleware(NoTraceback)
    if services.access.is_open:
        app.add_middleware(OnlyThisMachine)
    _add_health(app, ready)
    _add_docs(app)
    _add_errors(app, stop)
    return app


def _add_health(app: FastAPI, ready: Callable[[], None]) -> None:
    @app.get("/health/live", tags=["health"])
    async def live() -> dict[str, str]:
        """Return ok, as the process runs."""
        return {"status": "ok"}

    threads = CapacityLimiter(_HEALTH_THREADS)

    @app.get("/health/ready", tags=["health"])
    async def is_ready() -> dict[str, str]:
        """Return ok where Kafka answers and no other API has taken over; it waits for no thread of other calls."""
        await to_thread.run_sync(ready, limiter=threads)
        return {"status": "ok"}


def _add_docs(app: FastAPI) -> None:
    """Add the pages that describe the calls; both need the token, where one is set."""

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=SECURITY_HEADERS)


def _add_errors(app: FastAPI, stop: Callable[[], None]) -> None:
    @app.exception_handler(ApiError)
    async def of_api(_: Request, error: ApiError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(_of_validation(request, error))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        code = _STATUSES.get(error.status_code, Code.INVALID)
        return error_response(ApiError(code, f"{request.method} {request.url.path}: {error.detail}"))

    @app.exception_handler(Superseded)
    async def superseded(_: Request, error: Superseded) -> JSONResponse:
        stop()
        return error_response(ApiError(Code.UNAVAILABLE, str(error)))

    @app.exception_handler(UsageError)
    async def wrong(_: Request, error: UsageError) -> JSONResponse:
        return error_response(ApiError(Code.INVALID, str(error)))

    @app.exception_handler(CommandError)
    async def without_kafka(_: Request, error: CommandError) -> JSONResponse:
        _log.warning("kafka_failed", error=str(error))
        return error_response(ApiError(Code.UNAVAILABLE, str(error).partition("\n")[0]))


def _of_validation(request: Request, error: RequestValidationError) -> ApiError:
    faults = error.errors()
    if any(fault["loc"] == ("body",) for fault in faults) and "json" not in request.headers.get("content-type", "json"):
        return ApiError(
            Code.WRONG_MEDIA_TYPE, f"Content-Type: {request.headers['content-type']}: a body is application/json"
        )
    if any(fault["type"] == "json_invalid" for fault in faults):
        return ApiError(Code.INVALID, "the body is no JSON")
    if any(
        fault["loc"] == ("body",) and (fault["type"] == "missing" or fault.get("input") is None) for fault in faults
    ):
        return ApiError(Code.BODY_MISSING, "the body is missing, or null")
    if any(fault["loc"] == ("body", "state") and fault["type"] == "extra_forbidden" for fault in faults):
        return ApiError(
            Code.STATE_IN_CREATE, "state: a flow is created enabled; POST /flows/{id}/action?op=disable disables it"
        )
    texts = (
        describe_fault(fault, [step for step in fault["loc"] if step not in _PARTS_OF_A_REQUEST]) for fault in faults
    )
    shown = first_faults(texts, len(faults))
    return ApiError(Code.INVALID, "; ".join(shown), kind=request.url.path.rpartition("/")[2])
