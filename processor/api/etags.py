"""Show etags, and compare them with what a caller saw."""

from typing import Final

from processor.api.errors import ApiError, Code

ANY: Final = "*"


def quoted(etag: str) -> str:
    """Return an etag as the API shows it, with quotes inside."""
    return f'"{etag}"'


def require_match(kind: str, object_id: str, etag: str | None, if_match: str) -> None:
    """Raise ApiError unless the bare etag of If-Match is that of the object (None: no object), or any will do."""
    if if_match not in (ANY, etag):
        raise ApiError(
            Code.STALE, "it has another etag by now: read it again, and decide again", kind=kind, object_id=object_id
        )
