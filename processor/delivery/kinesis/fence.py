"""Nothing leaves for Kinesis while this worker may have lost what it owns: Kinesis fences nobody (G3).

A call that was on its way when the worker was stopped cannot be taken back; any other is not begun, or ends before its
request is written. It is open again when the group has answered; what was lost meanwhile is revoked by the group, and
dropped.
"""

from collections.abc import Callable

import structlog

FENCED = (
    "not sent: the group has not answered for a session's time, and may have given this worker's partitions to others"
)

_log = structlog.get_logger(__name__)


class Fenced(Exception):
    """A request was not written: this worker may have lost what it owns."""

    def __init__(self) -> None:
        super().__init__(FENCED)


class Fence:
    """The fence before every request: `may_send` is asked at once; `times_closed` counts since the worker started."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self._was_open = True
        self.times_closed = 0

    def is_open(self) -> bool:
        """Return whether a call may begin; a change is logged once. On the event loop only."""
        is_open = self._may_send()
        if is_open is not self._was_open:
            self._was_open = is_open
            if is_open:
                _log.info("delivery_unfenced")
            else:
                self.times_closed += 1
                _log.warning("delivery_fenced", reason=FENCED)
        return is_open
