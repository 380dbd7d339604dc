"""Bound requests as they come in: their size, their time, and where they come from without a token."""

import asyncio
import ipaddress
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processor.api.errors import ApiError, Code, error_response

ROOT: Final = "/"
MAX_VALUES: Final = 40_000
"""Of one body; a flow of four thousand audiences, each with all that a selector may hold, has nine for each."""
_DIGITS: Final = 18  # of a length that anybody means
_log = structlog.get_logger(__name__)


class NoTrailingSlash:
    """Middleware that takes `/flows/` for `/flows`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI calls it."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith(ROOT):
            scope = {**scope, "path": scope["path"].rstrip(ROOT) or ROOT}
        await self._app(scope, receive, send)


class OnlyThisMachine:
    """Middleware for an API without tokens: it serves programs on this machine, and no web page of a browser.

    A page can send some requests anywhere, and by DNS rebinding all of them to a name of its own: so Host must be a
    name of this machine, and Origin, which only browsers send, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI calls it."""
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and not (
            _is_local(b"//" + headers.get(b"host", b"")) and _is_local(headers.get(b"origin", b"//localhost"))
        ):
            text = (
                "without a token only programs on this machine are served, by its own name: http://127.0.0.1 or"
                " http://localhost"
            )
            await error_response(ApiError(Code.FORBIDDEN, text))(scope, receive, send)
            return
        await self._app(scope, receive, send)


class NoTraceback:
    """Middleware that reports an unforeseen error without its text, which may quote what was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI calls it."""
        begun = False

        async def send_and_mark(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_mark)
        except Exception as error:  # whatever it is: the server's own log would show its text
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
            _log.error(
                "call_failed",
                method=scope.get("method"),
                path=scope.get("path"),
                error=type(error).__name__,
                places=places,
            )
            if not begun and scope["type"] == "http":
                text = "something unforeseen happened; the log of the API names the place"
                await error_response(ApiError(Code.INTERNAL, text))(scope, receive, send)


def _is_local(address: bytes) -> bool:
    try:
        name = urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine, for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a request; `seconds` until its body has come whole, or the next piece of an upload."""

    body_bytes: int
    seconds: float = 30.0


class LimitBody:
    """Middleware that reads a body before anything else looks at it: in time, not too large, of not too many values.

    More bytes than allowed end with 413, by what the header says or when so many have come; so do more values, each of
    which costs a hundred times its bytes once it is an object. A body that has not come whole in time ends with 408.
    The pieces that it comes in are joined once. `streamed`: paths whose calls bound by themselves what comes.
    """

    def __init__(self, app: ASGIApp, limits: Limits, streamed: Collection[str] = ()) -> None:
        self._app = app
        self._limits = limits
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI calls it."""
        if scope["type"] != "http" or scope["path"] in self._streamed:
            await self._app(scope, receive, send)
            return
        try:
            self._require_small(scope)
            async with asyncio.timeout(self._limits.seconds):
                body = await self._read(receive)
        except TimeoutError:
            await error_response(late(self._limits.seconds))(scope, receive, send)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _once(body, receive), send)

    def _require_small(self, scope: Scope) -> None:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _DIGITS or int(length) > self._limits.body_bytes):
            raise self._too_large()

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the whole body; None where the client has gone. Raises ApiError."""
        pieces, size, more = list[bytes](), 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            piece, more = message.get("body", b""), message.get("more_body", False)
            pieces.append(piece)
            size += len(piece)
            if size > self._limits.body_bytes:
                raise self._too_large()
        body = b"".join(pieces)
        if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
            raise ApiError(Code.TOO_LARGE, f"the body holds more than {MAX_VALUES} values: send them in several calls")
        return body

    def _too_large(self) -> ApiError:
        return ApiError(Code.TOO_LARGE, f"the body is larger than {self._limits.body_bytes} bytes")


def late(seconds: float) -> ApiError:
    """Return the error of a client that does not send what it began."""
    return ApiError(Code.TOO_LATE, f"nothing, or not all of it, came within {seconds:g} s: send it again, whole")


def _once(body: bytes, receive: Receive) -> Receive:
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
