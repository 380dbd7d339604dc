"""The time by which memberships end: this machine's, but never later than the broker's (contract F5).

A clock that is a year ahead would end every membership with a deadline in that year, for good, with exits to all
destinations. So the broker's time is asked for with every status report, whose topic is stamped by the broker
(`message.timestamp.type=LogAppendTime`). A clock that is set while the worker runs, or a machine that was asleep, is
ahead before the next report says so: between two reports the broker's time goes on by this machine's monotonic clock,
which nobody sets.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

WORTH_SAYING_SECONDS: Final = 60.0
_SLACK_SECONDS: Final = 1.0
"""What a report may take back from the broker, and two clocks may drift apart until the next: without it, clocks that
agree would be held back.
"""
_log = structlog.get_logger(__name__)


class _Report(NamedTuple):
    """The last report: seconds that this machine is ahead, and the broker's time, None: not said, at a moment."""

    ahead: float
    stamped_at: float | None
    noted_at: float


class BrokerClock:
    """Until the first report is acknowledged it is 1970, and nothing is due. Belongs to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._report: _Report | None = None
        self._said = False

    @property
    def is_known(self) -> bool:
        """Return whether a report was acknowledged: until then no membership ends."""
        return self._report is not None

    def now(self) -> float:
        """Return this machine's time in seconds since 1970, less what it is ahead of the broker.

        The result is never past the broker's time as it goes on since the last report.
        """
        report = self._report
        if report is None:
            return 0.0
        now = self._clock() - report.ahead
        if report.stamped_at is None:
            return now
        return min(now, report.stamped_at + self._monotonic() - report.noted_at + _SLACK_SECONDS)

    def note_report(self, sent_at: float, stamped_at: float | None) -> None:
        """Take notice of a report that was sent at `sent_at`, and that the broker stamped later.

        What the report took on its way makes the difference smaller, so clocks that agree are never held back. Where
        the broker stamps none (`stamped_at` None), as of a topic of an earlier version, this machine's time counts.
        """
        ahead = 0.0 if stamped_at is None else max(0.0, sent_at - stamped_at)
        self._report = _Report(ahead, stamped_at, self._monotonic())
        is_wrong = ahead > WORTH_SAYING_SECONDS
        if is_wrong and not self._said:
            _log.warning(
                "clock_is_ahead_of_the_broker",
                seconds=round(ahead),
                remedy="set the clock of this machine, or of the broker",
            )
        self._said = is_wrong
