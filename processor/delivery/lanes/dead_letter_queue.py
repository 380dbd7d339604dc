"""Records that cannot be delivered, on their way to durable dead letters: in order, one batch at a time (I4, G9)."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import structlog

from processor.delivery.lanes.lanes import FlowLanes, Waiting
from processor.delivery.lanes.progress import Progress
from processor.delivery.ports import DeadLetters, ExportDeadLetter
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.kafka import ConsumerRecord
from schemas.times import format_time

BATCH_RECORDS: Final = 500

log = structlog.get_logger(__name__)


class PendingDeadLetter(NamedTuple):
    """A waiting record that becomes a dead letter, and why.

    `flow` is None where the record does not name one; `attempts`: how often it was sent.
    """

    waiting: Waiting
    flow: FlowLanes | None
    reason: DeadLetterReason
    explanation: str
    attempts: int


class DeadLetterQueue:
    """Records on their way to durable dead letters; `finished` is called with each batch that is."""

    def __init__(self, dead_letters: DeadLetters, finished: Callable[[list[PendingDeadLetter]], None]) -> None:
        self._dead_letters = dead_letters
        self._finished = finished
        self._queue: deque[PendingDeadLetter] = deque()
        self._putting: list[PendingDeadLetter] = []
        self._arrived = asyncio.Event()

    def add(self, pending: PendingDeadLetter) -> None:
        """Have a record written, after all earlier ones."""
        self._queue.append(pending)
        self._arrived.set()

    async def run(self) -> None:
        """Write batches for ever; raise what the port raises."""
        while True:
            await self._arrived.wait()
            self._putting = [self._queue.popleft() for _ in range(min(BATCH_RECORDS, len(self._queue)))]
            if not self._putting:
                self._arrived.clear()
                continue
            await self._dead_letters.put([make_dead_letter(each) for each in self._putting])
            done, self._putting = self._putting, []
            _log(done)
            self._finished(done)

    def take_abandoned(self) -> list[Waiting]:
        """Take out what is abandoned, except what is being written."""
        taken = [each.waiting for each in self._queue if each.waiting.is_abandoned]
        self._queue = deque(each for each in self._queue if not each.waiting.is_abandoned)
        return taken

    def is_writing(self, progresses: Collection[Progress]) -> bool:
        """Return whether records of these are being written."""
        return any(each.waiting.progress in progresses for each in self._putting)

    def writing(self) -> list[Waiting]:
        """Return the records that are being written."""
        return [each.waiting for each in self._putting]

    def waiting(self) -> list[PendingDeadLetter]:
        """Return the records that are not durable yet."""
        return [*self._putting, *self._queue]


def make_dead_letter(pending: PendingDeadLetter) -> ExportDeadLetter:
    """Make the dead letter: key, value and headers as they were, and why (I4)."""
    record = pending.waiting.export.record
    letter = DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        pending.reason,
        pending.explanation,
        _time(record),
    )
    return ExportDeadLetter(letter, record.headers, pending.attempts)


def _time(record: ConsumerRecord) -> str | None:
    timestamp = record.timestamp
    return None if timestamp is None or timestamp < 0 else format_time(timestamp // 1000)


def _log(batch: list[PendingDeadLetter]) -> None:
    """Log a line for each flow and reason: a deleted flow may have left millions of records."""
    counts = Counter((None if each.flow is None else each.flow.id, each.reason) for each in batch)
    for (flow_id, reason), records in counts.items():
        log.warning("records_dead_lettered", flow=flow_id, reason=reason.value, records=records)
