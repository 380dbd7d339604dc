"""Everything read and not finished: the lanes of all flows, the dead letters under way, and how much memory that
holds.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from processor.delivery.lanes.dead_letter_queue import Condemned, DeadLetterQueue
from processor.delivery.lanes.lanes import FlowCounts, FlowLanes, Held, Lane, Waiting
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import DeadLetters
from schemas.dead_letter import DeadLetterReason
from schemas.export import Export
from schemas.kafka import BadRecord, ConsumerRecord, count_record_bytes
from schemas.wire.exports import decode_export


class Backlog:
    """Takes records in, and is told what became of them.

    `changed` is called when something was finished or taken away.
    """

    def __init__(
        self,
        dead_letters: DeadLetters,
        limits: DeliveryLimits,
        new_flow: Callable[[str], FlowLanes],
        changed: Callable[[], None],
    ) -> None:
        self.letters = DeadLetterQueue(dead_letters, self._written)
        self.flows: dict[str, FlowLanes] = {}
        self.forgotten = FlowCounts()  # of flows that were known before, and are gone
        self.live = Held()
        self.parked = Held()  # what was read a second time, of parked flows: bounded by who reads it
        self._limits = limits
        self._new_flow = new_flow
        self._changed = changed

    @property
    def records(self) -> int:
        """All that is not finished and in memory."""
        return self.live.records + self.parked.records

    def has_room(self) -> bool:
        """Whether one more record may come."""
        return (
            self.live.records < self._limits.max_buffered_records
            and self.live.size_bytes < self._limits.max_buffered_bytes
        )

    def accept(self, record: ConsumerRecord, progress: PartitionProgress) -> None:
        """The record waits in its lane, or is left to its parked flow.

        One that cannot leave is condemned at once, and its lane goes on (contract G2).
        """
        try:
            export = decode_export(record)
        except BadRecord as error:
            progress.accept(record.offset)
            self._accept_unreadable(record, progress, str(error))
            return
        if not progress.parked or not progress.passes(export.flow_id, record.offset):
            self.take_in(export, progress)

    def take_in(self, export: Export, progress: PartitionProgress) -> None:
        """As `accept`, of a record that was read already."""
        record = export.record
        progress.accept(record.offset)
        flow = self.flow(export.flow_id)
        self._hold(export, progress, flow)
        waiting = Waiting(export, progress)
        if export.size_bytes > self._limits.max_record_bytes:
            self._condemn(waiting, flow, DeadLetterReason.RECORD_TOO_LARGE, self._too_large(export))
            return
        assert record.key is not None  # parse_export refuses it
        flow.add(record.key, waiting)

    def flow(self, flow_id: str) -> FlowLanes:
        """The flow of this id, known from now on."""
        flow = self.flows.get(flow_id)
        if flow is None:
            flow = self.flows[flow_id] = self._new_flow(flow_id)
        return flow

    def forget_flow(self, flow: FlowLanes) -> None:
        """Keep of a flow that has nothing waiting only what it adds to `forgotten`."""
        self.forgotten.add(flow.counts)
        del self.flows[flow.id]

    def delivered(self, lanes: Iterable[Lane]) -> None:
        """The heads of the lanes are delivered."""
        for lane in lanes:
            export, progress = lane.head
            flow, size = lane.flow, export.held_bytes
            flow.counts.delivered += 1
            flow.counts.delivered_bytes += export.size_bytes
            held, mine = (self.parked, flow.parked) if progress.is_parked else (self.live, flow.live)
            held.remove(size)
            mine.remove(size)
            progress.finish(export.record.offset, flow.id)
            flow.step(lane)
        self._changed()

    def condemn_head(self, lane: Lane, reason: DeadLetterReason, explanation: str) -> None:
        """The head of the lane becomes a dead letter; the lane goes on."""
        self._condemn(lane.head, lane.flow, reason, explanation, lane.tries)
        lane.flow.step(lane)

    def condemn_all(self, lane: Lane, reason: DeadLetterReason, explanation: str) -> None:
        """Everything in the lane becomes dead letters, in order; the lane is at its end."""
        lane.in_flight = False
        self._condemn(lane.head, lane.flow, reason, explanation, lane.tries)
        while lane.advance():
            self._condemn(lane.head, lane.flow, reason, explanation)
        del lane.flow.lanes[lane.key]

    def still_ours(self, lanes: Sequence[Lane]) -> list[Lane]:
        """The lanes whose heads, back from a call, may be sent again; those given up are forgotten."""
        for lane in lanes:
            if lane.head.given_up:
                self._forget([lane.head])
                lane.flow.step(lane)
        return [lane for lane in lanes if lane.in_flight]

    def take_given_up(self) -> None:
        """Forget what is given up, except what is in flight; routes must then drop what was emptied."""
        for flow in self.flows.values():
            self._forget(flow.take(lambda waiting: waiting.given_up))
        self._forget(self.letters.take_given_up())

    def hand_over(self, flow: FlowLanes, progresses: Collection[PartitionProgress], heir: PartitionProgress) -> None:
        """Forget what a flow has waiting of these, except heads in flight: those are the heir's from now on."""
        for lane in flow.lanes.values():
            if lane.in_flight and lane.head.progress in progresses:
                self._free(lane.head)
                self._hold(lane.head.export, heir, flow)
                lane.head = Waiting(lane.head.export, heir)
        self._forget(flow.take(lambda waiting: waiting.progress in progresses))
        flow.route.drop_emptied()

    def is_condemning(self, flow: FlowLanes, progresses: Collection[PartitionProgress]) -> bool:
        """Whether something of a flow and these is on its way to the dead letters."""
        return any(each.flow is flow and each.waiting.progress in progresses for each in self.letters.waiting())

    def in_flight(self) -> list[Waiting]:
        """What is on its way, to Kinesis or to the dead letters."""
        heads = (lane.head for flow in self.flows.values() for lane in flow.lanes.values() if lane.in_flight)
        return [*heads, *self.letters.writing()]

    def _accept_unreadable(self, record: ConsumerRecord, progress: PartitionProgress, explanation: str) -> None:
        export = Export(record, "", b"", "", None, len(record.value or b""), count_record_bytes((record,)))
        self._hold(export, progress, None)
        self._condemn(Waiting(export, progress), None, DeadLetterReason.REJECTED, explanation)

    def _too_large(self, export: Export) -> str:
        return (
            f"the record has {export.size_bytes} bytes with its partition key, Kinesis takes"
            f" {self._limits.max_record_bytes}"
        )

    def _condemn(
        self, waiting: Waiting, flow: FlowLanes | None, reason: DeadLetterReason, explanation: str, attempts: int = 0
    ) -> None:
        self.letters.add(Condemned(waiting, flow, reason, explanation, attempts))

    def _written(self, condemned: list[Condemned]) -> None:
        for each in condemned:
            if each.flow is not None:
                each.flow.counts.dead_lettered[each.reason] += 1
            each.waiting.progress.finish(each.waiting.export.record.offset, each.waiting.export.flow_id)
            self._free(each.waiting)
        self._changed()

    def _forget(self, taken: Iterable[Waiting]) -> None:
        for waiting in taken:
            self._free(waiting)
        self._changed()

    def _hold(self, export: Export, progress: PartitionProgress, flow: FlowLanes | None) -> None:
        (self.parked if progress.is_parked else self.live).add(export.held_bytes)
        if flow is not None:
            (flow.parked if progress.is_parked else flow.live).add(export.held_bytes)

    def _free(self, waiting: Waiting) -> None:
        export, is_parked = waiting.export, waiting.progress.is_parked
        (self.parked if is_parked else self.live).remove(export.held_bytes)
        if (flow := self.flows.get(export.flow_id)) is not None:
            (flow.parked if is_parked else flow.live).remove(export.held_bytes)
