"""Read back what a worker left behind: the `exports` and `dead-letters` topics, and the streams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from processor.sandbox.streams import StreamRecord, read_stream
from processor.verify.comparison import ExportedRecord
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.export import ExportHeader
from schemas.flow import Flow
from schemas.kafka import ReadRecord


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that a worker left behind, in the order of each partition or shard; `streams` by flow id, one a flow."""

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
    """Decode a record of the `exports` topic; raise KeyError naming a header that is missing."""
    headers = _texts(record)
    record_id, flow_id, partition_key = (
        headers[name] for name in (ExportHeader.RECORD_ID, ExportHeader.FLOW_ID, ExportHeader.PARTITION_KEY)
    )
    return ExportedRecord(record_id, flow_id, (record.key or b"").decode(), partition_key, record.value or b"")


def dead_letter(record: ReadRecord) -> DeadLetter:
    """Decode a record of the `dead-letters` topic; raise KeyError naming a header that is missing."""
    headers = _texts(record)
    return DeadLetter(
        topic=headers["topic"],
        partition=int(headers["partition"]),
        offset=int(headers["offset"]),
        key=record.key,
        value=record.value,
        reason=DeadLetterReason(headers["reason"]),
        explanation=headers["explanation"],
        time=headers["time"] or None,
    )


def _texts(record: ReadRecord) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}
