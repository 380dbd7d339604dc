"""Read back what a worker left behind: the `exports` and `dead-letters` topics, and the streams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from processor.sandbox.streams import StreamRecord, read_stream
from processor.verify.comparison import ExportedRecord
from schemas.dead_letter import DeadLetter
from schemas.flow import Flow
from schemas.kafka import BadRecord, ReadRecord
from schemas.wire.dead_letters import decode_dead_letter
from schemas.wire.exports import decode_export_headers


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that a worker left behind, in the order of each partition or shard; `streams` by flow id."""

    exports: Sequence[ExportedRecord]
    dead_letters: Sequence[DeadLetter]
    streams: Mapping[str, Sequence[StreamRecord]]


def read_events(settings: Settings) -> Iterator[ReadRecord]:
    """Yield the profile events as they stand on their topic."""
    for record in read_topic(settings, settings.topics.profile_events):
        yield ReadRecord(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers
        )


def read_evidence(settings: Settings, flows: Sequence[Flow], endpoint_url: str) -> Evidence:
    """Read exports, dead letters and streams, as they stand now."""
    return Evidence(
        exports=[exported(record) for record in read_topic(settings, settings.topics.exports)],
        dead_letters=[dead_letter(record) for record in read_topic(settings, settings.topics.dead_letters)],
        streams={
            flow.id: read_stream(endpoint_url, flow.destination.region, flow.destination.stream) for flow in flows
        },
    )


def exported(record: ReadRecord) -> ExportedRecord:
    """Decode a record of the topic `exports`; raise BadRecord where a header is missing."""
    headers = decode_export_headers(record.headers)
    if headers.record_id is None or headers.flow_id is None or headers.partition_key is None:
        raise BadRecord(f"{record.topic} {record.partition}:{record.offset} lacks a header of an export")
    key, value = (record.key or b"").decode(), record.value or b""
    return ExportedRecord(headers.record_id, headers.flow_id, key, headers.partition_key, value)


def dead_letter(record: ReadRecord) -> DeadLetter:
    """Decode a record of the topic `dead-letters`; raise BadRecord where it is none of ours."""
    return decode_dead_letter(record).was
