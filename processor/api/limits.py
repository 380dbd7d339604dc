"""Requests as they come in: a trailing slash is none, and what is larger than allowed is not read."""

from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processor.api.errors import ApiError, Code, error_response

ROOT: Final = "/"


class NoTrailingSlash:
    """`/flows/` is `/flows`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith(ROOT):
            scope = {**scope, "path": scope["path"].rstrip(ROOT) or ROOT}
        await self._app(scope, receive, send)


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
