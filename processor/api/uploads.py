"""Import an external audience from an uploaded CSV file: POST /v1/audiences/import (contract M1)."""

import asyncio
import csv
from email.message import Message
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from anyio import TemporaryDirectory, open_file, to_thread
from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect

from processor.api.access import require_write
from processor.api.calls import TheCall
from processor.api.errors import ApiError, Code
from processor.api.limits import late
from processor.api.upload_room import Upload
from processor.audience_import.request import ImportRequest, ImportResult
from processor.audience_import.rows import ReadOptions
from processor.foundation.errors import UsageError

PATH: Final = "/v1/audiences/import"
SHOWN_REJECTED: Final = 100
Text = Annotated[str | None, Query(min_length=1, max_length=512)]
_OPTIONS: Final = {  # of the command → of this call
    "--encoding": "encoding",
    "--delimiter": "delimiter",
    "--escape": "escape",
    "--id-column ": "idColumn=",
    "--any-id": "anyId=true",
    "--no-exits": "exits=false",
    "--exits": "exits=true",
}
_WRITTEN_BYTES: Final = 1024 * 1024  # at a time: each write takes a thread

router = APIRouter(tags=["native"])


def _read_options(
    encoding: Text = None,
    delimiter: Text = None,
    escape: Text = None,
    id_column: Annotated[Text, Query(alias="idColumn")] = None,
    any_id: Annotated[bool, Query(alias="anyId")] = False,
) -> ReadOptions:
    return ReadOptions(encoding, delimiter, escape, id_column, any_id)


@router.post(
    PATH,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string", "example": "profileId\np-1"}}},
        }
    },
)
async def import_audience(
    call: TheCall,
    request: Request,
    reading: Annotated[ReadOptions, Depends(_read_options)],
    audience_id: Annotated[str, Query(alias="id", min_length=1, max_length=512)],
    name: Annotated[str | None, Query(max_length=512)] = None,
    ttl_days: Annotated[int, Query(alias="ttlDays", ge=1, le=90)] = 30,
    exits: bool | None = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,
) -> dict[str, Any]:
    """Import the audience of a file, the body as text/csv; the response comes when every event is acknowledged.

    As `profile-exporter audiences import`.

    `encoding` names how the file is written where it is not UTF-8, as does a charset of the Content-Type. The first
    hundred rejected rows are in the response, `rejected` counts them all, and `rejectedFor` by reason. `known` counts
    who is a profile already.
    """
    require_write(call.caller)
    reading = reading._replace(encoding=reading.encoding or _charset(request))
    asked = ImportRequest(audience_id, name, ttl_days, exits=exits, dry_run=dry_run, reading=reading)
    room = call.services.uploads
    with room.enter() as upload:
        async with TemporaryDirectory() as folder:
            file, rejected = Path(folder) / "uploaded.csv", Path(folder) / "rejected.csv"
            await _receive(request, file, upload, room.seconds)
            try:
                done = await to_thread.run_sync(
                    call.services.importer, call.change, file, asked, rejected, limiter=room.one_import
                )
            except UsageError as error:
                raise ApiError(Code.INVALID, _in_words_of_the_call(str(error).replace(str(file), "the file"))) from None
            return _response(audience_id, done, await to_thread.run_sync(_first, rejected))


def _charset(request: Request) -> str | None:
    """Return the encoding that the Content-Type names; None for UTF-8, which clients add to every text.

    Raises ApiError for what is no CSV.
    """
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    if not header["content-type"] or header.get_content_type() != "text/csv":
        raise ApiError(Code.WRONG_MEDIA_TYPE, "the body is a CSV file: send Content-Type: text/csv")
    charset = header.get_content_charset()
    return None if charset in ("utf-8", "utf8", "us-ascii") else charset


def _in_words_of_the_call(text: str) -> str:
    for option, parameter in _OPTIONS.items():
        text = text.replace(option, parameter)
    return text


async def _receive(request: Request, path: Path, upload: Upload, seconds: float) -> None:
    """Write the body to the disk, off the event loop; raise ApiError where it is too large or too late."""
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


def _response(audience_id: str, done: ImportResult, rejected_rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "import": done.name,
        "audience": {"namespace": "CustomerAudienceUpload", "id": audience_id},
        "encoding": done.dialect.encoding,
        "delimiter": done.dialect.delimiter,
        "escape": done.dialect.escape,
        "entered": done.entered,
        "known": done.known,
        "exited": done.exited,
        "duplicates": done.duplicates,
        "rejected": done.rejected,
        "rejectedFor": done.rejected_rows.as_json(),
        "rejectedRows": rejected_rows,
        "ignoredColumns": done.ignored_columns,
        "warnings": done.warnings,
    }


def _first(rejected: Path) -> list[dict[str, Any]]:
    if not rejected.exists():
        return []
    with rejected.open(encoding="utf-8", newline="") as file:
        return list(islice(csv.DictReader(file), SHOWN_REJECTED))
