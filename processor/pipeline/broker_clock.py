"""The time by which memberships end: this machine's, but never later than the broker's (contract F5).

A clock that is a year ahead would end every membership with a deadline in that year, for good, with exits to all destinations. So the
broker's time is asked for with every status report, whose topic is stamped by the broker (`message.timestamp.type=LogAppendTime`).
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

WORTH_SAYING_SECONDS: Final = 60.0
_log = structlog.get_logger(__name__)


class BrokerClock:
    """Until the first report is acknowledged it is 1970, and nothing is due. Belongs to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead: float | None = None
        self._said = False

    def now(self) -> float:
        """Seconds since 1970: this machine's time, less what it is ahead of the broker."""
        return 0.0 if self._ahead is None else self._clock() - self._ahead

    def note_report(self, sent_at: float, stamped_at: float | None) -> None:
        """Take notice of a report that was sent at `sent_at` by this machine, and stamped by the broker later; None: that stamps none.

        What the report took on its way makes the difference smaller, so clocks that agree are never held back. Where the broker
        stamps none, as of a topic of before, this machine's time counts.
        """
        self._ahead = 0.0 if stamped_at is None else max(0.0, sent_at - stamped_at)
        is_wrong = self._ahead > WORTH_SAYING_SECONDS
        if is_wrong and not self._said:
            _log.warning("clock_is_ahead_of_the_broker", seconds=round(self._ahead), remedy="set the clock of this machine, or of the broker")
        self._said = is_wrong
