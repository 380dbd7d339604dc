"""Parked records that the log has lost, and an operator accepts, are written down before they are passed over."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processor.delivery.ports import Page
from processor.kafka.producers import SharedProducer
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.worker.adapters.exports_reader import ParkedExports
from processor.worker.partition_history import PartitionHistory
from processor.worker.start_positions import RecordsAreGone
from schemas.wire.exports import ExportHeader
from tests.kit.installation import Installation

SECONDS = 120.0


@pytest.fixture
def cut(installation: Installation) -> Installation:
    """Of five exports of the flow `vip` the first three are gone."""
    installation.init(1)
    topic = installation.topics.exports
    with Writer(installation.settings) as writer:
        for number in range(5):
            writer.write(topic, b"p", b"%d" % number, name="an export", headers=[(ExportHeader.FLOW_ID, b"vip")])
    admin = AdminClient({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    (removed,) = admin.delete_records([TopicPartition(topic, 0, 3)]).values()
    removed.result(SECONDS)
    return installation


async def read_from_the_beginning(installation: Installation) -> Page:
    """As a parked flow does that was parked at 0."""
    producer = SharedProducer(installation.settings)
    await producer.start()
    exports = ParkedExports(installation.settings, PartitionHistory(producer, installation.settings, "w-1"))
    try:
        async with asyncio.timeout(SECONDS):
            while not (page := await exports.read(0, 0, "vip", 100, 1 << 20)).records:
                pass
        return page
    finally:
        await exports.close()
        await producer.stop()


def skips(installation: Installation) -> Sequence[object]:
    events = [
        orjson.loads(record.value or b"")
        for record in read_topic(installation.settings, installation.topics.audit_events)
    ]
    return [event["after"] for event in events if (event["who"], event["action"]) == ("w-1", "skipped")]


async def test_what_a_parked_flow_passes_over_by_accept_gaps_is_an_audit_event(cut: Installation) -> None:
    topic = cut.topics.exports
    cut.change(accept_gaps=f"{topic}:0:0")

    page = await read_from_the_beginning(cut)

    assert (page.gone, [record.offset for record in page.records]) == (3, [3, 4])
    assert skips(cut) == [{"topic": topic, "partition": 0, "from": 0, "to": 2, "why": "ACCEPT_GAPS"}]


async def test_what_nobody_accepts_is_an_error_and_no_event(cut: Installation) -> None:
    with pytest.raises(RecordsAreGone, match="were not delivered to the parked flow vip"):
        await read_from_the_beginning(cut)

    assert skips(cut) == []
