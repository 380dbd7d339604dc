"""The limit of bad events in a row that a partition passes, and the errors for which it stops (contract I4)."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.kafka import ConsumerRecord, ProducerRecord


class TooManyBadEvents(Exception):
    """The last of N bad events in a row; the partition stops before it."""

    def __init__(self, record: ConsumerRecord, explanation: str, in_a_row: int) -> None:
        place = f"{record.topic}[{record.partition}] offset {record.offset}"
        super().__init__(f"{in_a_row} unusable events in a row, the last at {place}: {explanation}")
        self.place = (record.topic, record.partition, record.offset)
        self.in_a_row = in_a_row


class DeadLetterTooLarge(Exception):
    """A bad event that the topic `dead-letters` does not take, however it is written; the partition stops before it."""

    def __init__(self, record: ConsumerRecord, explanation: str) -> None:
        place = f"{record.topic}[{record.partition}] offset {record.offset}"
        super().__init__(
            f"{place} cannot be used ({explanation}), and its {len(record.value or b'')} bytes are more than"
            " dead-letters takes, however they are compressed"
        )
        self.place = (record.topic, record.partition, record.offset)


Stop = TooManyBadEvents | DeadLetterTooLarge
"""Why a partition goes no further than the event before."""


def any_dead_letter_fits(_: ProducerRecord) -> bool:
    """Return True: the limits of the topic `dead-letters` are not known, and a commit will show."""
    return True


@dataclass(frozen=True, slots=True)
class BadEventLimit:
    """The bounds of I4: `in_a_row` bad events stop a partition (0: no number does), and which dead letters fit."""

    in_a_row: int = 0
    dead_letter_fits: Callable[[ProducerRecord], bool] = any_dead_letter_fits


class BadEvents:
    """The bad events just before the next event, `in_a_row`, counted against the limit of I4."""

    def __init__(self, limit: BadEventLimit, in_a_row: int) -> None:
        self._limit = limit
        self.in_a_row = in_a_row

    def pass_one(self, record: ConsumerRecord, dead_letter: ProducerRecord, explanation: str) -> Stop | None:
        """Count one more bad event, or return why the partition stops before it (the limit of I4)."""
        if 0 < self._limit.in_a_row <= self.in_a_row + 1:
            return TooManyBadEvents(record, explanation, self.in_a_row + 1)
        if not self._limit.dead_letter_fits(dead_letter):
            return DeadLetterTooLarge(record, explanation)
        self.in_a_row += 1
        return None
