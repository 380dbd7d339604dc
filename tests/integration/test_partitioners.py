"""Producers that put keys elsewhere than the settings say: real ones, with real workers (contract I12)."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from processor.core.partitioner import partition_of
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.waiting import wait_until
from schemas.event import EventType
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.times import format_time
from schemas.wire.exports import ExportHeader
from schemas.wire.profiles_changelog import profile_key
from tests.kit.installation import Installation
from tests.kit.java_producer import produce_with_java
from tests.kit.rows import require_rows_of_the_fold, rows_of_changelog
from tests.kit.topics import create_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
PARTITIONS: Final = 8
TEXTS: Final = ("x", "zoë", "ключ", "顧客", "😀", "a\u0301", "\u00a0")
KEYS: Final = [
    *(
        ("p-0123456789abcdefghijklmnopqrstuvwxyz" * 14)[:size].encode()
        for size in (*range(1, 70), 127, 128, 255, 511, 512)
    ),
    *((text * times).encode() for text in TEXTS for times in range(1, 9)),
    *(f"customer-{number}".encode() for number in range(100)),
    *(str(UUID(int=number * 2**96 + 7)).encode() for number in range(40)),
]
HEAD: Final = {"specversion": "1.0", "source": "/test", "type": EventType.PATCHED}
FLOW: Final = """
flows:
  - id: vip
    destination: {{type: kinesis, stream: "vip-{name}", region: us-east-2, endpointUrl: "{endpoint}"}}
    audiences: [{{namespace: ups, id: vip}}]
    attributes: [note]
