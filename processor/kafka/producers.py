"""aiokafka's producers: how one is made and stopped, and the plain one that a worker's parts share.

The shared producer writes everything that is in no partition's transaction: dead letters of delivery, status, and, on
brokers without transactions, the output of the partitions.

It leans on these insides of aiokafka 0.14, held by `tests/kafka/test_producers.py`: its sender looks a coordinator up
by `client.coordinator_lookup`, ends with any error of that but those that it names, and tries again after
NodeNotReadyError.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError, NodeNotReadyError

from processor.foundation.settings import Settings
from processor.foundation.tasks import is_being_cancelled
from processor.kafka.batches import BatchTarget, Explain, explain_partition, queue_batches
from processor.kafka.connection import aiokafka_options
from processor.kafka.dead_letter_batches import dead_letter_batch
from processor.kafka.errors import RecordTooLarge
from processor.kafka.limits import BATCH_BYTES
from schemas.kafka import ProducerRecord

STOP_SECONDS: Final = 5.0
MAX_REQUEST_BYTES: Final = 100 * 1024 * 1024
"""Of a request, as a broker takes it by default (socket.request.max.bytes).

What a topic takes of a batch, the broker says: only it knows.
"""
COMPRESSION: Final = "snappy"
"""0.9 µs a row of 2.3 KB, against 1.7 (zstd 1) and 23 (lz4 as aiokafka calls it, level 9)."""
_LOG_APPEND_TIME: Final = 1  # aiokafka's RecordMetadata.timestamp_type
Answer = TypeVar("Answer")
_log = structlog.get_logger(__name__)


def new_producer(settings: Settings, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Make a producer that is idempotent, acknowledged by every replica, and transactional where it has an id.

    It is not started.
    """
    transaction: dict[str, Any] = {}
    if transactional_id is not None:
        transaction = {
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(settings.transaction_timeout_seconds * 1000),
        }
    producer = AIOKafkaProducer(
        **aiokafka_options(settings),
        enable_idempotence=True,
        acks="all",
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=int(settings.transaction_timeout_seconds * 1000),
        **transaction,
    )
    _look_up_again(producer.client)
    return producer


def _look_up_again(client: AIOKafkaClient) -> None:
    """Have the sender look a coordinator up again where the connection closed while it did: it would end for ever."""
    look_up = client.coordinator_lookup

    async def look_up_patiently(kind: int, key: str) -> int:
        try:
            return cast("int", await look_up(kind, key))
        except KafkaConnectionError as error:
            raise NodeNotReadyError(str(error)) from error

    client.coordinator_lookup = look_up_patiently


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer that is thrown away: within 5 s, whatever the broker says."""
    with suppress(Exception):  # what it says changes nothing
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()


class NotWritten(Exception):
    """Kafka did not acknowledge a record; whether it is there is unknown."""


class AsyncWriter(Protocol):
    """A writer of records beside the partitions' transactions: SharedProducer, and whoever wraps it."""

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write records as `SharedProducer.write` does."""

    async def write_dead_letters(self, topic: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        """Write dead letters as `SharedProducer.write_dead_letters` does."""


class SharedProducer:
    """An idempotent producer, acknowledged by every replica, from `start` to `stop`.

    `explain` says where dead letters come from that their topic refuses.
    """

    def __init__(self, settings: Settings, explain: Explain = explain_partition) -> None:
        self._producer = new_producer(settings)
        self._explain = explain

    async def start(self) -> None:
        """Connect to the broker; raises KafkaError."""
        await self._producer.start()

    async def stop(self) -> None:
        """Close the connections; waits for a broker that is away 5 s at most."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._producer.stop()
        except TimeoutError:
            _log.warning("producer_did_not_stop", seconds=STOP_SECONDS)

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write (partition, record) pairs in order; a partition of None is the key's.

        Returns when all are acknowledged. Raises NotWritten where one was not; others may be there then. Raises
        RecordTooLarge where the topic does not take one: written again it would be refused again.
        """
        try:
            await _acknowledged(topic, self._write(topic, records))
        except NotWritten as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise RecordTooLarge(topic, "a record of the worker's own", None) from error
            raise

    async def write_stamped(self, topic: str, record: ProducerRecord) -> float | None:
        """Write one record; return when the broker took it, by its own clock, in seconds since 1970.

        None: the topic is not stamped by the broker. Raises NotWritten.
        """
        (metadata,) = await _acknowledged(topic, self._write(topic, [(None, record)]))
        return metadata.timestamp / 1000 if metadata.timestamp_type == _LOG_APPEND_TIME else None

    async def write_dead_letters(self, topic: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        """Write dead letters by partition, in order, in batches as `dead_letter_batches` makes them.

        Returns when all are acknowledged. Raises NotWritten as `write` does, RecordTooLarge where the topic does not
        take one.
        """
        await _acknowledged(topic, self._write_dead_letters(topic, letters))

    async def _write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> list[Any]:
        sent = [
            await self._producer.send(
                topic,
                record.value,
                record.key,
                partition=partition,
                timestamp_ms=record.timestamp,
                headers=list(record.headers),
            )
            for partition, record in records
        ]
        return await asyncio.gather(*sent)

    async def _write_dead_letters(self, topic: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        new_batch = partial(dead_letter_batch, is_transactional=False)
        sent = [
            each
            for partition, records in letters.items()
            for each in await queue_batches(self, BatchTarget(topic, partition, self._explain), records, new_batch)
        ]
        for each in sent:
            await each

    def create_batch(self) -> Any:
        """Return an empty record batch (`batches.BatchProducer`)."""
        return self._producer.create_batch()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Queue a record batch (`batches.BatchProducer`)."""
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        return future


async def _acknowledged(topic: str, writing: Awaitable[Answer]) -> Answer:
    try:
        return await writing
    except (KafkaError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        raise NotWritten(f"{topic}: {error!r}") from error
