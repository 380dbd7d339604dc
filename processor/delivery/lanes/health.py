"""The health of one destination: well, backing off after failed calls, or paused until a probe gets through (G4).

    well ──── call failed ───► backing off ──── a response ─────► well
     │                             └─ nothing answered for `park_after_seconds` ─► paused: unreachable, one call at a
     │                                time ─ a response ─► well
     ├─────── refused ───────► paused ─ probe every `probe_seconds`, one call ─ a response ─► well
     └─ `max_rejections_in_a_row` lanes rejected, none delivered ─► paused: unusable, a single record at a time ─ one
        is delivered ─► well

An entry's own fault is not the destination's: the call had a response. So had one that was throttled. But where lane
after lane is rejected within an hour and nothing is taken meanwhile, the records are not at fault. They may be after
all, as ever: whatever else waits is tried as well, and the first one that is taken ends the pause.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import structlog

from processor.delivery.kinesis.faults import Fault, FaultKind, PauseReason
from processor.delivery.kinesis.fence import Fenced
from processor.delivery.lanes.lanes import Lane, RouteState
from processor.delivery.limits import DeliveryLimits
from processor.foundation.clocks import Clock, Draw
from schemas.destination import Destination

REJECTIONS_SECONDS: Final = 3_600.0
"""The seconds by which rejections may be apart; farther apart they are no sign of the destination."""

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
        self.rejects_everything = False  # it rejects whatever it is sent: then only a delivery ends the pause
        self._rejected_at: dict[tuple[str, bytes], float] = {}  # by flow and key, since a delivery, the newest last
        self._unavailable_since: float | None = None  # the first of the calls that all failed
        self._last: Fault | None = None
        self._log = structlog.get_logger(__name__).bind(stream=destination.stream, region=destination.region)

    def state(self) -> RouteState:
        """Return how the destination is, for people and for parking."""
        next_try = self.opens_at if self._unavailable_since is not None else None
        return RouteState(
            self.paused,
            None if self._last is None else str(self._last),
            self._unavailable_since,
            next_try,
            rejects_everything=self.rejects_everything,
        )

    def note_rejections(self, lanes: Iterable[Lane], fault: Fault) -> None:
        """Note that the heads of these were rejected, and that nothing was delivered since they were rejected first."""
        most = self._limits.max_rejections_in_a_row
        if not most:
            return
        self._remember_rejected(lanes)
        self.rejects_everything = self.rejects_everything or len(self._rejected_at) >= most
        if self.rejects_everything:
            text = (
                f"{len(self._rejected_at)} profiles' records were rejected, and none was taken; the last one:"
                f" {fault.message}"
            )
            self.note_refusal(Fault(FaultKind.REFUSED, fault.code, text, PauseReason.DESTINATION_UNUSABLE))

    def _remember_rejected(self, lanes: Iterable[Lane]) -> None:
        """Remember each lane once, for `REJECTIONS_SECONDS`: one rejected again and again says nothing about others."""
        now, rejected_at = self._clock(), self._rejected_at
        for lane in lanes:
            rejected_at.pop((lane.flow.id, lane.key), None)
            rejected_at[lane.flow.id, lane.key] = now
        while rejected_at[oldest := next(iter(rejected_at))] < now - REJECTIONS_SECONDS:
            del rejected_at[oldest]

    def note_delivery(self) -> None:
        """Note a call that delivered something."""
        rejected_everything, self.rejects_everything = self.rejects_everything, False
        self.deliveries += 1
        self._rejected_at.clear()
        if rejected_everything:
            self.note_response()

    def note_response(self) -> None:
        """Note a response entry by entry, or a rejection of what the call carried: we are authorized."""
        if self.rejects_everything:
            self.opens_at = self._clock() + self._limits.probe_seconds
            return
        self._resume()
        if self._failures:
            self._log.info("destination_recovered", failures=self._failures)
        self._last, self._failures, self._unavailable_since, self.opens_at = None, 0, None, 0.0

    def note_failure(self, fault: Fault) -> None:
        """Note a call that failed as a whole, for a reason that passes by itself."""
        now = self._clock()
        if self.rejects_everything or (
            fault.kind in _LEARNED_NOTHING and self.paused not in (None, PauseReason.UNREACHABLE)
        ):
            self.opens_at = now + self._limits.probe_seconds
            return
        if fault.kind not in _LEARNED_NOTHING:
            self._resume()
            self._unavailable_since = None
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

    def note_refusal(self, fault: Fault) -> None:
        """Note that we are not authorized, and pause until a probe tells otherwise."""
        assert fault.pause is not None
        if fault.pause is not self.paused:
            self._log.error("destination_paused", reason=fault.pause.value, code=fault.code, message=fault.message)
        now = self._clock()
        self.paused, self._last, self._failures = fault.pause, fault, 0
        self._unavailable_since = now if self._unavailable_since is None else self._unavailable_since
        self.opens_at = now + self._limits.probe_seconds

    def note_unknown_entries(self, faults: Iterable[Fault]) -> None:
        """Raise an alarm for faults of entries that nobody knows, a line for each call and code."""
        unknown = Counter(fault.code for fault in faults if fault.kind is FaultKind.UNKNOWN)
        for code, records in unknown.items():
            self._log.error("kinesis_entries_failed", kind=FaultKind.UNKNOWN.value, code=code, records=records)

    def _note_silence(self, fault: Fault, now: float) -> None:
        if fault.code == Fenced.__name__:
            return  # it is we who are silent
        self._unavailable_since = now if self._unavailable_since is None else self._unavailable_since
        if self.paused is None and now - self._unavailable_since >= self._limits.park_after_seconds:
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
