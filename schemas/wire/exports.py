"""The topic `exports`: each record is what leaves for Kinesis, byte for byte, and never parsed again.

key      profile id
value    what leaves
headers  ExportHeader, UTF-8 text, numbers decimal
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from schemas.export import Export, ExportRecord
from schemas.kafka import (
    NO_HEADERS,
    BadRecord,
    ConsumerRecord,
    Headers,
    ProducerHeaders,
    ProducerRecord,
    ReadRecord,
    RecordPosition,
    count_record_bytes,
)


class ExportHeader:
    """Names of the headers of a record on `exports`."""

    RECORD_ID: Final = "record-id"
    FLOW_ID: Final = "flow-id"
    FLOW_ETAG: Final = "flow-etag"
    PROFILE_VERSION: Final = "profile-version"
    SOURCE_TOPIC: Final = "source-topic"
    SOURCE_PARTITION: Final = "source-partition"
    SOURCE_OFFSET: Final = "source-offset"
    EVENT_TIME: Final = "event-time"
    CAUSES: Final = "causes"
    PARTITION_KEY: Final = "partition-key"
    EXPLICIT_HASH_KEY: Final = "explicit-hash-key"  # optional (contract G5)
    DECIDED_AT: Final = "decided-at"  # milliseconds since 1970; records of before lack it
    TRACEPARENT: Final = "traceparent"  # W3C Trace Context, as the event has it; optional, as the next
    TRACESTATE: Final = "tracestate"


_FLOW_ID: Final = 1
_PARTITION_KEY: Final = 9
_HEADERS: Final = 11
"""The places of headers, and how many there are, where `encode_export` hands on no trace."""


class ExportHeaders(NamedTuple):
    """The headers of an export as text, None where one is missing."""

    record_id: str | None
    flow_id: str | None
    partition_key: str | None
    source_offset: str | None


def encode_export(
    record: ExportRecord, source: ConsumerRecord, decided_at: bytes, trace: ProducerHeaders = NO_HEADERS
) -> ProducerRecord:
    """Return the record for `exports` of what an event of `source` led to.

    Its timestamp is the source record's, so that the age of what waits is the age of the event; `decided_at` is the
    moment when it was decided (`encode_decided_at`). `trace`: the headers that the event hands on (`trace_headers`).
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
    timestamp = source.timestamp
    return ProducerRecord(
        source.key, record.value, headers, timestamp if timestamp is not None and timestamp >= 0 else None
    )


def encode_job_export(
    record: ExportRecord, key: bytes, source: tuple[str, int, int], decided_at: bytes
) -> ProducerRecord:
    """Return the record for `exports` of what a job sends; it hands on no trace.

    `source`: topic, partition and offset of the last event applied to the profile.

    Its timestamp is the moment when it is written: one of a job that takes hours has not waited as long as that.
    """
    topic, partition, offset = source
    return encode_export(record, ReadRecord(topic, partition, offset, None, key, None), decided_at)


def encode_decided_at(seconds: float) -> bytes:
    """Return a moment in seconds since 1970 as the header `decided-at` has it: milliseconds."""
    return b"%d" % int(seconds * 1000)


def decode_export(record: ConsumerRecord) -> Export:
    """Return a record of `exports`, ready to leave; raise BadRecord."""
    value = record.value
    if value is None or record.key is None:
        raise BadRecord(
            f"a record of exports needs a key and a value, and this one has no {'value' if value is None else 'key'}"
        )
    try:
        flow_id, partition_key, hash_key = _route(record.headers)
        return Export(
            record,
            flow_id.decode(),
            value,
            partition_key.decode(),
            None if hash_key is None else hash_key.decode(),
            len(value) + len(partition_key),
            count_record_bytes((record,)),
        )
    except UnicodeDecodeError as error:
        raise BadRecord(f"a header of a record of exports is not UTF-8: {error}") from None


def _route(headers: Headers) -> tuple[bytes, bytes, bytes | None]:
    """Return flow id, partition key and explicit hash key; raise BadRecord.

    Nearly every record has its headers where `encode_export` puts them: to look there costs a fifth of a dict of all.
    """
    if len(headers) == _HEADERS:
        (first, flow_id), (second, partition_key) = headers[_FLOW_ID], headers[_PARTITION_KEY]
        if (
            flow_id is not None
            and partition_key is not None
            and first == ExportHeader.FLOW_ID
            and second == ExportHeader.PARTITION_KEY
            and headers[_HEADERS - 1][0] == ExportHeader.DECIDED_AT  # so none of them is a hash key
        ):
            return flow_id, partition_key, None
    return _searched_route(dict(headers))


def _searched_route(headers: Mapping[str, bytes | None]) -> tuple[bytes, bytes, bytes | None]:
    for name in (ExportHeader.FLOW_ID, ExportHeader.PARTITION_KEY):
        if name not in headers:
            raise BadRecord(f"a record of exports needs the header {name}, and this one has none")
    flow_id, partition_key = headers[ExportHeader.FLOW_ID], headers[ExportHeader.PARTITION_KEY]
    if flow_id is None or partition_key is None:
        raise BadRecord("a header of a record of exports has no value")
    return flow_id, partition_key, headers.get(ExportHeader.EXPLICIT_HASH_KEY)


def decode_export_headers(headers: Headers) -> ExportHeaders:
    """Return the headers of an export as text, whatever else the record lacks."""
    texts = _texts(headers)
    return ExportHeaders(
        texts.get(ExportHeader.RECORD_ID),
        texts.get(ExportHeader.FLOW_ID),
        texts.get(ExportHeader.PARTITION_KEY),
        texts.get(ExportHeader.SOURCE_OFFSET),
    )


def decode_export_source(headers: Headers) -> RecordPosition | None:
    """Return the position of the profile event that an export comes from; None: the headers are not of an export."""
    texts = _texts(headers)
    if ExportHeader.SOURCE_OFFSET not in texts:
        return None
    return RecordPosition(
        texts[ExportHeader.SOURCE_TOPIC],
        int(texts[ExportHeader.SOURCE_PARTITION]),
        int(texts[ExportHeader.SOURCE_OFFSET]),
    )


def is_export_of(record: ConsumerRecord, flow_id: bytes) -> bool:
    """Return whether a record of `exports` is of this flow, without reading the rest of it."""
    return any(name == ExportHeader.FLOW_ID and value == flow_id for name, value in record.headers)


def _texts(headers: Headers) -> Mapping[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}