"""


@pytest.mark.parametrize("partitions", [PARTITIONS, 5])
async def test_i12_our_function_is_what_three_real_producers_do(
    kafka: str, installation: Installation, partitions: int
) -> None:
    topic = create_topic(kafka, partitions)
    java, librdkafka = [(key, b"java") for key in KEYS], Producer({"bootstrap.servers": kafka})
    produce_with_java(kafka, topic, java)
    for key in KEYS:
        librdkafka.produce(topic, b"librdkafka", key)
    librdkafka.flush()
    async with AIOKafkaProducer(bootstrap_servers=kafka) as aiokafka:
        for key in KEYS:
            await aiokafka.send(topic, b"aiokafka", key)
    for partitioner in ("murmur2", "crc32"):
        installation.change(partitioner=partitioner)
        with Writer(installation.settings) as writer:
            for key in KEYS:
                writer.write(topic, key, partitioner.encode(), name="a record")

    found: dict[bytes, dict[bytes, int]] = defaultdict(dict)
    for record in read_topic(installation.settings, topic):
        found[record.value or b""][record.key or b""] = record.partition

    by_murmur2, by_crc32 = (
        {key: partition_of(key, partitions, each) for key in KEYS} for each in (Partitioner.MURMUR2, Partitioner.CRC32)
    )
    assert found == {
        b"java": by_murmur2,
        b"aiokafka": by_murmur2,
        b"murmur2": by_murmur2,
        b"librdkafka": by_crc32,
        b"crc32": by_crc32,
    }
    assert by_murmur2 != by_crc32


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(PARTITIONS)
    job = WholeJob(installation, kinesis, tmp_path)
    job.text = FLOW.format(name=installation.settings.app_id, endpoint=kinesis)
    job.create_streams()
    job.apply()
    return job


def event(event_id: str, profile: str, **data: Any) -> tuple[bytes, bytes]:
    return profile.encode(), orjson.dumps(
        {**HEAD, "id": event_id, "subject": profile, "time": "2026-01-11T08:37:33Z", "data": data}
    )


def member(**more: str) -> dict[str, Any]:
    return {"segmentMembership": {"ups": {"vip": {"status": "realized", **more}}}}


def produce_with_librdkafka(job: WholeJob, *records: tuple[bytes, bytes]) -> None:
    """With its default partitioner."""
    settings = job.installation.settings
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for key, value in records:
        producer.produce(settings.topics.profile_events, value, key)
    producer.flush()


def exported(job: WholeJob) -> dict[str, bytes]:
    """Return the records of `exports` by record id."""
    records = read_topic(job.installation.settings, job.installation.topics.exports)
    return {dict(record.headers)[ExportHeader.RECORD_ID].decode(): record.value or b"" for record in records}


def expiries(job: WholeJob) -> list[ReadRecord]:
    events = read_topic(job.installation.settings, job.installation.topics.profile_events)
    return [record for record in events if b'"membership.expired"' in (record.value or b"")]


def deleted(job: WholeJob, *options: str, told: str = "") -> dict[str, Any]:
    result = job.installation.command("profiles", "delete", "p-1", "--yes", "--json", *options)
    assert result.exit_code == 0, result.output
    assert told in result.stderr
    return dict(orjson.loads(result.stdout))


def test_i12_a_misplaced_key_is_processed_counted_alarmed_and_deleted_where_it_is(job: WholeJob) -> None:
    """The key p-1 by librdkafka's default partitioner goes to 7 of 8; murmur2 says 4.

    Others are where Java puts them.
    """
    settings = job.installation.settings
    others = [event(f"j-{number}", f"customer-{number}", note=number, **member()) for number in range(200)]
    produce_with_java(settings.kafka_bootstrap_servers, settings.topics.profile_events, others)
    produce_with_librdkafka(job, event("e-1", "p-1", note=1, **member()), event("e-2", "p-1", note=2))
    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        wait_until(lambda: job.status()["misplaced"] == 2, "the report of the worker", SECONDS)
        shown, checked = job.installation.command("status"), job.installation.command("check")
        status = job.status()
        by_murmur2 = deleted(
            job,
            told="workers have read 2 events elsewhere than their keys belong: a profile may be on another partition",
        )
        job.installation.change(partitioner="crc32")
        by_crc32 = deleted(job)
        said = worker.said()
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert (status["misplacedFitting"], [each["misplaced"] for each in status["partitions"]]) == (
        {"crc32": 2},
        [0, 0, 0, 0, 0, 0, 0, 2],
    )
    remedy = (
        "librdkafka's default partitioner (crc32) fits all of them: set PARTITIONER=crc32, or"
        " partitioner=murmur2_random in the producer"
    )
    assert "2 events are not in the partition where Java's default partitioner (murmur2) puts the key" in shown.stderr
    assert "2 events are not in the partition where Java's default partitioner (murmur2) puts the key" in checked.stdout
    assert all(remedy in text for text in (shown.stderr, checked.stdout, said))
    assert said.count("misplaced_events") == 1
    assert (by_murmur2["partition"], by_murmur2["known"]) == (4, False)
    assert (by_crc32["partition"], by_crc32["known"], by_crc32["row"]) == (7, True, "tombstone")
    assert [record["flow"] for record in by_crc32["records"]] == ["vip"]
    job.require_equal_to_replay()


def test_i12_a_key_on_two_partitions_is_two_profiles_and_each_ends_where_it_is(job: WholeJob) -> None:
    """Workers, replay and the worker's own events agree.

    State is kept by partition and key, and F5 writes where the state is.
    """
    settings = job.installation.settings
    ends = int(time.time()) + 8
    half, other = member(), member(validUntil=format_time(ends))
    produce_with_java(
        settings.kafka_bootstrap_servers, settings.topics.profile_events, [event("e-1", "p-1", note=1, **half)]
    )
    produce_with_librdkafka(job, event("e-1", "p-1", note=2, **other))
    with job.worker(membership_expiry=True) as worker:
        job.wait_until_delivered(SECONDS, worker)
        rows = {partition for partition, kept in rows_of_changelog(job).items() if profile_key(b"p-1") in kept}
        wait_until(lambda: expiries(job), "the end of a membership", SECONDS)
        produce_with_java(
            settings.kafka_bootstrap_servers, settings.topics.profile_events, [event("e-2", "p-1", note=3)]
        )
        job.wait_until_delivered(SECONDS, worker)
        job.installation.change(partitioner="none")
        refused = job.installation.command("profiles", "delete", "p-1", "--yes")
        halves = [deleted(job, "--partition", str(partition)) for partition in (4, 7)]
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert rows == {4, 7}
    (expiry,) = expiries(job)
    assert (expiry.key, expiry.partition) == (b"p-1", 7)
    assert (refused.exit_code, "p-1: its profile is on partitions 4 and 7, half each" in refused.stderr) == (1, True)
    assert [(each["known"], each["row"], len(each["records"])) for each in halves] == [
        (True, "tombstone", 1),
        (True, "tombstone", 0),
    ]
    replayed = job.replay()
    assert exported(job) == {record.id: record.value for record in replayed.expectation.records}
    assert len(replayed.expectation.records) == 5, (
        "two that join, one that ends, one that changes, one that is deleted as a member"
    )
    require_rows_of_the_fold(job, replayed, [job.folder("worker") / "data"])
