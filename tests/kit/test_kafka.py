"""The kit's broker is a Kafka that keeps its data, honours transactions, and can be hurt."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Message, Producer

from processor.kafka.connection import PARTITIONERS
from schemas.partitioner import Partitioner
from tests.kit.kafka import RealKafka, answers
from tests.kit.topics import create_topic

SECONDS = 120.0


def produce(bootstrap_servers: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    for value in values:
        producer.produce(topic, value=value)
    assert producer.flush(SECONDS) == 0


async def read_committed(bootstrap_servers: str, topic: str) -> list[bytes]:
    """Everything that is committed, up to the last stable offset of now."""
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        values: list[bytes] = []
        deadline = time.monotonic() + SECONDS
        while await consumer.position(place) < end:
            assert time.monotonic() < deadline, f"read {values} only"
            values += [record.value for record in (await consumer.getmany(place, timeout_ms=200)).get(place, [])]
        return values
    finally:
        await consumer.stop()


@asynccontextmanager
async def transactional(bootstrap_servers: str, transactional_id: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id=transactional_id)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS:.0f} s: {what}"
        time.sleep(0.02)


def test_the_shared_broker_answers(kafka: str) -> None:
    wait_until(lambda: answers(kafka), "an answer")


async def test_records_and_address_outlive_a_kill_and_a_freeze(own_kafka: RealKafka) -> None:
    address = own_kafka.bootstrap_servers
    topic = create_topic(address)
    produce(address, topic, b"before")

    own_kafka.kill()
    assert not own_kafka.is_running
    own_kafka.restart()
    produce(address, topic, b"after")
    own_kafka.pause()
    assert not answers(address)
    own_kafka.resume()

    wait_until(lambda: answers(address), "the broker answers again")
    assert own_kafka.bootstrap_servers == address
    assert await read_committed(address, topic) == [b"before", b"after"]


def test_the_broker_ends_with_a_process_that_is_killed(kafka: str, tmp_path: Path) -> None:
    program = (
        "from tests.kit.kafka import RealKafka\nwith RealKafka() as kafka: print(kafka.bootstrap_servers, flush=True);"
        " input()"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # its data stays behind
    command, root = [sys.executable, "-c", program], Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().decode().strip()
        assert answers(address)

        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()

    wait_until(lambda: not answers(address), "the broker is gone")


async def test_only_what_was_committed_is_read(kafka: str) -> None:
    topic = create_topic(kafka)
    async with transactional(kafka, f"{topic}-owner") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()

    assert await read_committed(kafka, topic) == [b"committed"]


async def test_a_new_owner_of_a_transactional_id_fences_the_earlier_one_and_ends_what_it_left_open(kafka: str) -> None:
    topic = create_topic(kafka)
    zombie = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-owner")
    await zombie.start()
    await zombie.begin_transaction()
    await zombie.send_and_wait(topic, b"zombie", partition=0)

    async with transactional(kafka, f"{topic}-owner") as owner, owner.transaction():
        await owner.send_and_wait(topic, b"owner", partition=0)

    with pytest.raises(ProducerFenced):
        await zombie.send_and_wait(topic, b"late", partition=0)
    with pytest.raises(ProducerFenced):
        await zombie.commit_transaction()
    await zombie.stop()
    assert await read_committed(kafka, topic) == [b"owner"]


async def test_a_transaction_left_open_is_aborted_soon_after_its_time(kafka: str) -> None:
    topic = create_topic(kafka)
    left = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-owner", transaction_timeout_ms=1000)
    await left.start()
    await left.begin_transaction()
    await left.send_and_wait(topic, b"left open", partition=0)
    produce(kafka, topic, b"behind it")

    deadline = time.monotonic() + SECONDS
    while await read_committed(kafka, topic) != [b"behind it"]:
        assert time.monotonic() < deadline, "the open transaction still holds back what is behind it"

    await left.stop()


def test_both_clients_put_a_key_on_the_same_partition(kafka: str) -> None:
    partitions = 7
    topic = create_topic(kafka, partitions)
    found: dict[bytes, int] = {}

    def note(error: object, message: Message) -> None:
        key, partition = message.key(), message.partition()
        assert error is None
        assert key is not None
        assert partition is not None
        found[key] = partition

    producer = Producer({"bootstrap.servers": kafka, "partitioner": PARTITIONERS[Partitioner.MURMUR2]})
    keys = [f"profile-{number}".encode() for number in range(200)] + ["Zoë".encode(), b"\x00\xff", b"21"]
    for key in keys:
        producer.produce(topic, key=key, on_delivery=note)
    producer.flush(SECONDS)

    places = list(range(partitions))
    assert found == {key: DefaultPartitioner()(key, places, places) for key in keys}
