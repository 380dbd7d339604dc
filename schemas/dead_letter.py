"""What could not be used or delivered, kept whole (contract I4, G4, G9)."""

from enum import StrEnum
from typing import Final, NamedTuple


class DeadLetterReason(StrEnum):
    """Why a record became a dead letter; the value of the `reason` header."""

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
"""Reasons of letters that were records of `exports`; all others were profile events."""


class DeadLetterHeader:
    """Names of the headers of a record on `dead-letters`, behind those that the record had before; UTF-8 text, numbers
    decimal.
    """

    TOPIC: Final = "topic"  # the first of them
    PARTITION: Final = "partition"
    OFFSET: Final = "offset"
    REASON: Final = "reason"
    EXPLANATION: Final = "explanation"
    TIME: Final = "time"
    ATTEMPTS: Final = "attempts"  # of delivery: how often the record was sent


class DeadLetter(NamedTuple):
    """A record that was put aside: key and value bytes as they were, and where and why.

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
