"""Records that cannot be delivered, on their way to durable dead letters: in order, in batches, one batch at a time
(contract I4, G4, G9).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import structlog

from processor.delivery.lanes.lanes import FlowLanes, Waiting
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.ports import DeadLetters, Undelivered
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.kafka import ConsumerRecord
from schemas.times import format_time

BATCH_RECORDS: Final = 500

log = structlog.get_logger(__name__)


class Condemned(NamedTuple):
    """A waiting record, and why it is not delivered.

    `flow` is None where the record does not name one; `attempts`: how often it was sent.
    """

    waiting: Waiting
    flow: FlowLanes | None
    reason: DeadLetterReason
    explanation: str
    attempts: int


class DeadLetterQueue:
    """Condemned records until they are durable; `finished` is told of each batch that is."""

    def __init__(self, dead_letters: DeadLetters, finished: Callable[[list[Condemned]], None]) -> None:
        self._dead_letters = dead_letters
        self._finished = finished
        self._queue: deque[Condemned] = deque()
        self._putting: list[Condemned] = []
        self._arrived = asyncio.Event()

    def add(self, condemned: Condemned) -> None:
        """Write it, after all earlier ones."""
        self._queue.append(condemned)
        self._arrived.set()

    async def run(self) -> None:
        """Write for ever; what the port raises ends it."""
        while True:
            await self._arrived.wait()
            self._putting = [self._queue.popleft() for _ in range(min(BATCH_RECORDS, len(self._queue)))]
            if not self._putting:
                self._arrived.clear()
                continue
            await self._dead_letters.put([undelivered(each) for each in self._putting])
            done, self._putting = self._putting, []
            _log(done)
            self._finished(done)

    def take_given_up(self) -> list[Waiting]:
        """Take out what is given up, except what is being written."""
        taken = [each.waiting for each in self._queue if each.waiting.given_up]
        self._queue = deque(each for each in self._queue if not each.waiting.given_up)
        return taken

    def is_writing(self, partitions: Collection[PartitionProgress]) -> bool:
        """Whether records of these partitions are being written."""
        return any(each.waiting.progress in partitions for each in self._putting)

    def writing(self) -> list[Waiting]:
        """What is being written."""
        return [each.waiting for each in self._putting]

    def waiting(self) -> list[Condemned]:
        """What is not durable yet."""
        return [*self._putting, *self._queue]


def undelivered(condemned: Condemned) -> Undelivered:
    """The dead letter: key, value and headers as they were, and why (contract I4)."""
    record = condemned.waiting.export.record
    letter = DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        condemned.reason,
        condemned.explanation,
        _time(record),
    )
    return Undelivered(letter, record.headers, condemned.attempts)


def _time(record: ConsumerRecord) -> str | None:
    timestamp = record.timestamp
    return None if timestamp is None or timestamp < 0 else format_time(timestamp // 1000)


def _log(batch: list[Condemned]) -> None:
    """One line a flow and reason: a deleted flow may have left millions of records."""
    counts = Counter((None if each.flow is None else each.flow.id, each.reason) for each in batch)
    for (flow_id, reason), records in counts.items():
        log.warning("records_dead_lettered", flow=flow_id, reason=reason.value, records=records)
