"""An external audience out of an uploaded CSV file: POST /v1/audiences/import (contract M1)."""

import asyncio
import csv
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from anyio import TemporaryDirectory, open_file, to_thread
from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from processor.api.access import require_write
from processor.api.calls import TheCall
from processor.api.errors import ApiError, Code
from processor.api.limits import late
from processor.api.upload_room import Upload
from processor.audience_import.run import Imported
from processor.audience_import.run import Request as ImportRequest
from processor.errors import UsageError

PATH: Final = "/v1/audiences/import"
SHOWN_REJECTED: Final = 100
_WRITTEN_BYTES: Final = 1024 * 1024  # at a time: each write is a turn of a thread

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
    asked = ImportRequest(audience_id, name, ttl_days, exits=exits, dry_run=dry_run)
    room = call.services.uploads
    with room.enter() as upload:
        async with TemporaryDirectory() as folder:
            file, rejected = Path(folder) / "uploaded.csv", Path(folder) / "rejected.csv"
            await _receive(request, file, upload, room.seconds)
            try:
                done = await to_thread.run_sync(call.services.importer, call.change, file, asked, rejected, limiter=room.one_import)
            except UsageError as error:
                raise ApiError(Code.INVALID, str(error).replace(str(file), "the file")) from None
            return _answer(audience_id, done, await to_thread.run_sync(_first, rejected))


async def _receive(request: Request, path: Path, upload: Upload, seconds: float) -> None:
    """Write the body to the disk, off the event loop; raises ApiError where it is too large, or its next piece does not come in time."""
    pieces = aiter(request.stream())
    async with await open_file(path, "wb") as file:
        waiting = bytearray()
        try:
            while True:
                async with asyncio.timeout(seconds):
                    piece = await anext(pieces, None)
                upload.grow(len(piece or b""))
                waiting += piece or b""
                if len(waiting) >= _WRITTEN_BYTES or piece is None:
                    await file.write(waiting)
                    waiting.clear()
                if piece is None:
                    return
        except TimeoutError:
            raise late(seconds) from None
        except ClientDisconnect:
            raise ApiError(Code.TOO_LATE, "the client has gone before its file had come") from None


def _answer(audience_id: str, done: Imported, rejected_rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "import": done.name,
        "audience": {"namespace": "CustomerAudienceUpload", "id": audience_id},
        "encoding": done.dialect.encoding,
        "delimiter": done.dialect.delimiter,
        "entered": done.entered,
        "exited": done.exited,
        "duplicates": done.duplicates,
        "rejected": done.rejected,
        "rejectedRows": rejected_rows,
        "ignoredColumns": done.ignored_columns,
    }


def _first(rejected: Path) -> list[dict[str, Any]]:
    if not rejected.exists():
        return []
    with rejected.open(encoding="utf-8", newline="") as file:
        return list(islice(csv.DictReader(file), SHOWN_REJECTED))
