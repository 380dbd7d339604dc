"""The evidence that is read back is what a worker writes."""

from processor.core.step import dead_letter as put_aside
from processor.core.unusable import Unusable
from processor.verify.comparison import ExportedRecord
from processor.verify.evidence import dead_letter, exported
from schemas.dead_letter import DeadLetterReason
from schemas.export import ExportRecord
from schemas.kafka import ProducerRecord as Written
from schemas.kafka import ReadRecord
from schemas.wire.dead_letters import encode_dead_letter
from schemas.wire.exports import encode_export

SOURCE = ReadRecord("profile-events", 2, 17, 1_768_120_653_000, b"p-1", b"\xff\xfe")


def read_back(topic: str, written: Written) -> ReadRecord:
    return ReadRecord(topic, 2, 0, written.timestamp, written.key, written.value, tuple(written.headers))


def test_an_export_is_read_back_by_its_headers() -> None:
    record = ExportRecord(
        "profile-events-2-17-f",
        "f",
        "etag",
        "p-1",
        "2026-01-11T08:37:33Z",
        3,
        ("identity:ECID",),
        b"{}",
        b'{"id":1}',
        "crm-1",
    )

    found = exported(read_back("exports", encode_export(record, SOURCE, b"0")))

    assert found == ExportedRecord("profile-events-2-17-f", "f", "p-1", "crm-1", b'{"id":1}')


def test_a_dead_letter_is_read_back_whole() -> None:
    letter = put_aside(SOURCE, Unusable(DeadLetterReason.NOT_UTF8, "invalid start byte at byte 0"))

    assert (
        dead_letter(read_back("dead-letters", encode_dead_letter(letter, SOURCE.headers, SOURCE.timestamp))) == letter
    )
