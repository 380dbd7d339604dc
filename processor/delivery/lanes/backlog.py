"""Everything read and not finished: the lanes of all flows, and the dead letters under way."""

from collections.abc import Callable, Collection, Iterable, Sequence

from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.dead_letter_queue import DeadLetterQueue, PendingDeadLetter
from processor.delivery.lanes.lanes import DeliveryCounts, FlowLanes, Lane, Waiting
from processor.delivery.lanes.progress import PartitionProgress, Progress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import DeadLetters
from schemas.dead_letter import DeadLetterReason
from schemas.export import Export
from schemas.kafka import BadRecord, ConsumerRecord, count_record_bytes
from schemas.wire.exports import decode_export


class Backlog:
    """The records in memory: it takes them in, and is told what became of them.

    `live` is the budget of what partitions bring, `parked` of what is read again for parked flows. `changed` is called
    when something was finished or taken away.
    """

    def __init__(
        self,
        dead_letters: DeadLetters,
        limits: DeliveryLimits,
        new_flow: Callable[[str], FlowLanes],
        changed: Callable[[], None],
    ) -> None:
        self.letters = DeadLetterQueue(dead_letters, self._finish_dead_letters)
        self.flows: dict[str, FlowLanes] = {}
        self.forgotten = DeliveryCounts()  # of flows that were known before, and are gone
        self.live = Budget(limits.max_buffered_records, limits.max_buffered_bytes)
        self.parked = Budget((limits.max_buffered_records + 1) // 2, (limits.max_buffered_bytes + 1) // 2)
        self._limits = limits
        self._new_flow = new_flow
        self._changed = changed

    @property
    def records(self) -> int:
        """Return how many records are not finished and in memory."""
        return self.live.records + self.parked.records

    def has_room(self) -> bool:
        """Return whether one more record may come of a partition."""
        return self.live.has_room()

    def accept(self, record: ConsumerRecord, progress: PartitionProgress) -> None:
        """Put a record into its lane, or skip it where its flow is parked.

        One that cannot leave becomes a dead letter at once, and its lane goes on (G2).
        """
        try:
            export = decode_export(record)
        except BadRecord as error:
            progress.accept(record.offset)
            self._dead_letter_unreadable(record, progress, str(error))
            return
        if not progress.skipped or not progress.skips(export.flow_id, record.offset):
            progress.accept(record.offset)
            self.add(export, progress)

    def add(self, export: Export, progress: Progress) -> None:
        """Put a record that `progress` accepted into its lane."""
        flow = self.flow(export.flow_id)
        progress.budget.add(export.flow_id, export.held_bytes)
        waiting = Waiting(export, progress)
        if export.size_bytes > self._limits.max_record_bytes:
            self._dead_letter(waiting, flow, DeadLetterReason.RECORD_TOO_LARGE, self._too_large(export))
            return
        key = export.record.key
        assert key is not None  # decode_export refuses it
        flow.add(key, waiting)

    def flow(self, flow_id: str) -> FlowLanes:
        """Return the flow of this id, known from now on."""
        flow = self.flows.get(flow_id)
        if flow is None:
            flow = self.flows[flow_id] = self._new_flow(flow_id)
        return flow

    def forget_flow(self, flow: FlowLanes) -> None:
        """Keep of a flow that has nothing waiting only what it adds to `forgotten`."""
        self.forgotten.add(flow.counts)
        self.live.forget_flow(flow.id)
        self.parked.forget_flow(flow.id)
        del self.flows[flow.id]

    def finish_delivered(self, lanes: Iterable[Lane]) -> None:
        """Note that the heads of the lanes are delivered; each lane goes on with its next record."""
        for lane in lanes:
            export, progress = lane.head
            flow = lane.flow
            flow.counts.delivered += 1
            flow.counts.delivered_bytes += export.size_bytes
            progress.budget.remove(flow.id, export.held_bytes)
            progress.finish(export.record.offset, flow.id)
            flow.finish_head(lane)
        self._changed()

    def dead_letter_head(self, lane: Lane, reason: DeadLetterReason, explanation: str) -> None:
        """Make the head of the lane a dead letter; the lane goes on."""
        self._dead_letter(lane.head, lane.flow, reason, explanation, lane.tries)
        lane.flow.finish_head(lane)

    def dead_letter_lane(self, lane: Lane, reason: DeadLetterReason, explanation: str) -> None:
        """Make everything in the lane, which is not in flight, dead letters, in order; the lane is at its end."""
        self._dead_letter(lane.head, lane.flow, reason, explanation, lane.tries)
        while lane.advance():
            self._dead_letter(lane.head, lane.flow, reason, explanation)
        del lane.flow.lanes[lane.key]

    def forget_abandoned_heads(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Forget abandoned heads that came back from a call; return the lanes whose heads may be sent again."""
        for lane in lanes:
            if lane.head.is_abandoned:
                self._forget([lane.head])
                lane.flow.finish_head(lane)
        return [lane for lane in lanes if lane.in_flight]

    def forget_abandoned(self) -> None:
        """Forget what is abandoned, except what is in flight; routes must then drop what was emptied."""
        for flow in self.flows.values():
            self._forget(flow.take(lambda waiting: waiting.is_abandoned))
        self._forget(self.letters.take_abandoned())

    def transfer(self, flow: FlowLanes, sources: Collection[Progress], target: Progress) -> None:
        """Forget what a flow has waiting of `sources`, except heads in flight: those hang on `target` from now on."""
        for lane in flow.lanes.values():
            if lane.in_flight and lane.head.progress in sources:
                export = lane.head.export
                lane.head.progress.budget.remove(flow.id, export.held_bytes)
                target.budget.add(flow.id, export.held_bytes)
                lane.head = Waiting(export, target)
        self._forget(flow.take(lambda waiting: waiting.progress in sources))
        flow.route.drop_emptied()

    def is_dead_lettering(self, flow: FlowLanes, progresses: Collection[Progress]) -> bool:
        """Return whether something of a flow and these is on its way to the dead letters."""
        return any(each.flow is flow and each.waiting.progress in progresses for each in self.letters.waiting())

    def in_flight(self) -> list[Waiting]:
        """Return what is on its way, to Kinesis or to the dead letters."""
        heads = (lane.head for flow in self.flows.values() for lane in flow.lanes.values() if lane.in_flight)
        return [*heads, *self.letters.writing()]

    def _dead_letter_unreadable(self, record: ConsumerRecord, progress: Progress, explanation: str) -> None:
        export = Export(record, "", b"", "", None, len(record.value or b""), count_record_bytes((record,)))
        progress.budget.add("", export.held_bytes)
        self._dead_letter(Waiting(export, progress), None, DeadLetterReason.REJECTED, explanation)

    def _too_large(self, export: Export) -> str:
        return (
            f"the record has {export.size_bytes} bytes with its partition key, Kinesis takes"
            f" {self._limits.max_record_bytes}"
        )

    def _dead_letter(
        self, waiting: Waiting, flow: FlowLanes | None, reason: DeadLetterReason, explanation: str, attempts: int = 0
    ) -> None:
        self.letters.add(PendingDeadLetter(waiting, flow, reason, explanation, attempts))

    def _finish_dead_letters(self, written: list[PendingDeadLetter]) -> None:
        for each in written:
            if each.flow is not None:
                each.flow.counts.dead_lettered[each.reason] += 1
            each.waiting.progress.finish(each.waiting.export.record.offset, each.waiting.export.flow_id)
            self._free(each.waiting)
        self._changed()

    def _forget(self, taken: Iterable[Waiting]) -> None:
        for waiting in taken:
            self._free(waiting)
        self._changed()

    def _free(self, waiting: Waiting) -> None:
        waiting.progress.budget.remove(waiting.export.flow_id, waiting.export.held_bytes)
