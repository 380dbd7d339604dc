"""Decided things as Kafka records: exports and dead letters with their headers (design 2, contract I4)."""

import orjson

from schemas.dead_letter import DeadLetter
from schemas.export import ExportHeader, ExportRecord
from schemas.kafka import NO_HEADERS, ConsumerRecord, ProducerHeaders, ProducerRecord, ReadRecord


def export_record(
    record: ExportRecord, source: ConsumerRecord, decided_at: bytes, trace: ProducerHeaders = NO_HEADERS
) -> ProducerRecord:
    """The record for `exports`: the value is what leaves, byte for byte; the sink never parses it.

    Its timestamp is the source record's, so that the age of what waits is the age of the event; `decided_at` is the
    moment when it was decided, milliseconds since 1970 in decimal digits. `trace`: the headers that the event hands on
    (`trace_headers`).
    """
    headers = [
        (ExportHeader.RECORD_ID, record.id.encode()),
        (ExportHeader.FLOW_ID, record.flow_id.encode()),
        (ExportHeader.FLOW_ETAG, record.flow_etag.encode()),
        (ExportHeader.PROFILE_VERSION, b"%d" % record.version),
        (ExportHeader.SOURCE_TOPIC, source.topic.encode()),
        (ExportHeader.SOURCE_PARTITION, b"%d" % source.partition),
        (ExportHeader.SOURCE_OFFSET, b"%d" % source.offset),
        (ExportHeader.EVENT_TIME, record.time.encode()),
        (ExportHeader.CAUSES, orjson.dumps(record.causes)),
        (ExportHeader.PARTITION_KEY, record.partition_key.encode()),
        (ExportHeader.DECIDED_AT, decided_at),
        *trace,
    ]
    return ProducerRecord(source.key, record.value, headers, _timestamp(source))


def job_export_record(
    record: ExportRecord, key: bytes, source: tuple[str, int, int], decided_at: bytes
) -> ProducerRecord:
    """The record of a job, which hands on no trace.

    `source`: topic, partition and offset of the last event applied to the profile.

    Its timestamp is the moment when it is written: one of a job that takes hours has not waited as long as that.
    """
    topic, partition, offset = source
    return export_record(record, ReadRecord(topic, partition, offset, None, key, None), decided_at)


def dead_letter_record(letter: DeadLetter, source: ConsumerRecord) -> ProducerRecord:
    """The record for `dead-letters`: key, value and headers as they were (an event of binary mode is nothing without
    its own), then those of I4.
    """
    headers: ProducerHeaders = [
        *source.headers,
        ("topic", letter.topic.encode()),
        ("partition", b"%d" % letter.partition),
        ("offset", b"%d" % letter.offset),
        ("reason", letter.reason.encode()),
        ("explanation", letter.explanation.encode(errors="replace")),
        ("time", (letter.time or "").encode()),
    ]
    return ProducerRecord(letter.key, letter.value, headers, _timestamp(source))


def in_milliseconds(seconds: float) -> bytes:
    """A moment in seconds since 1970 as a header has it."""
    return b"%d" % int(seconds * 1000)


def _timestamp(source: ConsumerRecord) -> int | None:
    return source.timestamp if source.timestamp is not None and source.timestamp >= 0 else None
