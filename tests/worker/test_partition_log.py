"""Commits that a topic does not take, and what makes it take them, on a real Kafka (I4; exit code 3)."""

import os
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.producer.transaction_manager import TransactionState

from processor.foundation.errors import StoppedForOperator
from processor.foundation.settings import Settings
from processor.kafka.admin import Admin
from processor.kafka.errors import RecordTooLarge, TimestampRefused
from processor.kafka.limits import topic_limits
from processor.kafka.log_ends import wait_until_shown
from processor.kafka.producers import SharedProducer
from processor.kafka.reading import read_topic
from processor.pipeline.ports import Output, PartitionLog
from processor.worker.adapters.partition_log import OutputTopics, PlainLog, TransactionalLog
from schemas.kafka import ProducerHeaders, ProducerRecord
from schemas.profile import Profile
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, encode_row, profile_key
from tests.conftest import required
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.topics import create_topic

MIB = 1024 * 1024
HOUR_MS = 3_600_000
SECONDS = 120.0
LONG_AGO_MS = 1_500_000_000_000
TAKES_A_MIB = {"max_message_bytes": str(MIB)}
ROWS = {SOURCE_POSITION_KEY: b"{}"}


@pytest.fixture
def topics(kafka: str) -> OutputTopics:
    exports = create_topic(kafka, message_timestamp_before_max_ms=str(HOUR_MS), **TAKES_A_MIB)
    others = [create_topic(kafka, **TAKES_A_MIB) for _ in range(4)]
    return OutputTopics(exports, *others)


@pytest.fixture(params=["transactional", "plain"])
async def log(
    request: pytest.FixtureRequest, installation: Installation, topics: OutputTopics
) -> AsyncIterator[PartitionLog]:
    shared = SharedProducer(installation.settings)
    await shared.start()
    transactional = partial(TransactionalLog, installation.settings, topics, "events", 0)
    opened: PartitionLog = transactional() if request.param == "transactional" else PlainLog(shared, topics, 0)
    await opened.take_over()
    yield opened
    await opened.close()
    await shared.stop()


def export(value: bytes, timestamp: int | None = None) -> ProducerRecord:
    headers: ProducerHeaders = [
        ("source-topic", b"profile-events"),
        ("source-partition", b"0"),
        ("source-offset", b"17"),
    ]
    return ProducerRecord(b"Ada", value, headers, timestamp)


async def test_an_export_that_does_not_fit_names_the_event_that_it_comes_of_and_how_to_go_on(
    log: PartitionLog, topics: OutputTopics
) -> None:
    with pytest.raises(RecordTooLarge) as refused:
        await log.commit(Output([export(os.urandom(2 * MIB))], [], ROWS))

    assert "what came of profile-events[0] offset 17" in str(refused.value)
    assert f"raise max.message.bytes of {topics.exports}" in str(refused.value)
    assert refused.value.exit_code == StoppedForOperator.exit_code


async def test_a_row_that_does_not_fit_names_the_event_that_made_it(log: PartitionLog, topics: OutputTopics) -> None:
    row = encode_row(Profile({"novel": os.urandom(2 * MIB).hex()}, {}, {}, {}, 1, (), 2), 23)

    with pytest.raises(RecordTooLarge) as refused:
        await log.commit(Output([], [], {profile_key(b"Ada"): row} | ROWS))

    assert f"what came of {topics.profile_events}[0] offset 23" in str(refused.value)
    assert "PROFILE_EXPORTER_SKIP_TO=0:24" in str(refused.value)


async def test_a_timestamp_that_the_topic_does_not_take_stops_with_the_remedy_where_its_bounds_are_not_known(
    log: PartitionLog, topics: OutputTopics
) -> None:
    with pytest.raises(TimestampRefused, match=r"offset 17(.|\n)*message\.timestamp\.before\.max\.ms"):
        await log.commit(Output([export(b"{}", LONG_AGO_MS)], [], ROWS))


