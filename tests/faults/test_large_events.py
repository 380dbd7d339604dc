"""Tests of events that hold many times what their producer made of them: none stops a partition for ever (I4)."""

from base64 import b16encode
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest
from confluent_kafka import Producer

from processor.foundation.errors import StoppedForOperator
from processor.kafka.connection import PARTITIONERS
from processor.kafka.limits import BATCH_BYTES
from processor.kafka.reading import read_topic
from processor.kafka.safety import HEADERS_BYTES
from processor.kafka.topics import EVENT_BYTES
from schemas.partitioner import Partitioner
from tests.kit.installation import Installation
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
PROFILE_ID: Final = b"Ada"
MB: Final = 1_000_000


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


def event(number: int, **more: Any) -> bytes:
    """Return an event of a VIP who visits."""
    vip = {
        "segmentMembership": {"ups": {"vip-customers": {"status": "realized"}}},
        "personalEmail": {"address": f"{number}@example.com"},
    }
    head = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/test",
        "type": "profile.patched",
        "time": "2026-01-11T08:37:33Z",
    }
    return orjson.dumps(head | {"data": vip | more.pop("data", {})} | more)


def random_text(characters: int, seed: int = 1) -> str:
    """Return text that compresses to half of it."""
    return b16encode(Random(seed).randbytes(characters // 2)).decode()


def produce(job: WholeJob, *values: bytes) -> list[tuple[int, int]]:
    """Write events of one profile; return their partitions and offsets.

    As an upstream team does that raised its `max.request.size` and uses zstd.
    """
    settings, places = job.installation.settings, []
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "compression.type": "zstd",
            "compression.level": 12,
            "message.max.bytes": 50 * MB,
            "partitioner": PARTITIONERS[Partitioner.MURMUR2],
        }
    )
    for value in values:
        producer.produce(
            settings.topics.profile_events,
            key=PROFILE_ID,
            value=value,
            on_delivery=lambda error, message: places.append((error or message.partition(), message.offset())),
        )
        assert producer.flush(SECONDS) == 0  # a batch each
    return places


def letters(job: WholeJob) -> list[tuple[bytes | None, str]]:
    records = read_topic(job.installation.settings, job.installation.topics.dead_letters)
    return [(record.value, dict(record.headers)["reason"].decode()) for record in records]


def test_i4_an_event_that_was_compressed_well_is_put_aside_whole_and_the_stream_goes_on(job: WholeJob) -> None:
    document = event(2, data={"novel": random_text(600_000) * 8})
    long_id = event(3, id="x" * MB)
    produce(job, event(1), document, long_id, event(4))

    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert len(document) > 4.8 * MB
    assert letters(job) == [(document, "document_too_large"), (long_id, "bad_shape")]
    assert len(job.require_equal_to_replay().expectation.of_flow("vip-to-crm")) == 2


def test_i4_an_event_that_no_dead_letter_can_hold_stops_the_worker_with_its_place_and_the_remedy(job: WholeJob) -> None:
    """Everything before it is done: who leaves it out loses nothing else."""
    settings, topics = job.installation.settings, job.installation.topics
    narrow = max(EVENT_BYTES, BATCH_BYTES) + HEADERS_BYTES
    alter_topic(settings.kafka_bootstrap_servers, topics.dead_letters, max_message_bytes=str(narrow))
    novel = random_text(1_800_000)
    far_apart = event(
        2, data={"novel": novel + " " * 500_000 + novel}
    )  # zstd sees as far back only at its highest levels
    (partition, _), (_, offset), _ = produce(job, event(1), far_apart, event(3))

    with job.new_worker() as worker:
        worker.start()
        assert worker.wait_for_end(SECONDS) == StoppedForOperator.exit_code
        said = worker.said()
        assert f"{topics.profile_events}[{partition}] offset {offset} cannot be used" in said
        assert f"PROFILE_EXPORTER_SKIP_TO={partition}:{offset + 1}" in said
        assert job.processed() == offset, "everything before it is done"
        worker.change(skip_to=f"{partition}:{offset + 1}")
        job.start_again(worker)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert letters(job) == []
    exports = [dict(record.headers)["source-offset"] for record in read_topic(settings, topics.exports)]
    assert set(exports) == {b"%d" % (offset - 1), b"%d" % (offset + 1)}
