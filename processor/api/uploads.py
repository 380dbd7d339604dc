"""An external audience out of an uploaded CSV file: POST /v1/audiences/import (contract M1)."""

import csv
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from processor.api.access import require_write
from processor.api.calls import TheCall
from processor.api.errors import ApiError, Code
from processor.audience_import.run import Request as ImportRequest
from processor.errors import UsageError

PATH: Final = "/v1/audiences/import"
SHOWN_REJECTED: Final = 100

router = APIRouter(tags=["native"])


@router.post(
    PATH, openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string", "example": "profileId\np-1"}}}}}
)
async def import_audience(
    call: TheCall,
    request: Request,
    audience_id: Annotated[str, Query(alias="id", min_length=1, max_length=512)],
    name: Annotated[str | None, Query(max_length=512)] = None,
    ttl_days: Annotated[int, Query(alias="ttlDays", ge=1, le=90)] = 30,
    exits: bool | None = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,
) -> dict[str, Any]:
    """The body is the file, as text/csv; it is answered when every event is acknowledged. As `profile-exporter audiences import`.

    The first hundred rejected rows are in the answer, `rejected` counts them all.
    """
    require_write(call.caller)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise ApiError(Code.WRONG_MEDIA_TYPE, "the body is a CSV file: send Content-Type: text/csv")
    with TemporaryDirectory() as folder:
        file, rejected = Path(folder) / "uploaded.csv", Path(folder) / "rejected.csv"
        with file.open("wb") as written:
            await _receive(request, written, call.services.max_upload_bytes)
        asked = ImportRequest(audience_id, name, ttl_days, exits=exits, dry_run=dry_run)
        try:
            done = await run_in_threadpool(call.services.importer, call.change, file, asked, rejected)
        except UsageError as error:
            raise ApiError(Code.INVALID, str(error).replace(str(file), "the file")) from None
        return {
            "import": done.name,
            "audience": {"namespace": "CustomerAudienceUpload", "id": audience_id},
            "encoding": done.dialect.encoding,
            "delimiter": done.dialect.delimiter,
            "entered": done.entered,
            "exited": done.exited,
            "duplicates": done.duplicates,
            "rejected": done.rejected,
            "rejectedRows": _first(rejected),
            "ignoredColumns": done.ignored_columns,
        }


async def _receive(request: Request, written: BinaryIO, most_bytes: int) -> None:
    """Straight to the disk; raises ApiError where it is too large."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise ApiError(Code.TOO_LARGE, f"the file is larger than {most_bytes} bytes")
        written.write(chunk)


def _first(rejected: Path) -> list[dict[str, Any]]:
    if not rejected.exists():
        return []
    with rejected.open(encoding="utf-8", newline="") as file:
        return list(islice(csv.DictReader(file), SHOWN_REJECTED))