async def test_what_is_older_than_a_topic_takes_is_written_as_old_as_may_be(
    installation: Installation, topics: OutputTopics
) -> None:
    """A broker may bound `message.timestamp.before.max.ms` for all topics; an export carries the time of its event."""
    limits = topic_limits(Admin(installation.settings), [topics.exports, topics.dead_letters])
    log = TransactionalLog(installation.settings, topics._replace(limits=limits), "events", 0)
    await log.take_over()
    before = int(time.time() * 1000)

    await log.commit(Output([export(b"old", LONG_AGO_MS), export(b"new", before)], [export(b"{}", LONG_AGO_MS)], ROWS))
    await log.close()
    for topic in (topics.exports, topics.dead_letters):
        assert wait_until_shown(installation.settings, topic, [0], time.monotonic() + SECONDS)

    old, new = read_topic(installation.settings, topics.exports)
    (letter,) = read_topic(installation.settings, topics.dead_letters)
    assert old.timestamp is not None
    assert before - HOUR_MS <= old.timestamp < before
    assert (new.timestamp, letter.timestamp) == (before, LONG_AGO_MS)


async def test_a_commit_that_the_broker_left_without_markers_is_completed_for_all_readers(tmp_path: Path) -> None:
    """A broker that is being stopped may acknowledge a commit, forget the transaction, and write no marker.

    Nobody would end it: what is delivered, and the changelog, would stand still there. The test's producer writes
    without the coordinator's knowledge, which leaves the same behind.
    """
    with required(), RealKafka(properties={"transaction.partition.verification.enable": "false"}) as broker:
        settings = Installation(broker.bootstrap_servers, tmp_path).settings
        topics = OutputTopics(*(create_topic(broker.bootstrap_servers) for _ in range(5)))
        left = TransactionalLog(settings, topics, "events", 0)
        await left.take_over()
        await left.commit(Output([export(b"1")], [], ROWS))
        require_shown(settings, (topics.exports, topics.changelog))
        await write_behind_the_coordinator(left, topics)
        await left.close()
        owner = TransactionalLog(settings, topics, "events", 0)
        await owner.take_over()
        before = [[each.value for each in read_topic(settings, topic)] for topic in (topics.exports, topics.changelog)]
        await owner.complete_commit()
        require_shown(settings, tuple(topics.all))
        after = [[each.value for each in read_topic(settings, topic)] for topic in (topics.exports, topics.changelog)]
        await owner.commit(Output([export(b"3")], [], ROWS))
        await owner.close()

    assert before == [[b"1"], [b"{}"]]
    assert after == [[b"1", b"2"], [b"{}", b"2"]]


def require_shown(settings: Settings, topics: Sequence[str]) -> None:
    for topic in topics:
        assert wait_until_shown(settings, topic, [0], time.monotonic() + SECONDS)


async def test_what_the_last_commit_left_without_markers_is_committed_with_the_next_one_everywhere(
    tmp_path: Path,
) -> None:
    """The next commit has nothing for exports: what was left there would wait, and be aborted with a later one."""
    with required(), RealKafka(properties={"transaction.partition.verification.enable": "false"}) as broker:
        settings = Installation(broker.bootstrap_servers, tmp_path).settings
        topics = OutputTopics(*(create_topic(broker.bootstrap_servers) for _ in range(5)))
        log = TransactionalLog(settings, topics, "events", 0)
        await log.take_over()
        await log.commit(Output([export(b"1")], [], ROWS))
        require_shown(settings, (topics.exports, topics.changelog))
        await write_behind_the_coordinator(log, topics)
        forget_transaction(log)
        await log.commit(Output([], [], ROWS))
        require_shown(settings, (topics.exports, topics.changelog))
        await log.close()

        assert [each.value for each in read_topic(settings, topics.exports)] == [b"1", b"2"]
        assert [each.value for each in read_topic(settings, topics.changelog)] == [b"{}", b"2", b"{}"]


def forget_transaction(log: TransactionalLog) -> None:
    """Have the producer take its transaction for committed, as where the broker acknowledged it."""
    manager = log._producer._txn_manager
    manager.state = TransactionState.COMMITTING_TRANSACTION
    manager.complete_transaction()


async def write_behind_the_coordinator(log: TransactionalLog, topics: OutputTopics) -> None:
    producer = log._producer
    await producer.begin_transaction()
    for topic in (topics.exports, topics.changelog):
        producer._txn_manager._txn_partitions.add(TopicPartition(topic, 0))
        await (await producer.send(topic, b"2", b"Ada", partition=0))
