"""A topic is read to its end as of the call, whatever stands before that end; a group's lag reads 0 when all is
done.
"""

import time

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.connection import consumer_config
from processor.kafka.errors import ReadFailed
from processor.kafka.group_lag import PartitionLag, group_lag
from processor.kafka.log_ends import stable_ends, wait_until_shown
from processor.kafka.reading import read_compacted, read_from, read_topic
from processor.kafka.writer import Headers, Writer
from schemas.kafka import ReadRecord
from tests.kit.installation import Installation
from tests.kit.topics import create_topic

TIMESTAMP = 1_700_000_000_000
SECONDS = 20.0


def write(
    installation: Installation, topic: str, *records: tuple[bytes | None, bytes | None], headers: Headers | None = None
) -> None:
    with Writer(installation.settings) as writer:
        for key, value in records:
            writer.write(topic, key, value, name="a record", timestamp=TIMESTAMP, headers=headers)


def delete_records(bootstrap_servers: str, before: dict[str, int]) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in client.delete_records(
        [TopicPartition(topic, 0, offset) for topic, offset in before.items()]
    ).values():
        future.result(20)


def values(installation: Installation, topic: str) -> list[bytes | None]:
    return [record.value for record in read_topic(installation.settings, topic)]


def test_a_record_is_read_as_it_was_written(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka)
    write(installation, topic, (b"k", b"v"), (None, None), headers=[("flow-id", b"vip"), ("empty", None)])

    records = list(read_topic(installation.settings, topic))

    headers = (("flow-id", b"vip"), ("empty", None))
    assert records == [
        ReadRecord(topic, 0, 0, TIMESTAMP, b"k", b"v", headers),
        ReadRecord(topic, 0, 1, TIMESTAMP, None, None, headers),
    ]


def test_every_partition_is_read_and_each_in_order(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka, 4)
    written = [(f"k{number % 50}".encode(), str(number).encode()) for number in range(5000)]
    write(installation, topic, *written)

    records = list(read_topic(installation.settings, topic))

    assert sorted((record.key, record.value) for record in records) == sorted(written)
    for partition in range(4):
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(len(offsets)))


def test_an_empty_topic_has_nothing_to_read(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka, 4)

    assert values(installation, topic) == []
    assert read_compacted(installation.settings, topic) == {}


def test_what_was_removed_at_the_beginning_is_not_waited_for(installation: Installation, kafka: str) -> None:
    topic, all_gone = create_topic(kafka), create_topic(kafka)
    for name in (topic, all_gone):
        write(installation, name, (b"a", b"1"), (b"b", b"2"))

    delete_records(kafka, {topic: 1, all_gone: 2})

    assert values(installation, topic) == [b"2"]
    assert values(installation, all_gone) == []


def test_reading_goes_on_at_the_offsets_that_are_named_and_nowhere_else(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka, 4)
    write(installation, topic, *((f"k{number}".encode(), str(number).encode()) for number in range(400)))
    whole = list(read_topic(installation.settings, topic))
    ends = stable_ends(installation.settings, topic, range(4))

    records = list(read_from(installation.settings, topic, {1: 0, 2: 17, 3: ends[3]}))

    assert sorted(records) == sorted(
        record for record in whole if record.partition == 1 or (record.partition == 2 and record.offset >= 17)
    )
    assert list(read_from(installation.settings, topic, {})) == []
    delete_records(kafka, {topic: 5})
    assert next(read_from(installation.settings, topic, {0: 0})).offset == 5, "offset 0 is wherever the log begins"
    with pytest.raises(ReadFailed, match=r"\[0\]: records were removed before they were read"):
        next(read_from(installation.settings, topic, {0: 2}))


async def test_what_is_written_is_waited_for_until_its_transaction_has_ended(
    installation: Installation, kafka: str
) -> None:
    topic, settings = create_topic(kafka, 2), installation.settings
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-owner")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"open", partition=1)

    before = stable_ends(settings, topic, [0, 1])
    shown_before = [wait_until_shown(settings, topic, [partition], time.monotonic()) for partition in (0, 1)]
    await producer.commit_transaction()
    shown_after = wait_until_shown(settings, topic, [0, 1], time.monotonic() + SECONDS)
    await producer.stop()

    assert before == {0: 0, 1: 0}
    assert (shown_before, shown_after) == ([True, False], True)
    assert [record.value for record in read_from(settings, topic, before)] == [b"open"]


async def test_only_committed_records_are_read_and_markers_at_the_end_do_not_hold_it_up(
    installation: Installation, kafka: str
) -> None:
    topic = create_topic(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-owner")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"aborted", partition=0)
    await producer.abort_transaction()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"committed", partition=0)
    ended = values(installation, topic)
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"still open", partition=0)

    held_back = values(installation, topic)

    await producer.abort_transaction()
    await producer.stop()
    assert ended == held_back == [b"committed"]


def test_a_compacted_topic_gives_the_last_value_of_each_key_without_tombstones(
    installation: Installation, kafka: str
) -> None:
    topic = create_topic(kafka, cleanup_policy="compact")
    write(installation, topic, (b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"a", b"2"), (b"b", None))

    assert read_compacted(installation.settings, topic) == {b"c": b"1", b"a": b"2"}


def test_lag_is_counted_from_the_commit_or_from_the_logs_start_and_is_0_at_the_end(
    installation: Installation, kafka: str
) -> None:
    topic = create_topic(kafka, 2)
    write(installation, topic, (b"k", b"1"), (b"k", b"2"), (b"k", b"3"))
    (partition,) = {record.partition for record in read_topic(installation.settings, topic)}
    before = group_lag(installation.settings, [topic])[topic]
    consumer = Consumer(consumer_config(installation.settings, installation.settings.app_id))
    consumer.commit(offsets=[TopicPartition(topic, partition, 3)], asynchronous=False)
    consumer.close()

    after = group_lag(installation.settings, [topic])[topic]

    assert before[partition] == PartitionLag(partition, committed=None, start=0, end=3)
    assert (before[partition].lag, before[1 - partition].lag) == (3, 0)
    assert after[partition] == PartitionLag(partition, committed=3, start=0, end=3)
    assert after[partition].lag == 0


def test_the_lag_before_the_first_commit_leaves_out_what_retention_removed() -> None:
    assert PartitionLag(0, committed=None, start=40, end=50).lag == 10
    assert PartitionLag(0, committed=10, start=40, end=50).lag == 10
    assert PartitionLag(0, committed=60, start=40, end=50).lag == 0


def test_a_missing_topic_is_named_with_the_remedy(installation: Installation) -> None:
    for ask in (
        lambda: list(read_topic(installation.settings, "nowhere")),
        lambda: group_lag(installation.settings, ["nowhere"]),
    ):
        with pytest.raises(ReadFailed, match=r"no topic nowhere.*profile-exporter init"):
            ask()
