"""Records are acknowledged, or refused by name."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from processor.core.partitioner import partition_of
from processor.kafka.errors import WriteFailed
from processor.kafka.reading import read_topic
from processor.kafka.writer import OnPlace, Writer
from schemas.partitioner import Partitioner
from tests.kit.installation import Installation
from tests.kit.topics import create_topic

DAY_MS = 86_400_000
SECONDS = 20.0


def values(installation: Installation, topic: str) -> list[bytes | None]:
    return [record.value for record in read_topic(installation.settings, topic)]


def failure(writer: Writer, write: Callable[[], object]) -> WriteFailed:
    """What is raised inside the writer's context, or at its end."""
    with pytest.raises(WriteFailed) as failed, writer:
        write()
    return failed.value


def incompressible(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_after_the_context_everything_is_acknowledged_and_in_order(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka)
    written = [str(number).encode() for number in range(3000)]

    with Writer(installation.settings) as writer:
        for value in written:
            writer.write(topic, b"k", value, name=value.decode())

    assert writer.acknowledged == 3000
    assert values(installation, topic) == written


def test_the_place_of_a_record_is_told_by_the_end_of_the_context(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka, 4)
    places: dict[bytes, tuple[int, int]] = {}

    def noting(key: bytes) -> OnPlace:
        return lambda partition, offset: places.update({key: (partition, offset)})

    keys = [f"key-{number}".encode() for number in range(100)]
    with Writer(installation.settings) as writer:
        for key in keys:
            writer.write(topic, key, b"", name="a record", on_place=noting(key))

    assert places == {
        record.key: (record.partition, record.offset) for record in read_topic(installation.settings, topic)
    }
    assert {key: partition for key, (partition, _) in places.items()} == {
        key: partition_of(key, 4, Partitioner.MURMUR2) for key in keys
    }


def test_a_record_that_is_too_large_for_us_or_for_the_topic_is_named_and_the_others_arrive(
    installation: Installation, kafka: str
) -> None:
    topic = create_topic(kafka, max_message_bytes="1100000")
    writer, limit = Writer(installation.settings), installation.settings.max_message_bytes
    sizes = {"line 1": 10, "line 2": limit + 1, "line 3": 10, "line 4": limit - 1000, "line 5": 10}

    def write() -> None:
        for name, size in sizes.items():
            writer.write(topic, None, incompressible(size), name=name)

    failed = failure(writer, write)

    assert sorted(fault.split(":")[0].strip() for fault in failed.faults) == ["line 2", "line 4"]
    assert writer.acknowledged == 3
    assert len(values(installation, topic)) == 3


def test_a_timestamp_that_the_broker_refuses_stops_the_writing_so_that_nothing_overtakes_its_neighbours(
    installation: Installation, kafka: str
) -> None:
    topic = create_topic(kafka)
    writer, deadline = Writer(installation.settings), time.monotonic() + SECONDS

    def write() -> None:
        writer.write(topic, b"k", b"0", name="line 1", timestamp=int(time.time() * 1000) + DAY_MS)
        while time.monotonic() < deadline:
            writer.write(topic, b"k", b"1", name="a later line")
            time.sleep(0.01)

    failed = failure(writer, write)

    assert time.monotonic() < deadline
    assert failed.faults[0] == "  line 1: Broker: Invalid timestamp"


def test_only_the_first_faults_are_told_and_the_rest_are_counted(installation: Installation) -> None:
    writer, too_large = Writer(installation.settings), bytes(installation.settings.max_message_bytes + 1)

    def write() -> None:
        for number in range(25):
            writer.write("any", None, too_large, name=f"line {number}")

    failed = failure(writer, write)

    assert len(failed.faults) == 21
    assert failed.faults[-1].strip() == "and 5 more"


def test_what_a_broker_that_is_not_there_did_not_acknowledge_is_named(tmp_path: Path) -> None:
    writer = Writer(Installation("127.0.0.1:1", tmp_path).settings, acknowledge_seconds=0.5)

    failed = failure(writer, lambda: writer.write("any", None, b"v", name="line 1"))

    assert failed.faults[0].startswith("  line 1: ")
    assert writer.acknowledged == 0


def test_an_error_of_the_caller_goes_through(installation: Installation, kafka: str) -> None:
    topic = create_topic(kafka)
    writer = Writer(installation.settings)

    def write() -> None:
        writer.write(topic, None, b"v", name="line 1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), writer:
        write()
