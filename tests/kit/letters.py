"""Dead letters as a worker writes them, without a worker."""

from collections.abc import Iterable, Sequence

from processor.dead_letters.letter import Letter, read_letter
from processor.delivery.export import parse_export
from processor.delivery.lanes.dead_letter_queue import Condemned, undelivered
from processor.delivery.lanes.lanes import Waiting
from processor.delivery.lanes.progress import PartitionProgress
from processor.foundation.settings import Settings
from processor.kafka.writer import Headers, Writer
from processor.pipeline.records import dead_letter_record
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.kafka import ReadRecord
from tests.delivery.fakes import export_record

Raw = tuple[bytes | None, bytes | None, Headers, int | None]
"""Key, value, headers, timestamp."""


def undelivered_letter(
    offset: int, profile: str = "p-1", flow: str = "vip", reason: str = "rejected", value: bytes | None = None
) -> Raw:
    """A record of `exports` that could not be delivered."""
    record = export_record(offset, profile, flow, value=value)
    condemned = Condemned(
        Waiting(parse_export(record), PartitionProgress(0)), None, DeadLetterReason(reason), f"because of {offset}", 3
    )
    letter, headers = undelivered(condemned)
    return letter.key, letter.value, list(headers), None


def unusable_letter(
    offset: int,
    value: bytes | None,
    profile: str = "p-1",
    reason: str = "document_too_large",
    timestamp: int = 1_768_174_653_000,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> Raw:
    """A profile event that could not be used."""
    source = ReadRecord("profile-events", 0, offset, timestamp, profile.encode(), value, headers)
    letter = DeadLetter(*source[:3], source.key, value, DeadLetterReason(reason), "so it was", "2026-01-11T23:37:33Z")
    record = dead_letter_record(letter, source)
    return record.key, record.value, list(record.headers), record.timestamp


def as_letter(raw: Raw, offset: int = 0, partition: int = 0) -> Letter:
    """What is read of it."""
    key, value, headers, timestamp = raw
    read = tuple((name, text) for name, text in headers if not isinstance(text, str))
    return read_letter(ReadRecord("dead-letters", partition, offset, timestamp, key, value, read))


def write_letters(settings: Settings, letters: Iterable[Raw]) -> None:
    """Onto the topic, in this order within each key."""
    with Writer(settings) as writer:
        for number, (key, value, headers, timestamp) in enumerate(letters):
            writer.write(
                settings.topics.dead_letters, key, value, name=str(number), headers=headers, timestamp=timestamp
            )
