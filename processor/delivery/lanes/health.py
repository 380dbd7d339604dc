"""How one destination is: well, backing off after failed calls, or paused until a probe gets through (contract G4).

    well ──── call failed ───► backing off ──── call answered ───► well
     │                             └─ nothing answered for `park_after_seconds` ─► paused: unreachable, one call at a
                                   time ─ answered ───► well
     ├─────── refused ───────► paused ─ probe every `probe_seconds`, one call ─ answered ───► well
     └─ `max_rejections_in_a_row` lanes rejected, none delivered ─► paused: unusable, a single record at a time ─ one is delivered ───► well

An entry's own fault is not the destination's: the call was answered. So was one that was throttled. But where lane
after lane is rejected within an hour and nothing is taken meanwhile, the records are not at fault. They may be after
all, as ever: whatever else waits is tried as well, and the first one that is taken ends the pause.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import structlog

from processor.delivery.backoff import Draw
from processor.delivery.kinesis.fence import Fenced
from processor.delivery.kinesis.responses import Fault, FaultKind, PauseReason
from processor.delivery.lanes.lanes import Lane, RouteState
from processor.delivery.lanes.outbox import Clock
from processor.delivery.limits import DeliveryLimits
from schemas.destination import Destination

REJECTIONS_SECONDS: Final = 3_600.0
"""Rejections that are farther apart are no sign of the destination."""

_LEARNED_NOTHING: Final = frozenset({FaultKind.NOT_SENT, FaultKind.AMBIGUOUS, FaultKind.UNKNOWN})
"""After a probe with such an end nobody knows whether the cause of the pause is gone."""


class Health:
    """Says when the next call may leave, and why not earlier."""

    def __init__(self, destination: Destination, limits: DeliveryLimits, clock: Clock, draw: Draw) -> None:
        self.paused: PauseReason | None = None
        self.opens_at = 0.0
        self._limits = limits
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self.deliveries = 0  # calls that delivered something
        self.takes_nothing = False  # it rejects whatever it is sent: then only a delivery ends the pause
        self._rejected_at: dict[
            tuple[str, bytes], float
        ] = {}  # lanes, by flow and key, since the last delivery, the newest last
        self._stuck_since: float | None = None  # the first of the calls that all failed
        self._last: Fault | None = None
        self._log = structlog.get_logger(__name__).bind(stream=destination.stream, region=destination.region)

    def state(self) -> RouteState:
        """For people."""
        next_try = self.opens_at if self._stuck_since is not None else None
        return RouteState(
            self.paused,
            None if self._last is None else str(self._last),
            self._stuck_since,
            next_try,
            takes_nothing=self.takes_nothing,
        )

    def rejected(self, lanes: Iterable[Lane], fault: Fault) -> None:
        """Note that the heads of these were rejected, and that nothing was delivered since they were rejected first."""
        most = self._limits.max_rejections_in_a_row
        if not most:
            return
        self._note_rejected(lanes)
        self.takes_nothing = self.takes_nothing or len(self._rejected_at) >= most
        if self.takes_nothing:
            text = (
                f"{len(self._rejected_at)} profiles' records were rejected, and none was taken; the last one:"
                f" {fault.message}"
            )
            self.refused(Fault(FaultKind.REFUSED, fault.code, text, PauseReason.DESTINATION_UNUSABLE))

    def _note_rejected(self, lanes: Iterable[Lane]) -> None:
        """Remember each lane once, and for `REJECTIONS_SECONDS`: one that is rejected again and again says nothing
        about others.
        """
        now, rejected_at = self._clock(), self._rejected_at
        for lane in lanes:
            rejected_at.pop((lane.flow.id, lane.key), None)
            rejected_at[lane.flow.id, lane.key] = now
        while rejected_at[oldest := next(iter(rejected_at))] < now - REJECTIONS_SECONDS:
            del rejected_at[oldest]

    def delivered(self) -> None:
        """Note a call that delivered something."""
        took_nothing, self.takes_nothing = self.takes_nothing, False
        self.deliveries += 1
        self._rejected_at.clear()
        if took_nothing:
            self.answered()

    def answered(self) -> None:
        """A call was answered entry by entry, or rejected for what it carried: the destination lets us in."""
        if self.takes_nothing:
            self.opens_at = self._clock() + self._limits.probe_seconds
            return
        self._resume()
        if self._failures:
            self._log.info("destination_recovered", failures=self._failures)
        self._last, self._failures, self._stuck_since, self.opens_at = None, 0, None, 0.0

    def failed(self, fault: Fault) -> None:
        """A call failed as a whole, for a reason that passes by itself."""
        now = self._clock()
        if self.takes_nothing or (
            fault.kind in _LEARNED_NOTHING and self.paused not in (None, PauseReason.UNREACHABLE)
        ):
            self.opens_at = now + self._limits.probe_seconds
            return
        if fault.kind not in _LEARNED_NOTHING:
            self._resume()
            self._stuck_since = None
        else:
            self._note_silence(fault, now)
        self._failures += 1
        self._last = fault
        self.opens_at = max(self.opens_at, now + self._limits.backoff.seconds(self._failures, self._draw))
        if _is_power_of_two(self._failures):
            say = self._log.error if fault.kind is FaultKind.UNKNOWN else self._log.warning
            say(
                "kinesis_call_failed",
                kind=fault.kind.value,
                code=fault.code,
                message=fault.message,
                failures=self._failures,
            )

    def refused(self, fault: Fault) -> None:
        """We are not let in: paused until a probe tells otherwise."""
        assert fault.pause is not None
        if fault.pause is not self.paused:
            self._log.error("destination_paused", reason=fault.pause.value, code=fault.code, message=fault.message)
        now = self._clock()
        self.paused, self._last, self._failures = fault.pause, fault, 0
        self._stuck_since = now if self._stuck_since is None else self._stuck_since
        self.opens_at = now + self._limits.probe_seconds

    def entries_failed(self, faults: Iterable[Fault]) -> None:
        """Entries of an answered call failed: an alarm for what we do not know, one line a call and code."""
        unknown = Counter(fault.code for fault in faults if fault.kind is FaultKind.UNKNOWN)
        for code, records in unknown.items():
            self._log.error("kinesis_entries_failed", kind=FaultKind.UNKNOWN.value, code=code, records=records)

    def _note_silence(self, fault: Fault, now: float) -> None:
        if fault.code == Fenced.__name__:
            return  # it is we who are silent
        self._stuck_since = now if self._stuck_since is None else self._stuck_since
        if self.paused is None and now - self._stuck_since >= self._limits.park_after_seconds:
            self._log.error(
                "destination_paused", reason=PauseReason.UNREACHABLE.value, code=fault.code, message=fault.message
            )
            self.paused = PauseReason.UNREACHABLE

    def _resume(self) -> None:
        if self.paused is not None:
            self._log.info("destination_resumed", reason=self.paused.value)
        self.paused = None


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0
