"""An embedded Kafka-protocol broker: the mock cluster inside the confluent-kafka wheel, as a child process.

    with EmbeddedBroker({"profile-events": 4, "exports": 4}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

It needs nothing but Python and starts at once. It is no broker for data that matters:

- past 5 MB a partition it silently drops the oldest records: call `assert_nothing_dropped` when done;
- it accepts transactions without honouring them: `PROCESSING_GUARANTEE=at_least_once` only;
- it keeps nothing: when the process ends, all topics are gone;
- it knows no CreateTopics, DescribeConfigs or DescribeGroups: topics are named at start. A client that asks for the
  metadata of an unknown topic may create it, with four partitions;
- a rebalance takes up to 20 s; it compacts nothing.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import confluent_kafka
from confluent_kafka import Consumer, TopicPartition

from processor.sandbox.child import ChildError, ChildServer, announce, die_with_parent, wait_for_parent

QUERY_SECONDS: Final = 10.0

_PRODUCER: Final = 0  # rdkafka.h: rd_kafka_type_t
_ERROR_BYTES: Final = 512


class RecordsDroppedError(AssertionError):
    """An error: a partition lost its oldest records. `starts` are the log starts above 0, by (topic, partition)."""

    def __init__(self, starts: Mapping[tuple[str, int], int]) -> None:
        partitions = ", ".join(
            f"{topic}[{partition}] starts at {start}" for (topic, partition), start in sorted(starts.items())
        )
        super().__init__(
            f"the embedded broker dropped records (it keeps 5 MB a partition): {partitions}; use a real Kafka for this"
            " volume"
        )
        self.starts = dict(starts)


class EmbeddedBroker:
    """A broker that runs while its context lasts; `topics` are created with these partition counts.

    Raises ChildError when it does not listen within 20 s. It leaves no process behind, also when this process
    is killed.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        if wrong := [name for name, partitions in topics.items() if partitions < 1 or not name or ":" in name]:
            raise ValueError(f"not a topic with at least one partition: {', '.join(wrong)}")
        self._server = ChildServer("processor.sandbox.broker", *(f"{name}:{count}" for name, count in topics.items()))
        self._bootstrap = ""

    @property
    def bootstrap_servers(self) -> str:
        """Return `127.0.0.1:PORT`; raise ChildError when the broker has not been started or has died."""
        if not self._server.is_running:
            raise ChildError("the embedded broker is not running")
        return self._bootstrap

    def __enter__(self) -> Self:
        self._bootstrap = self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


def assert_nothing_dropped(bootstrap_servers: str) -> None:
    """Raise RecordsDroppedError when a partition of the broker no longer holds its first record.

    Only for brokers where nothing is ever removed on purpose, as the embedded one.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "nothing-dropped"})
    try:
        topics = consumer.list_topics(timeout=QUERY_SECONDS).topics
        partitions = [(topic, partition) for topic, metadata in topics.items() for partition in metadata.partitions]
        starts = {each: _log_start(consumer, *each) for each in partitions}
    finally:
        consumer.close()
    if moved := {partition: start for partition, start in starts.items() if start > 0}:
        raise RecordsDroppedError(moved)


def _log_start(consumer: Consumer, topic: str, partition: int) -> int:
    offsets = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=QUERY_SECONDS)
    if offsets is None:
        raise ChildError(f"no answer about {topic}[{partition}] in {QUERY_SECONDS:.0f} s")
    low, _high = offsets
    return int(low)


# The child process -------------------------------------------------------------------------------------------------


def _library() -> ctypes.CDLL:
    """Return the librdkafka of confluent_kafka, with the signatures of rdkafka.h and rdkafka_mock.h."""
    package = Path(confluent_kafka.__file__).parent
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        raise ChildError("the confluent-kafka package on this platform does not bring librdkafka as a file of its own")
    library = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[list[type], type | None]] = {
        "rd_kafka_conf_new": ([], pointer),
        "rd_kafka_new": ([number, pointer, text, ctypes.c_size_t], pointer),
        "rd_kafka_mock_cluster_new": ([pointer, number], pointer),
        "rd_kafka_mock_cluster_bootstraps": ([pointer], text),
        "rd_kafka_mock_topic_create": ([pointer, text, number, number], number),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": ([pointer, ctypes.c_int32], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


def _listen(topics: list[str]) -> str:
    """Start the cluster in this process and return the address it listens on."""
    library = _library()
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    client = library.rd_kafka_new(_PRODUCER, library.rd_kafka_conf_new(), error, _ERROR_BYTES)
    if not client:
        raise ChildError(error.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    for topic in topics:
        name, _, partitions = topic.rpartition(":")
        if code := library.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1):
            raise ChildError(f"cannot create topic {name}: librdkafka error {code}")
    bootstraps: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return bootstraps.decode()


def _serve(topics: list[str]) -> None:
    die_with_parent()
    announce(_listen(topics))
    wait_for_parent()


if __name__ == "__main__":
    _serve(sys.argv[1:])
    os._exit(0)  # librdkafka's threads need no farewell
