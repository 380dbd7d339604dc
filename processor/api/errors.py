"""Write errors as Adobe's service does: one JSON object, a code, words; never a stack trace, never a secret."""

from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

from fastapi.responses import JSONResponse

TYPE: Final = "https://profile-exporter.example/errors/"
MEDIA_TYPE: Final = "application/problem+json"


class Code(StrEnum):
    """The codes of errors; the last three digits are the HTTP status, and codes from 9000 on are ours."""

    COUNT_WITH_LIMIT = "FLOW-1401-400"
    IF_MATCH_MISSING = "FLOW-1403-400"
    STALE = "FLOW-1404-412"
    BODY_MISSING = "FLOW-1405-400"
    STATE_IN_CREATE = "FLOW-1410-400"
    UNKNOWN_SPEC = "FLOW-1413-400"
    SPEC_CHANGED = "FLOW-1414-400"
    UNKNOWN_AUTH = "FLOW-1415-400"
    BASE_IN_USE = "FLOW-1418-400"
    ACTION_NOT_VALID = "FLOW-1422-400"
    UNSUPPORTED_OPERATION = "FLOW-1434-400"
    NOT_FOUND = "FLOW-1439-404"
    IN_USE_BY_FLOWS = "FLOW-1447-400"
    BAD_FILTER = "FLOW-1450-400"
    PATCH_FAILED = "FLOW-1455-400"
    INVALID = "FLOW-9001-400"
    TOO_MANY_FLOWS = "FLOW-9002-400"
    NO_SECRETS_KEY = "FLOW-9003-400"
    BAD_PAGE = "FLOW-9004-400"
    UNAUTHORIZED = "FLOW-9101-401"
    FORBIDDEN = "FLOW-9102-403"
    TOO_MANY_FAILURES = "FLOW-9103-429"
    NO_SUCH_PATH = "FLOW-9201-404"
    METHOD_NOT_ALLOWED = "FLOW-9202-405"
    TOO_LARGE = "FLOW-9203-413"
    WRONG_MEDIA_TYPE = "FLOW-9204-415"
    TOO_LATE = "FLOW-9205-408"
    INTERNAL = "FLOW-9301-500"
    UNAVAILABLE = "FLOW-9302-503"
    BUSY = "FLOW-9303-503"
    JOB_OPEN = "FLOW-9401-409"
    JOB_ENDED = "FLOW-9402-409"
    ONE_JOB_A_DAY = "FLOW-9403-429"

    @property
    def status(self) -> int:
        """Return the HTTP status of the code."""
        return int(self.rpartition("-")[2])


TITLES: Final = {
    Code.COUNT_WITH_LIMIT: "count and limit exclude each other",
    Code.IF_MATCH_MISSING: "If-Match is missing",
    Code.STALE: "The object was changed meanwhile",
    Code.BODY_MISSING: "The body is missing",
    Code.STATE_IN_CREATE: "A flow is created enabled",
    Code.UNKNOWN_SPEC: "Unknown spec",
    Code.SPEC_CHANGED: "The spec cannot be changed",
    Code.UNKNOWN_AUTH: "Unknown authentication",
    Code.BASE_IN_USE: "The base connection is in use",
    Code.ACTION_NOT_VALID: "The action is not valid in this state",
    Code.UNSUPPORTED_OPERATION: "Unsupported operation",
    Code.NOT_FOUND: "Resource not found",
    Code.IN_USE_BY_FLOWS: "A flow uses it",
    Code.BAD_FILTER: "Bad filter",
    Code.PATCH_FAILED: "The patch cannot be applied",
    Code.INVALID: "Invalid request",
    Code.TOO_MANY_FLOWS: "Too many flows",
    Code.NO_SECRETS_KEY: "No key for secrets",
    Code.BAD_PAGE: "Bad paging",
    Code.UNAUTHORIZED: "Not authorized",
    Code.FORBIDDEN: "Not allowed",
    Code.TOO_MANY_FAILURES: "Too many refused tokens",
    Code.NO_SUCH_PATH: "No such path",
    Code.METHOD_NOT_ALLOWED: "Method not allowed",
    Code.TOO_LARGE: "The request is too large",
    Code.WRONG_MEDIA_TYPE: "Wrong media type",
    Code.TOO_LATE: "The request did not come in time",
    Code.INTERNAL: "Internal error",
    Code.UNAVAILABLE: "Kafka does not answer",
    Code.BUSY: "Too much at once",
    Code.JOB_OPEN: "Such a job is open",
    Code.JOB_ENDED: "The job has ended",
    Code.ONE_JOB_A_DAY: "One job a day",
}


RETRY_AFTER_SECONDS: Final = {Code.TOO_MANY_FAILURES: 60, Code.BUSY: 10}
"""The seconds of the header Retry-After."""


class ApiError(Exception):
    """An error that ends a call: `text` has the fault and its remedy, `kind` and `object_id` name the object."""

    def __init__(self, code: Code, text: str, *, kind: str = "", object_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.kind = kind
        self.object_id = object_id


def not_found(kind: str, object_id: str) -> ApiError:
    """Return the error of an object that does not exist."""
    return ApiError(
        Code.NOT_FOUND, f"there is no {kind} object with the id {object_id}", kind=kind, object_id=object_id
    )


def error_body(error: ApiError) -> dict[str, Any]:
    """Write the body of an error as Adobe's clients read it."""
    report = {"detailed-message": error.text, "id": error.object_id, "request-id": uuid4().hex, "type": error.kind}
    return {
        "type": f"{TYPE}{error.code}",
        "title": TITLES[error.code],
        "status": error.code.status,
        "report": {name: value for name, value in report.items() if value},
        "errorMessage": TITLES[error.code],
        "errorDetails": error.text,
    }


def error_response(error: ApiError) -> JSONResponse:
    """Return the response to an error.

    After a request that did not come in time the connection is closed: whatever still comes on it belongs to that
    request.
    """
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS[error.code])} if error.code in RETRY_AFTER_SECONDS else {}
    if error.code is Code.TOO_LATE:
        headers["Connection"] = "close"
    return JSONResponse(error_body(error), error.code.status, headers, MEDIA_TYPE)
