"""Changes, one after the other: decided by the state as it is, and written whole.

A change is decided again where somebody else wrote in between.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import uuid4

from processor.catalog.state import ControlState
from processor.control.draft import Draft
from processor.control.job_status import JobsProgress
from processor.control.ports import ControlLog, Overtaken
from processor.foundation.errors import CommandError
from schemas.times import format_time
from schemas.wire.audit_events import Author

Answer = TypeVar("Answer")

TURN_SECONDS: Final = 10.0
_TRIES: Final = 10


class ControlPlane:
    """The way of every change, for threads and processes at once.

    `now_ms`: milliseconds since 1970; `new_etag` gives a text that nobody had before; `progress`: what workers say of
    jobs.
    """

    def __init__(
        self,
        log: ControlLog,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        new_etag: Callable[[], str] = lambda: uuid4().hex,
        progress: Callable[[], JobsProgress] = JobsProgress,
    ) -> None:
        self._log = log
        self._now_ms = now_ms
        self._new_etag = new_etag
        self._progress = progress
        self._changing = threading.Lock()

    def state(self) -> ControlState:
        """Return the state as it is now."""
        return self._log.state()

    @property
    def now(self) -> str:
        """Return the moment, in the form of C8."""
        return format_time(self._now_ms() // 1000)

    def change(self, author: Author, decide: Callable[[Draft], Answer]) -> Answer:
        """Decide, and write what was put into the draft, all or nothing; what `decide` raises changes nothing.

        `decide` may be called several times. Raises as ControlLog.commit and `progress` do.
        """
        if not self._changing.acquire(timeout=TURN_SECONDS):
            raise CommandError(
                f"other changes took longer than {TURN_SECONDS:.0f} s: does Kafka answer? Nothing was written"
            )
        try:
            return self._change(author, decide)
        finally:
            self._changing.release()

    def _change(self, author: Author, decide: Callable[[Draft], Answer]) -> Answer:
        for _ in range(_TRIES):
            draft = Draft(self._log.state(), author, self._now_ms(), self._new_etag, self._progress)
            answer = decide(draft)
            if not draft.records:
                return answer
            try:
                self._log.commit(draft.records)
            except Overtaken:
                continue
            return answer
        raise CommandError(
            f"others changed flows and connections {_TRIES} times while this change was tried; nothing of it was"
            " written"
        )
