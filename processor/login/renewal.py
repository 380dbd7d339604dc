"""One token for all clients of a process, made again before it ends. Thread-safe.

    whoever asks ─► a token that holds: at once ─────────────── after 3/4 of its life: it too, and the next one is made
    meanwhile
                    none holds: when the next one is there; where it cannot be made: TokenUnavailable

After a failure nobody asks the source again before a pause, which doubles up to half a minute, however many clients
ask. What fails after the first token is logged, and so is the token after it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from typing import Final

import structlog

from processor.login.token import Token, TokenSource, TokenUnavailable

WAIT_SECONDS: Final = 20.0
MOST_PAUSE_SECONDS: Final = 30.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token, and when it ends and is made anew, in seconds of the clock of `Tokens`."""

    text: str = field(repr=False)
    renew_at: float
    ends_at: float


class Tokens:
    """The tokens of one source.

    `clock`: monotonic seconds. The source is asked in a thread of its own, by one at a time.
    """

    def __init__(
        self, source: TokenSource, clock: Callable[[], float] = time.monotonic, thread: Executor | None = None
    ) -> None:
        self._source, self._clock = source, clock
        self._lock = threading.Lock()
        self._thread = thread or ThreadPoolExecutor(1, "kafka-token")
        self._held: HeldToken | None = None
        self._renewal: Future[HeldToken] | None = None
        self._failures, self._next_try = 0, float("-inf")
        self._unavailable: TokenUnavailable | None = None

    def get(self) -> HeldToken:
        """Give a token that holds; block while the first one is made. Raises TokenUnavailable."""
        try:
            return self.ask().result(WAIT_SECONDS)
        except NotInTime:
            raise TokenUnavailable(
                f"the next token did not come within {WAIT_SECONDS:.0f} s", "look at who makes it; it is asked again"
            ) from None

    def ask(self) -> "Future[HeldToken]":
        """Return a future of the token that `get` returns. It is shared: nobody may cancel it."""
        with self._lock:
            now = self._clock()
            held = self._held if self._held is not None and now < self._held.ends_at else None
            if (held is None or now >= held.renew_at) and self._renewal is None and now >= self._next_try:
                self._renewal = self._thread.submit(self._renew)
            if held is not None:
                return _done(held)
            if self._renewal is not None:
                return self._renewal
            assert self._unavailable is not None  # the pause is after a failure
            return _failed(self._unavailable)

    def seconds_to_next_question(self, held: HeldToken) -> float:
        """Return how soon whoever has `held` should ask again: at its renewal, or in a moment where that is overdue."""
        return max(0.0, held.renew_at - self._clock())

    def seconds_left(self, held: HeldToken) -> float:
        """Return for how long a token still holds."""
        return held.ends_at - self._clock()

    def _renew(self) -> HeldToken:
        began = self._clock()
        try:
            token = self._source.fetch()
        except TokenUnavailable as unavailable:
            self._note_failure(unavailable)
            raise
        except BaseException as error:
            self._note_failure(
                TokenUnavailable(
                    f"the next token cannot be made: {type(error).__name__}", "report this: it is a fault of ours"
                )
            )
            raise
        return self._note_token(token, began)

    def _note_token(self, token: Token, began: float) -> HeldToken:
        held = HeldToken(token.text, began + token.renew_seconds, began + token.life_seconds)
        with self._lock:
            had_one, failures, self._failures = self._held is not None, self._failures, 0
            self._held, self._renewal, self._unavailable = held, None, None
        if failures and had_one:
            _log.info("kafka_token_renewed", after_failures=failures)
        return held

    def _note_failure(self, unavailable: TokenUnavailable) -> None:
        with self._lock:
            had_one = self._held is not None
            self._failures += 1
            pause = min(MOST_PAUSE_SECONDS, 2.0 ** (self._failures - 1))
            now = self._clock()
            self._next_try = now + pause
            self._renewal, self._unavailable = None, unavailable
            holds = 0.0 if self._held is None else max(0.0, self._held.ends_at - now)
        if had_one:  # without one nothing began yet: whoever asks says so
            _log.warning(
                "kafka_token_unavailable",
                reason=unavailable.what,
                remedy=unavailable.remedy,
                token_holds_seconds=round(holds),
                again_in_seconds=pause,
            )


def _done(held: HeldToken) -> "Future[HeldToken]":
    future: Future[HeldToken] = Future()
    future.set_result(held)
    return future


def _failed(unavailable: TokenUnavailable) -> "Future[HeldToken]":
    future: Future[HeldToken] = Future()
    future.set_exception(unavailable)
    return future
