"""Compare what a contender sent with what ours sent.

They are as many records, and for every fiftieth profile the same, in the same order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import orjson

from benchmarks.environment import Job
from processor.kafka.reading import read_topic
from schemas.kafka import ReadRecord
from schemas.wire.exports import ExportHeader

SAMPLE = 50


@dataclass(slots=True)
class Exports:
    """`sources` (ours only): the places of the events that caused a record, all and by sampled profile."""

    count: int = 0
    sampled: dict[bytes, list[bytes]] = field(default_factory=dict)
    sources: list[tuple[int, int]] = field(default_factory=list)
    sampled_sources: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)


def read_exports(job: Job) -> Exports:
    """Read everything that is committed on the job's `exports`."""
    exports = Exports()
    for record in read_topic(job.settings, job.topics.exports):
        key, source = record.key or b"", _source(record)
        exports.count += 1
        if source is not None:
            exports.sources.append(source)
        if crc32(key) % SAMPLE == 0:
            exports.sampled.setdefault(key, []).append(_canonical(record.value or b""))
            if source is not None:
                exports.sampled_sources.setdefault(key, []).append(source)
    return exports


def compare(ours: Exports, theirs: Exports, committed: Mapping[int, int], whole: bool) -> str:
    """`equal`, or what differs.

    Of a run that was ended before the last event, what is committed must be there and equal.
    """
    expected = sum(offset < committed[partition] for partition, offset in ours.sources)
    if (theirs.count != expected) if whole else (theirs.count < expected):
        return f"{theirs.count} records instead of {expected}"
    for key, records in ours.sampled.items():
        least = sum(offset < committed[partition] for partition, offset in ours.sampled_sources[key])
        found = theirs.sampled.get(key, [])
        if len(found) < least or found != records[: len(found)]:
            return f"profile {key.decode()}: {_first_difference(records, found)}"
    return "equal"


def _first_difference(wanted: list[bytes], found: list[bytes]) -> str:
    for number, (left, right) in enumerate(zip(wanted, found, strict=False)):
        if left != right:
            return f"record {number} is {right[:3000]!r} instead of {left[:3000]!r}"
    return f"{len(found)} records instead of {len(wanted)}"


def _source(record: ReadRecord) -> tuple[int, int] | None:
    headers = dict(record.headers)
    if ExportHeader.SOURCE_OFFSET not in headers:
        return None
    return int(headers[ExportHeader.SOURCE_PARTITION]), int(headers[ExportHeader.SOURCE_OFFSET])


def _canonical(value: bytes) -> bytes:
    return orjson.dumps(orjson.loads(value), option=orjson.OPT_SORT_KEYS)
