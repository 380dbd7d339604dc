"""Requests as they come in: a trailing slash is none, what is larger than allowed is not read, and nobody from outside gets in without a token."""

import ipaddress
import traceback
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processor.api.errors import ApiError, Code, error_response

ROOT: Final = "/"
_log = structlog.get_logger(__name__)


class NoTrailingSlash:
    """`/flows/` is `/flows`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith(ROOT):
            scope = {**scope, "path": scope["path"].rstrip(ROOT) or ROOT}
        await self._app(scope, receive, send)


class OnlyThisMachine:
    """For an API without tokens: nobody but a program on this machine is let in, also not a web page that its browser shows.

    A page can send some requests anywhere, and by DNS rebinding all of them to a name of its own: so Host must be a name of this machine, and Origin,
    which only browsers send, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and not (_is_local(b"//" + headers.get(b"host", b"")) and _is_local(headers.get(b"origin", b"//localhost"))):
            text = "without a token only programs on this machine are let in, by its own name: http://127.0.0.1 or http://localhost"
            await error_response(ApiError(Code.FORBIDDEN, text))(scope, receive, send)
            return
        await self._app(scope, receive, send)


class NoTraceback:
    """What nobody foresaw ends here: told without its text, which may quote what was sent, and logged by its place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # whatever it is: the server's own log would show its text
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
            _log.error("call_failed", method=scope.get("method"), path=scope.get("path"), error=type(error).__name__, places=places)
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
    """Whether an address or name is this machine, for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class LimitBody:
    """A body of more bytes ends with 413, by what its header says or when so much has come. `streamed`: who counts what comes by himself."""

    def __init__(self, app: ASGIApp, most_bytes: int, streamed: Collection[str] = ()) -> None:
        self._app = app
        self._most = most_bytes
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] in self._streamed:
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > self._most:
            await self._refused(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > self._most:
                await self._refused(scope, receive, send)
                return
        await self._app(scope, _once(body, receive), send)

    async def _refused(self, scope: Scope, receive: Receive, send: Send) -> None:
        await error_response(ApiError(Code.TOO_LARGE, f"the body is larger than {self._most} bytes"))(scope, receive, send)


def _once(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
