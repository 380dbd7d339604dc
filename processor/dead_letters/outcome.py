"""What becomes of a dead letter that is to be sent again: the topic it goes back to, or why it is left where it is
(contract G8).
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import StrEnum

from processor.core.parse import parse_event
from processor.core.unusable import Unusable
from processor.dead_letters.selection import Marks
from schemas.dead_letter import DeadLetterReason, StoredDeadLetter
from schemas.kafka import ReadRecord
from schemas.wire.exports import decode_export_headers


class Fate(StrEnum):
    """What `redrive` does with a letter. All but the first leave it."""

    REDRIVE = "redrive"
    REDRIVEN_BEFORE = "redriven_before"
    FLOW_MISSING = "flow_missing"  # it would become a dead letter again
    STILL_TOO_LARGE = "still_too_large"  # so it would
    STILL_UNUSABLE = "still_unusable"  # so it would, and many of them in a row stop a worker (I4)
    ON_TWO_PARTITIONS = "on_two_partitions"  # its profile is on two, and nobody says which one is meant (I12)
    TIME_NOT_TAKEN = "time_not_taken"  # the topic refuses its timestamp, or removes what is so old
    TOPIC_TOO_NARROW = "topic_too_narrow"  # the topic takes no record so large

    @property
    def is_failure(self) -> bool:
        """Whether something must be mended first."""
        return self not in (Fate.REDRIVE, Fate.REDRIVEN_BEFORE)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a letter meets when it is sent again: the flows in force, the largest record (bytes), timestamps that
    profile events may have (ms).

    `fits`: whether the topic that it goes back to takes a record so large. `partition_of`: where it goes; None: its
    profile is on two.
    """

    flows: Container[str | None]
    max_record_bytes: int
    event_times: Container[int]
    fits: Callable[[StoredDeadLetter], bool]
    partition_of: Callable[[StoredDeadLetter], int | None]


def fate_of(letter: StoredDeadLetter, marks: Marks, now: Circumstances) -> Fate:
    """A letter whose cause plainly lasts is left: sending it would only make another letter."""
    if letter.fingerprint in marks:
        return Fate.REDRIVEN_BEFORE
    fate = _fate_of_export(letter, now) if letter.is_of_delivery else _fate_of_event(letter, now)
    return Fate.TOPIC_TOO_NARROW if fate is Fate.REDRIVE and not now.fits(letter) else fate


def _fate_of_export(letter: StoredDeadLetter, now: Circumstances) -> Fate:
    if letter.flow_id not in now.flows:
        return Fate.FLOW_MISSING
    if letter.was.reason is DeadLetterReason.RECORD_TOO_LARGE and _record_bytes(letter) > now.max_record_bytes:
        return Fate.STILL_TOO_LARGE
    return Fate.REDRIVE


def _fate_of_event(letter: StoredDeadLetter, now: Circumstances) -> Fate:
    was = letter.was
    try:
        parse_event(
            ReadRecord(
                was.topic, was.partition, was.offset, letter.source_timestamp, was.key, was.value, letter.headers
            )
        )
    except Unusable:
        return Fate.STILL_UNUSABLE
    if now.partition_of(letter) is None:
        return Fate.ON_TWO_PARTITIONS
    return (
        Fate.REDRIVE
        if letter.source_timestamp is None or letter.source_timestamp in now.event_times
        else Fate.TIME_NOT_TAKEN
    )


def _record_bytes(letter: StoredDeadLetter) -> int:
    """As AWS counts: data and partition key."""
    return len(letter.was.value or b"") + len((decode_export_headers(letter.headers).partition_key or "").encode())
