"""The outcome of a redrive for a dead letter: the topic that it goes back to, or why it is left where it is."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import StrEnum

from processor.core.parse import parse_event
from processor.core.unusable import Unusable
from processor.dead_letters.selection import RedriveMarkers
from schemas.dead_letter import DeadLetterReason, StoredDeadLetter
from schemas.kafka import ReadRecord
from schemas.wire.exports import decode_export_headers


class Outcome(StrEnum):
    """An outcome of a redrive for one dead letter. All but the first leave it."""

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
        """Return whether something must be mended first."""
        return self not in (Outcome.REDRIVE, Outcome.REDRIVEN_BEFORE)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances that a dead letter meets when it is sent again.

    `flows`: those that records may still go to; `max_record_bytes`: of the largest record that leaves; `event_times`:
    timestamps that profile events may have (ms). `fits`: whether the topic that it goes back to takes a record so
    large. `partition_of`: where it goes; None: its profile is on two.
    """

    flows: Container[str | None]
    max_record_bytes: int
    event_times: Container[int]
    fits: Callable[[StoredDeadLetter], bool]
    partition_of: Callable[[StoredDeadLetter], int | None]


def find_outcome(letter: StoredDeadLetter, markers: RedriveMarkers, now: Circumstances) -> Outcome:
    """Return what a redrive does with a dead letter: one whose cause plainly lasts is left."""
    if letter.fingerprint in markers:
        return Outcome.REDRIVEN_BEFORE
    outcome = _find_export_outcome(letter, now) if letter.is_of_delivery else _find_event_outcome(letter, now)
    return Outcome.TOPIC_TOO_NARROW if outcome is Outcome.REDRIVE and not now.fits(letter) else outcome


def _find_export_outcome(letter: StoredDeadLetter, now: Circumstances) -> Outcome:
    if letter.flow_id not in now.flows:
        return Outcome.FLOW_MISSING
    if letter.was.reason is DeadLetterReason.RECORD_TOO_LARGE and _count_record_bytes(letter) > now.max_record_bytes:
        return Outcome.STILL_TOO_LARGE
    return Outcome.REDRIVE


def _find_event_outcome(letter: StoredDeadLetter, now: Circumstances) -> Outcome:
    was = letter.was
    place = (was.topic, was.partition, was.offset)
    try:
        parse_event(ReadRecord(*place, letter.source_timestamp, was.key, was.value, letter.headers))
    except Unusable:
        return Outcome.STILL_UNUSABLE
    if now.partition_of(letter) is None:
        return Outcome.ON_TWO_PARTITIONS
    is_taken = letter.source_timestamp is None or letter.source_timestamp in now.event_times
    return Outcome.REDRIVE if is_taken else Outcome.TIME_NOT_TAKEN


def _count_record_bytes(letter: StoredDeadLetter) -> int:
    """Count the bytes of data and partition key, as AWS does."""
    return len(letter.was.value or b"") + len((decode_export_headers(letter.headers).partition_key or "").encode())
