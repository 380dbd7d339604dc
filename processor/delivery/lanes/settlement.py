"""The settlement of a call that has ended: what becomes of its records, by what its response means.

delivered                       the lane goes on with its next record
throttled, by a known shard     the same head again, when its shard's pace allows it
its own fault                   the same head again, after a backoff; what is rejected too often is a dead letter
the whole call's fault          the same heads again, at once, before all others
the whole call rejected         halves of it, each a call of its own, until the culprit is alone
"""

from collections import Counter
from collections.abc import Sequence

from processor.delivery.kinesis.faults import Fault, FaultKind
from processor.delivery.kinesis.responses import Classification
from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.calls import Call, CallWindow
from processor.delivery.lanes.health import Health
from processor.delivery.lanes.lanes import Lane, Route
from processor.delivery.lanes.outbox import Outbox
from processor.delivery.lanes.shard_rates import ShardRates
from processor.delivery.limits import DeliveryLimits
from processor.foundation.clocks import Draw
from schemas.dead_letter import DeadLetterReason


class Settlement:
    """Settles the calls of one destination, `route`: each lane comes back, and waits or goes on."""

    def __init__(
        self,
        route: Route,
        backlog: Backlog,
        outbox: Outbox,
        window: CallWindow,
        health: Health,
        rates: ShardRates,
        limits: DeliveryLimits,
        draw: Draw,
    ) -> None:
        self._route = route
        self._backlog = backlog
        self._outbox = outbox
        self._window = window
        self._health = health
        self._rates = rates
        self._limits = limits
        self._draw = draw

    def settle(self, call: Call, outcome: Classification) -> None:
        """Do with each record of an ended call what its outcome says."""
        if outcome.whole is not None:
            self._settle_failed(call, outcome.whole)
            return
        lanes, faults = call.lanes, outcome.faults
        if not faults:  # the shortest way for nearly all
            self._health.note_delivery()
            self._note_response(call)
            self._window.widen()
            self._backlog.finish_delivered(lanes)
            return
        kinds = Counter(fault.kind for fault in faults.values())
        rejected = [lanes[index] for index, fault in faults.items() if fault.kind is FaultKind.REJECTED]
        self._note_first_rejections(rejected)
        if len(faults) < len(lanes):
            self._health.note_delivery()
        if rejected:
            self._note_rejections(rejected, next(each for each in faults.values() if each.kind is FaultKind.REJECTED))
        if not kinds[FaultKind.REFUSED]:
            self._note_response(call)
        self._health.note_unknown_entries(faults.values())
        self._adapt(call, kinds[FaultKind.THROTTLED])
        self._backlog.finish_delivered([lane for index, lane in enumerate(lanes) if index not in faults])
        for index, fault in faults.items():
            for lane in self._backlog.forget_abandoned_heads([lanes[index]]):
                self._settle_entry(lane, fault)

    def _note_response(self, call: Call) -> None:
        """Tell health of a response; a pause ends by a probe, not by a call that was in flight before it."""
        if call.is_probe or self._health.paused is None:
            self._health.note_response()

    def _note_first_rejections(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            if not lane.rejections:
                lane.rejected_after = self._health.deliveries

    def _note_rejections(self, lanes: Sequence[Lane], fault: Fault) -> None:
        """Tell health of single records' rejections, unless others were delivered: then they are the records' own."""
        unexplained = [lane for lane in lanes if lane.rejected_after == self._health.deliveries]
        if unexplained:
            self._health.note_rejections(unexplained, fault)

    def _adapt(self, call: Call, throttled: int) -> None:
        """Have fewer calls when half of a call is too much.

        Less than that is a few shards' matter, and their lanes back off.
        """
        if throttled * 2 >= len(call.lanes):
            self._window.narrow(call.round)
        else:
            self._window.widen()

    def _settle_entry(self, lane: Lane, fault: Fault) -> None:
        lane.flow.counts.throttled += fault.kind is FaultKind.THROTTLED
        if fault.kind is FaultKind.REJECTED:
            self._reject(lane, fault)
        elif fault.kind is FaultKind.REFUSED:
            self._health.note_refusal(fault)
            self._return([lane])
        elif fault.kind is FaultKind.THROTTLED and self._rates.knows(lane):
            self._return_behind([lane])  # the shard's pace says when; its own failures are none of it
        else:
            self._return_later(lane)

    def _settle_failed(self, call: Call, fault: Fault) -> None:
        lanes = self._backlog.forget_abandoned_heads(call.lanes)
        if fault.kind is FaultKind.REJECTED:
            self._settle_rejected(call, lanes, fault)
            return
        if fault.kind is FaultKind.REFUSED:
            self._health.note_refusal(fault)
            self._outbox.dissolve_groups()
        elif call.is_probe or self._health.paused is None:
            self._health.note_failure(fault)
        if fault.kind is FaultKind.THROTTLED:
            self._window.narrow(call.round)
            for lane in lanes:
                lane.flow.counts.throttled += 1
        self._return(lanes)

    def _settle_rejected(self, call: Call, lanes: list[Lane], fault: Fault) -> None:
        """Halve the call until the culprit is alone: nobody says which record is at fault."""
        is_alone = len(call.lanes) == 1
        if is_alone:
            self._note_first_rejections(call.lanes)
            self._note_rejections(call.lanes, fault)
        self._note_response(call)
        if is_alone:
            for lane in lanes:
                self._reject(lane, fault)
        elif self._health.rejects_everything:
            self._return_behind(lanes)
        else:
            mine = self._come_back(lanes)
            half = (len(mine) + 1) // 2
            self._outbox.add_group(mine[:half])
            self._outbox.add_group(mine[half:])

    def _reject(self, lane: Lane, fault: Fault) -> None:
        most = self._limits.max_rejections
        if self._health.rejects_everything:
            lane.rejections = min(lane.rejections + 1, max(most - 1, 1))  # the last one is for when others are taken
            self._return_behind([lane])
            return
        lane.rejections += 1
        if lane.rejections < most:
            self._return_later(lane)
        else:
            explanation = f"Kinesis rejected it {lane.rejections} times: {fault}"
            self._backlog.dead_letter_head(lane, DeadLetterReason.REJECTED, explanation)

    def _return(self, lanes: Sequence[Lane]) -> None:
        """Have the lanes wait before all others."""
        if self._health.rejects_everything:
            self._return_behind(lanes)
        else:
            self._outbox.put_back(self._come_back(lanes))

    def _return_later(self, lane: Lane) -> None:
        """Have the lane wait for its backoff."""
        lane.failures += 1
        for mine in self._come_back([lane]):
            self._outbox.add_later(mine, self._limits.backoff.seconds(mine.failures, self._draw))

    def _return_behind(self, lanes: Sequence[Lane]) -> None:
        """Have the lanes wait behind all others."""
        for mine in self._come_back(lanes):
            self._outbox.add(mine)

    def _come_back(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Take the lanes out of flight; return those that still deliver here: the others go to their new route (G9)."""
        mine = []
        for lane in lanes:
            lane.come_back()
            route = lane.flow.route
            if route is self._route:
                mine.append(lane)
            else:
                route.add(lane)
        return mine
