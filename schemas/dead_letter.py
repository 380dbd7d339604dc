"""Dead letters: records that could not be used or delivered, kept whole (contract I4, G4, G9)."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from schemas.kafka import Headers
from schemas.times import parse_time

_FINGERPRINT_BYTES: Final = 16


class DeadLetterReason(StrEnum):
    """The reason why a record became a dead letter; the value of the header `reason`."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_CLOUDEVENTS = "not_cloudevents"
    UNKNOWN_TYPE = "unknown_type"
    BAD_SHAPE = "bad_shape"
    BAD_TIME = "bad_time"
    BAD_STATUS = "bad_status"
    BAD_NUMBER = "bad_number"
    BAD_KEY = "bad_key"
    SUBJECT_MISMATCH = "subject_mismatch"
    DOCUMENT_TOO_LARGE = "document_too_large"
    # in delivery
    RECORD_TOO_LARGE = "record_too_large"
    REJECTED = "rejected"
    FLOW_DELETED = "flow_deleted"


OF_DELIVERY: Final = frozenset(
    {DeadLetterReason.RECORD_TOO_LARGE, DeadLetterReason.REJECTED, DeadLetterReason.FLOW_DELETED}
)
"""The reasons of dead letters that were records of `exports`; all others were profile events."""


class DeadLetter(NamedTuple):
    """A record that was dead-lettered: key and value bytes as they were, and where and why.

    `time` is Kafka's timestamp of the record in the form of C8, None where it has none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: DeadLetterReason
    explanation: str
    time: str | None


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter as it stands on `dead-letters`.

    `partition` and `offset` are its position there; those of the record it was are in `was`.

    `headers` are those that the record had before (contract G8), `attempts` how often it was sent; None: it is no
    dead letter of delivery. `timestamp` is its own. `order`: dead letters of one lane leave by it, the offset of the
    profile event that they come from.
    """

    partition: int
    offset: int
    timestamp: int | None
    was: DeadLetter
    headers: Headers
    flow_id: str | None
    record_id: str | None
    attempts: int | None
    order: int

    @property
    def position(self) -> str:
        """Return the position on `dead-letters` for people, as `dead-letters show` takes it."""
        return f"{self.partition}:{self.offset}"

    @property
    def is_of_delivery(self) -> bool:
        """Return whether it was a record of `exports`; else it was a profile event."""
        return self.was.reason in OF_DELIVERY

    @property
    def source_timestamp(self) -> int | None:
        """Return Kafka's timestamp of the record that it was, in milliseconds; None where it had none.

        Of a record of `exports` it is as exact as `was.time`: to the second.
        """
        return parse_time(self.was.time) * 1000 if self.is_of_delivery and self.was.time is not None else self.timestamp

    @property
    def lane(self) -> tuple[int, bytes | None, str | None]:
        """Return the lane: dead letters of one profile and flow, or one profile's events, leave again by `order`."""
        return self.partition, self.was.key, self.flow_id

    @property
    def fingerprint(self) -> str:
        """Return hexadecimal digits that all copies of a dead letter share, and no other (a crash may repeat one)."""
        was = self.was
        parts = (
            was.topic.encode(),
            b"%d" % was.partition,
            b"%d" % was.offset,
            (was.time or "").encode(),
            was.key,
            was.value,
        )
        digest = blake2b(digest_size=_FINGERPRINT_BYTES)
        for part in parts:
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        return digest.hexdigest()
