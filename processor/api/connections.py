"""Bound the connections of the control API: how many there are, and how long one may take to send its request.

    accepted ─► head of a request ─► the application has it (LimitBody bounds its body) ─► answered ─► next head
       └──────── bounded here ────────┘                                                      └─ bounded here ─┘

uvicorn (0.54) waits for ever for the head of a request, and for the rest of a body whose call was answered before it
had come. This leans on `H11Protocol`: its callbacks, `cycle` and `connections`; tests/api/test_slow_requests.py notices
when they change.
"""

import asyncio
from functools import partial
from operator import itemgetter
from typing import Any, cast

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

_log = structlog.get_logger(__name__)


def bounded_protocol(seconds: float, most: int) -> type[asyncio.Protocol]:
    """Return the protocol of at most `most` connections, which wait for what a client owes them for `seconds`."""
    return cast("type[asyncio.Protocol]", partial(_BoundedProtocol, seconds, most))  # uvicorn only calls it


class _BoundedProtocol(H11Protocol):
    """A connection with a bounded wait.

    It is closed where a client owes it something for too long; where there are too many, the one that waits longest
    gives way.

    So connections that say nothing keep nobody out: whoever sends his request is served.
    """

    def __init__(self, seconds: float, most: int, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._seconds = seconds
        self._most = most
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as H11Protocol has it
        """Start to wait for a client that has connected, as asyncio calls it."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._most:
            self._let_one_go()

    def data_received(self, data: bytes) -> None:
        """Receive a piece, as asyncio calls it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, as uvicorn calls it after a response."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of a connection that is gone, as asyncio calls it."""
        super().connection_lost(exc)
        self._stop_timer()

    @property
    def waits_until(self) -> float | None:
        """Return when the wait for the client ends, by the loop's clock; None while the application has a request."""
        return None if self._timer is None or self.transport.is_closing() else self._timer.when()

    def _watch(self) -> None:
        """Start the timer where the client is to send something, and stop it where not.

        What comes meanwhile does not start it anew.
        """
        if self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        _log.info("connection_too_slow", client=self.client and self.client[0], seconds=self._seconds)
        self.transport.abort()

    def _let_one_go(self) -> None:
        waiting = [
            (until, each)
            for each in self.connections
            if isinstance(each, _BoundedProtocol) and (until := each.waits_until) is not None
        ]
        if waiting:
            _, longest = min(waiting, key=itemgetter(0))
            _log.warning(
                "too_many_connections",
                most=self._most,
                remedy="raise PROFILE_EXPORTER_API_MAX_CONNECTIONS, or see who opens so many",
            )
            longest.transport.abort()
