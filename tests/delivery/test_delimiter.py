"""Records that end with a line feed, for Firehose and Athena (G10): exactly one, wherever a record comes from and
however often it is sent.
"""

from typing import Any

import orjson
import pytest

from processor.core.catalog import Catalog
from processor.core.job_records import job_record
from processor.files.event_log import encode_record_line
from schemas.export import ExportRecord
from schemas.job import Job
from schemas.kafka import ReadRecord
from schemas.wire.exports import encode_export as as_kafka_record
from tests.delivery.fakes import World, export_record
from tests.kit.builders import NOW, History, flow, member
from tests.kit.virtual_time import in_virtual_time

NEWLINE = {"recordDelimiter": "newline"}
ENVELOPES = pytest.mark.parametrize("envelope", ["none", "cloudevents"])


def decided(**options: Any) -> ExportRecord:
    (record,) = History(flow("ups/a", attributes=("note",), **options)).patch({"note": "one\ntwo", **member()}).records
    return record


@ENVELOPES
def test_g10_a_record_ends_with_one_line_feed_behind_its_envelope_and_is_else_as_it_was(envelope: str) -> None:
    """A line feed in a text is escaped in JSON, so the last byte is the only one."""
    without, with_one = decided(envelope=envelope), decided(envelope=envelope, **NEWLINE)

    assert with_one.value == without.value + b"\n"
    assert with_one.value.count(b"\n") == 1
    assert with_one._replace(value=without.value) == without


@ENVELOPES
def test_g10_replay_writes_the_same_line_with_and_without(envelope: str) -> None:
    assert encode_record_line(decided(envelope=envelope, **NEWLINE)) == encode_record_line(decided(envelope=envelope))


def test_g10_the_record_of_a_job_ends_with_one_too() -> None:
    """E1: a backfill makes its records in the same way."""
    mapped = flow("ups/a", attributes=("note",), **NEWLINE)
    history = History(mapped)
    history.patch({"note": "n", **member()})
    job = {
        "id": "j",
        "kind": "backfill",
        "flow": "f",
        "audiences": [{"namespace": "ups", "id": "a"}],
        "createdAt": NOW,
        "startedAt": NOW,
    }
    (compiled,) = Catalog.of([mapped], [], jobs=[Job.model_validate(job)]).jobs

    record = job_record(compiled, "p-1", history.profile, history.replay.catalog)

    assert isinstance(record, ExportRecord)
    assert record.value == record.data + b"\n"


def test_g10_the_record_on_exports_is_what_leaves_byte_for_byte() -> None:
    record = decided(**NEWLINE)

    assert as_kafka_record(record, ReadRecord("profile-events", 0, 0, None, b"p-1", b""), b"0").value == record.value


@in_virtual_time
async def test_g2_g10_the_line_feed_counts_and_a_dead_letter_keeps_it() -> None:
    """So what is sent again has it once."""
    value = orjson.dumps({"n": "x" * 100}) + b"\n"
    fits, too_large = export_record(1, "p-1", value=value), export_record(2, "p-22", value=value)
    async with World(max_record_bytes=len(value) + len("p-1")).running() as world:
        await world.deliver_all(fits, too_large)

        assert world.kinesis.offsets() == [1]
        assert world.dead_letters.reasons() == [(2, "record_too_large")]
        assert [letter.value for letter, *_ in world.dead_letters.letters] == [value]
