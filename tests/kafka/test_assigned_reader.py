"""A reader of named partitions reads what is committed, to the ends that they have and on, and says what was lost."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from processor.kafka.assigned_reader import AssignedReader, ReadInterrupted
from schemas.kafka import ConsumerRecord, TopicPartition
from tests.kafka.test_reading import delete_records, write
from tests.kit.installation import Installation
from tests.kit.topics import create_topic


@pytest.fixture
async def reader(installation: Installation) -> AsyncIterator[AssignedReader]:
    async with AssignedReader(installation.settings) as opened:
        yield opened


async def read_to_end(reader: AssignedReader) -> list[bytes | None]:
    records: list[ConsumerRecord] = []
    async for some in reader.read_to(await reader.log_ends()):
        records.extend(some)
    return [record.value for record in records]


async def test_partitions_are_read_from_an_offset_to_their_ends_and_on(
    installation: Installation, kafka: str, reader: AssignedReader
) -> None:
    topic = create_topic(kafka)
    write(installation, topic, (b"k", b"0"), (b"k", b"1"), (b"k", b"2"))

    starts = await reader.assign({TopicPartition(topic, 0): 1})
    first = await read_to_end(reader)
    again = await read_to_end(reader)
    write(installation, topic, (b"k", b"3"))
    later = await read_to_end(reader)

    assert starts == {TopicPartition(topic, 0): 0}
    assert (first, again, later) == ([b"1", b"2"], [], [b"3"])


async def test_only_what_is_committed_is_read_and_markers_at_the_end_are_passed(
    kafka: str, reader: AssignedReader
) -> None:
    topic = create_topic(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-owner")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"aborted", partition=0)
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"committed", partition=0)
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"still open", partition=0)

    await reader.assign({TopicPartition(topic, 0): 0})
    read: list[bytes | None] = []
    while b"committed" not in read:  # a commit is acknowledged before its markers are there
        read += await read_to_end(reader)
    await producer.abort_transaction()
    await producer.stop()

    assert read == [b"committed"]


async def test_a_log_that_starts_later_is_read_from_its_start_and_says_where_that_is(
    installation: Installation, kafka: str, reader: AssignedReader
) -> None:
    topic = create_topic(kafka)
    write(installation, topic, (b"k", b"0"), (b"k", b"1"))
    delete_records(kafka, {topic: 1})

    starts = await reader.assign({TopicPartition(topic, 0): 0})

    assert starts == {TopicPartition(topic, 0): 1}
    assert await read_to_end(reader) == [b"1"]


async def test_a_broker_that_does_not_answer_interrupts_the_reading(installation: Installation) -> None:
    installation.change(kafka_bootstrap_servers="127.0.0.1:1")

    with pytest.raises(ReadInterrupted, match="KafkaConnectionError"):
        async with AssignedReader(installation.settings):
            pass
