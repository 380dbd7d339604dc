"""Dead letters as a worker writes them, without a worker."""

from collections.abc import Iterable, Sequence

from processor.delivery.lanes.dead_letter_queue import PendingDeadLetter, make_dead_letter
from processor.delivery.lanes.lanes import Waiting
from processor.foundation.settings import Settings
from processor.kafka.writer import Headers, Writer
from schemas.dead_letter import DeadLetter, DeadLetterReason, StoredDeadLetter
from schemas.kafka import ReadRecord
from schemas.wire.dead_letters import decode_dead_letter, encode_dead_letter
from schemas.wire.exports import decode_export
from tests.delivery.fakes import a_progress, export_record

Raw = tuple[bytes | None, bytes | None, Headers, int | None]
"""Key, value, headers, timestamp."""


def undelivered_letter(
    offset: int, profile: str = "p-1", flow: str = "vip", reason: str = "rejected", value: bytes | None = None
) -> Raw:
    """A record of `exports` that could not be delivered."""
    record = export_record(offset, profile, flow, value=value)
    pending = PendingDeadLetter(
        Waiting(decode_export(record), a_progress()), None, DeadLetterReason(reason), f"because of {offset}", 3
    )
    letter, headers, attempts = make_dead_letter(pending)
    written = encode_dead_letter(letter, headers, attempts=attempts)
    return written.key, written.value, list(written.headers), None


def unusable_letter(
    offset: int,
    value: bytes | None,
    profile: str = "p-1",
    reason: str = "document_too_large",
    timestamp: int = 1_768_174_653_000,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> Raw:
    """A profile event that could not be used."""
    why, time = DeadLetterReason(reason), "2026-01-11T23:37:33Z"
    letter = DeadLetter("profile-events", 0, offset, profile.encode(), value, why, "so it was", time)
    record = encode_dead_letter(letter, headers, timestamp)
    return record.key, record.value, list(record.headers), record.timestamp


def as_letter(raw: Raw, offset: int = 0, partition: int = 0) -> StoredDeadLetter:
    """Return a dead letter as it is read."""
    key, value, headers, timestamp = raw
    read = tuple((name, text) for name, text in headers if not isinstance(text, str))
    return decode_dead_letter(ReadRecord("dead-letters", partition, offset, timestamp, key, value, read))


def write_letters(settings: Settings, letters: Iterable[Raw]) -> None:
    """Onto the topic, in this order within each key."""
    with Writer(settings) as writer:
        for number, (key, value, headers, timestamp) in enumerate(letters):
            writer.write(
                settings.topics.dead_letters, key, value, name=str(number), headers=headers, timestamp=timestamp
            )
