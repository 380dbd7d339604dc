"""Bound the checks of destinations: a slow endpoint costs a few threads for a while, and not the whole API."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

import structlog

from processor.api.errors import ApiError, Code
from schemas.destination import Destination

AT_ONCE: Final = 4  # of the 40 threads that all calls of the API share
CHECK_SECONDS: Final = 20.0  # preflight asks five questions, 5 s each at most; an endpoint that drips can take longer
_log = structlog.get_logger(__name__)

ExamineOne = Callable[[Destination, bool], list[str]]
"""Returns the faults of one destination, in words; with True only whether it authorizes us, whatever its stream."""


class BoundedChecks:
    """Checks of destinations, so many at once and each for so many seconds, as `calls.Examine`; thread-safe.

    What could not be asked is a text like any other: a check without a text would be taken for a good one.
    """

    def __init__(self, examine: ExamineOne, at_once: int = AT_ONCE, seconds: float = CHECK_SECONDS) -> None:
        self._examine = examine
        self._slots = threading.Semaphore(at_once)
        self._at_once = at_once
        self._seconds = seconds

    def __call__(self, destinations: Sequence[Destination], only_access: bool) -> list[str]:
        """Wait for the faults, and return them with what is missing; raise ApiError where too many wait."""
        if not self._slots.acquire(blocking=False):
            text = (
                f"not asked: {self._at_once} other checks of destinations are under way; ask again in"
                f" {self._seconds:g} s"
            )
            raise ApiError(Code.BUSY, text)
        answers: list[list[str]] = []
        asked: Future[None] = Future()
        threading.Thread(
            target=self._ask, args=(destinations, only_access, answers, asked), name="destination-check", daemon=True
        ).start()
        try:
            asked.result(self._seconds)
        except TimeoutError:
            asked.cancel()
        found = list(answers)
        missing = len(destinations) - len(found)
        left = [f"{missing} of {len(destinations)} destinations gave no answer within {self._seconds:g} s"]
        return [*(text for answer in found for text in answer), *(left if len(found) < len(destinations) else [])]

    def _ask(
        self, destinations: Sequence[Destination], only_access: bool, answers: list[list[str]], asked: "Future[None]"
    ) -> None:
        """Ask one destination after the other, in a thread of its own.

        It keeps its slot until the last one has answered, or nobody waits any more.
        """
        try:
            for destination in destinations:
                if asked.cancelled():
                    return
                answers.append(self._examined(destination, only_access))
        except BaseException as error:
            if asked.set_running_or_notify_cancel():
                asked.set_exception(error)
        else:
            if asked.set_running_or_notify_cancel():
                asked.set_result(None)
        finally:
            self._slots.release()

    def _examined(self, destination: Destination, only_access: bool) -> list[str]:
        """Return the faults of a destination, or that its check failed: its change may be in force by now."""
        try:
            return self._examine(destination, only_access)
        except Exception as error:
            _log.exception("destination_check_failed", stream=destination.stream, region=destination.region)
            why = f"the check itself failed ({type(error).__name__}); the log of the API says more"
            return [f"{destination.stream}: not asked: {why}"]
