"""Suite of the port that reads `exports` a second time (G4): in memory, and on Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processor.delivery.ports import ExportsLog
from processor.kafka.producers import SharedProducer
from processor.kafka.writer import Writer
from processor.worker.adapters.exports_reader import ParkedExports
from processor.worker.partition_history import PartitionHistory
from tests.delivery.fakes import FakeExports, Record, export_record
from tests.kit.installation import Installation

PORT: Final = ExportsLog
FORMS: Final = ("memory", "kafka")
SECONDS: Final = 240.0
ALL: Final = 1 << 20


class Opened(NamedTuple):
    log: ExportsLog
    write: Callable[[list[Record]], None]
    cut: Callable[[int], None]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = FakeExports()
        yield Opened(memory, memory.log[0].extend, lambda offset: memory.begins.update({0: offset}))
        return
    installation: Installation = request.getfixturevalue("installation")
    installation.init(1)
    installation.change(accept_gaps=f"{installation.topics.exports}:0:0")
    producer = SharedProducer(installation.settings)
    await producer.start()
    log = ParkedExports(installation.settings, PartitionHistory(producer, installation.settings, "w-1"))
    yield Opened(log, lambda records: write(installation, records), lambda offset: cut(installation, offset))
    await log.close()
    await producer.stop()


def write(installation: Installation, records: list[Record]) -> None:
    with Writer(installation.settings) as writer:
        for record in records:
            writer.write(
                installation.topics.exports, record.key, record.value, name="export", headers=list(record.headers)
            )


def cut(installation: Installation, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    (removed,) = admin.delete_records([TopicPartition(installation.topics.exports, 0, offset)]).values()
    removed.result(SECONDS)


async def read_to(log: ExportsLog, offset: int, end: int, records: int) -> tuple[list[int], list[int], int]:
    """Return offsets of `vip`'s records up to an end, how many each page had, and how many were gone."""
    found: list[int] = []
    pages: list[int] = []
    gone = 0
    async with asyncio.timeout(SECONDS):
        while offset < end:
            page = await log.read(0, offset, "vip", records, ALL)
            assert page.next_offset >= offset + page.gone
            offset, gone = page.next_offset, gone + page.gone
            found += [record.offset for record in page.records]
            pages.append(len(page.records))
    return found, pages, gone


def exports(flows: str) -> list[Record]:
    """Return a record for each letter: `v` is of the flow `vip`, another letter of another flow."""
    return [export_record(offset, flow="vip" if flow == "v" else flow) for offset, flow in enumerate(flows)]


async def test_g4_the_records_of_one_flow_come_in_order_a_few_at_a_time(opened: Opened) -> None:
    opened.write(exports("vxvvxvv"))

    found, pages, gone = await read_to(opened.log, 0, 7, 2)

    assert (found, gone) == ([0, 2, 3, 5, 6], 0)
    assert max(pages) <= 2


async def test_g4_reading_begins_where_it_is_asked_to_also_after_a_close(opened: Opened) -> None:
    opened.write(exports("vvxv"))
    first = await read_to(opened.log, 1, 4, 10)
    await opened.log.close()

    again = await read_to(opened.log, 3, 4, 10)

    assert (first[0], again[0]) == ([1, 3], [3])


async def test_g4_at_the_end_a_page_is_empty_and_what_is_written_later_comes(opened: Opened) -> None:
    opened.write(exports("vx"))
    await read_to(opened.log, 0, 2, 10)
    async with asyncio.timeout(SECONDS):
        empty = await opened.log.read(0, 2, "vip", 10, ALL)
    opened.write([export_record(2, flow="vip")])

    found, _, _ = await read_to(opened.log, 2, 3, 10)

    assert (list(empty.records), empty.next_offset) == ([], 2)
    assert found == [2]


async def test_g4_what_the_log_has_lost_is_counted(opened: Opened) -> None:
    opened.write(exports("vvvxv"))
    opened.cut(2)

    found, _, gone = await read_to(opened.log, 0, 5, 10)

    assert (found, gone) == ([2, 4], 2)
