"""The call that every route of the API gets: its caller, the control plane, secrets, and its headers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import uuid4

from fastapi import Depends, Request

from processor.api.access import Access, Caller, require_write
from processor.api.errors import ApiError, Code
from processor.api.etags import quoted
from processor.api.upload_room import UploadRoom
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult
from processor.catalog.state import ControlState
from processor.control.draft import Draft
from processor.control.job_status import JobsProgress
from processor.control.plane import ControlPlane
from processor.files.configuration import warnings_of
from processor.foundation.errors import CommandError
from processor.foundation.secrets import Secrets
from schemas.destination import Destination
from schemas.flow import Flow

_TENANT: Final = (
    ("imsOrgId", "x-gw-ims-org-id", "profile-exporter@AdobeOrg"),
    ("sandboxName", "x-sandbox-name", "prod"),
)
_MOST_CHARACTERS: Final = 512
Result = TypeVar("Result")
Examine = Callable[[Sequence[Destination], bool], list[str]]
"""Returns what destinations report as faults, in words; takes seconds.

With True only whether they authorize us at all, whatever the stream. Raises ApiError where they are not asked, since
others are: that says nothing of them.
"""


Importer = Callable[[ChangeCatalog, Path, ImportRequest, Path], ImportResult]
"""Imports an audience: (changes the catalog, the CSV file, what is asked for, where rejected rows go)."""


def refuse_import(change: ChangeCatalog, path: Path, request: ImportRequest, rejected: Path) -> ImportResult:  # noqa: ARG001  # an Importer
    """Refuse an import, as an API without Kafka does."""
    raise CommandError("this API cannot import")


@dataclass(frozen=True, slots=True)
class Services:
    """The services that calls use, built by the composition root."""

    plane: ControlPlane
    secrets: Secrets
    access: Access
    examine: Examine
    new_id: Callable[[], str] = lambda: str(uuid4())
    importer: Importer = refuse_import
    uploads: UploadRoom = field(default_factory=UploadRoom)
    jobs: Callable[[], JobsProgress] = JobsProgress
    """Returns how far jobs are, as workers report; raises CommandError where Kafka does not answer."""


class Call:
    """A call of the API; `tenant` is what Adobe's clients send of themselves, and read in each object."""

    def __init__(self, services: Services, caller: Caller, tenant: Mapping[str, str]) -> None:
        self.services = services
        self.caller = caller
        self.tenant = dict(tenant)

    @property
    def state(self) -> ControlState:
        """Return flows, audiences and connections as they are now."""
        return self.services.plane.state()

    @property
    def now(self) -> str:
        """Return the time of now, in the form of C8."""
        return self.services.plane.now

    def remarks(self, flow: Flow, known: Sequence[str] = ()) -> list[str]:
        """Return the warnings of M3 and M5; `known` are those of when the flow was read."""
        return [*dict.fromkeys(known), *(warning.removeprefix("flows[0].") for warning in warnings_of([flow]))]

    def warnings(self, flow: Flow, known: Sequence[str] = (), before: Flow | None = None) -> list[str]:
        """Return the remarks, and the faults of a destination to which the flow did not deliver `before`."""
        remarks = self.remarks(flow, known)
        delivers_alike = before is not None and before.enabled and before.destination == flow.destination
        return [*remarks, *self.find_faults(flow.destination)] if flow.enabled and not delivers_alike else remarks

    def find_faults(self, destination: Destination) -> list[str]:
        """Return the faults of a destination, or that it was not asked; the change is made all the same."""
        try:
            return self.services.examine([destination], False)
        except ApiError as error:
            return [error.text]

    def change(self, decide: Callable[[Draft], Result]) -> Result:
        """Change flows, audiences or connections; raise ApiError for one who may only read."""
        require_write(self.caller)
        return self.services.plane.change(self.caller.author, decide)


def call_of(request: Request) -> Call:
    """Return the call of a request, whose token was checked before (access.RequireToken)."""
    return Call(request.app.state.services, request.state.caller, tenant_of(request.headers))


def tenant_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the organisation and the sandbox of Adobe's clients, or those of this installation, which has but one.

    Raises ApiError for long ones.
    """
    tenant = {key: headers.get(name) or usual for key, name, usual in _TENANT}
    for key, name, _ in _TENANT:
        if len(tenant[key]) > _MOST_CHARACTERS:
            raise ApiError(Code.INVALID, f"the header {name} has more than {_MOST_CHARACTERS} characters")
    return tenant


TheCall = Annotated[Call, Depends(call_of)]


def if_match_of(request: Request) -> str:
    """Return the bare etag of If-Match, however it is quoted; one that names nothing fits no object.

    Raises ApiError where the header is not there.
    """
    if "if-match" not in request.headers:
        by_query = (
            "; it is a header, not a part of the URL"
            if "if-match" in {name.lower() for name in request.query_params}
            else ""
        )
        raise ApiError(Code.IF_MATCH_MISSING, f"the header If-Match with the object's etag is missing{by_query}")
    return request.headers["if-match"].replace("\\", "").strip().strip('"').strip()


def changed_object(object_id: str, etag: str, warnings: list[str] | None = None) -> dict[str, Any]:
    """Return the body of the response to a change; `warnings` is ours."""
    body: dict[str, Any] = {"id": object_id, "etag": quoted(etag)}
    return body | {"warnings": warnings} if warnings else body
