"""Suite of the port for a partition's output: in memory, and on Kafka with transactions and without."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import pytest

from processor.kafka.log_ends import wait_until_shown
from processor.kafka.producers import SharedProducer
from processor.kafka.reading import read_topic
from processor.pipeline.ports import Output, PartitionLog
from processor.worker.adapters.partition_log import OutputTopics, PlainLog, TransactionalLog
from schemas.kafka import ProducerRecord
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY
from tests.kit.installation import Installation
from tests.kit.topics import create_topic
from tests.pipeline.fakes import MemoryLog

PORT: Final = PartitionLog
FORMS: Final = ("memory", "transactional", "plain")
SECONDS: Final = 240.0
Found = tuple[list[bytes | None], list[bytes | None], dict[bytes, bytes]]
"""Values of exports and of dead letters, and the rows that the changelog gives."""


class Opened(NamedTuple):
    log: PartitionLog
    found: Callable[[], Found]


@pytest.fixture(params=FORMS)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "memory":
        memory = MemoryLog()
        yield Opened(memory, lambda: found_in_memory(memory))
        return
    installation: Installation = request.getfixturevalue("installation")
    kafka: str = request.getfixturevalue("kafka")
    topics = OutputTopics(*(create_topic(kafka) for _ in range(5)))
    shared = SharedProducer(installation.settings)
    await shared.start()
    log: PartitionLog = PlainLog(shared, topics, 0)
    if request.param == "transactional":
        log = TransactionalLog(installation.settings, topics, "events", 0)
    yield Opened(log, lambda: found_on_kafka(installation, topics))
    await log.close()
    await shared.stop()


def found_in_memory(log: MemoryLog) -> Found:
    return [each.value for each in log.exports], [each.value for each in log.dead_letters], dict(log.changelog)


def found_on_kafka(installation: Installation, topics: OutputTopics) -> Found:
    settings = installation.settings
    for topic in (topics.exports, topics.dead_letters, topics.changelog):
        assert wait_until_shown(settings, topic, [0], time.monotonic() + SECONDS)
    rows: dict[bytes, bytes] = {}
    for record in read_topic(settings, topics.changelog):
        assert record.key is not None
        rows.pop(record.key, None)
        if record.value is not None:
            rows[record.key] = record.value
    exports, letters = (
        [record.value for record in read_topic(settings, topic)] for topic in (topics.exports, topics.dead_letters)
    )
    return exports, letters, rows


def record(value: bytes) -> ProducerRecord:
    return ProducerRecord(b"Ada", value, [], None)


async def test_what_is_committed_is_there_in_order_and_rows_are_changed_and_removed(opened: Opened) -> None:
    log = opened.log
    await log.take_over()

    await log.commit(Output([record(b"1"), record(b"2")], [record(b"bad")], {b"pa": b"A", SOURCE_POSITION_KEY: b"{}"}))
    await log.commit(Output([record(b"3")], [], {b"pa": None, b"pb": b"B", SOURCE_POSITION_KEY: b"{1}"}))

    assert opened.found() == ([b"1", b"2", b"3"], [b"bad"], {b"pb": b"B", SOURCE_POSITION_KEY: b"{1}"})


async def test_a_commit_says_where_the_changelog_goes_on_which_is_further_each_time(opened: Opened) -> None:
    await opened.log.take_over()

    places = [await opened.log.commit(Output([], [], {SOURCE_POSITION_KEY: b"%d" % number})) for number in range(3)]

    assert places == sorted(set(places))
    assert places[0] > 0


async def test_to_complete_a_commit_where_everything_is_shown_changes_nothing(opened: Opened) -> None:
    await opened.log.take_over()
    await opened.log.commit(Output([record(b"1")], [], {SOURCE_POSITION_KEY: b"{}"}))

    await opened.log.complete_commit()
    await opened.log.commit(Output([record(b"2")], [], {SOURCE_POSITION_KEY: b"{1}"}))

    assert opened.found() == ([b"1", b"2"], [], {SOURCE_POSITION_KEY: b"{1}"})


async def test_it_may_be_closed_more_than_once_and_before_it_took_over(opened: Opened) -> None:
    await opened.log.close()
    await opened.log.close()
