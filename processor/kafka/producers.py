"""One plain producer for everything a worker writes beside its transactions: dead letters of delivery, status, and, on
brokers without transactions, the output of its partitions.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from processor.foundation.settings import Settings
from processor.foundation.tasks import is_being_cancelled
from processor.kafka.dead_letter_batches import letter_batch
from processor.kafka.errors import RecordTooLarge
from processor.worker.adapters.partition_log import Place, producer, send
from schemas.kafka import ProducerRecord

STOP_SECONDS: Final = 5.0
_LOG_APPEND_TIME: Final = 1  # aiokafka's RecordMetadata.timestamp_type
Answer = TypeVar("Answer")
_log = structlog.get_logger(__name__)


class NotWritten(Exception):
    """Kafka did not acknowledge a record; whether it is there is unknown."""


class Writer(Protocol):
    """What writes records beside the partitions' transactions: SharedProducer, and whoever wraps it."""

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write records as `SharedProducer.write` does."""

    async def write_letters(self, topic: str, events: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        """Write dead letters as `SharedProducer.write_letters` does."""


class SharedProducer:
    """Idempotent, acknowledged by every replica. From `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._producer = producer(settings)

    async def start(self) -> None:
        """Connect; raises KafkaError."""
        await self._producer.start()

    async def stop(self) -> None:
        """Let go; waits for a broker that is away 5 s at most."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._producer.stop()
        except TimeoutError:
            _log.warning("producer_did_not_stop", seconds=STOP_SECONDS)

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write (partition, record) pairs in order; a partition of None is the key's.

        Returns when all are acknowledged.

        Raises NotWritten where one was not; others may be there then. Raises RecordTooLarge where the topic does not
        take one: written again it would be refused again.
        """
        try:
            await _acknowledged(topic, self._write(topic, records))
        except NotWritten as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise RecordTooLarge(topic, "a record of the worker's own", None) from error
            raise

    async def write_stamped(self, topic: str, record: ProducerRecord) -> float | None:
        """Write one record; when the broker took it by its own clock, in seconds since 1970.

        None: the topic is not stamped by the broker.

        Raises NotWritten.
        """
        (metadata,) = await _acknowledged(topic, self._write(topic, [(None, record)]))
        return metadata.timestamp / 1000 if metadata.timestamp_type == _LOG_APPEND_TIME else None

    async def write_letters(self, topic: str, events: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        """Write dead letters by partition, in order, as `letter_batches` has them; returns when all are acknowledged.

        Raises NotWritten as `write` does, RecordTooLarge where the topic does not take one.
        """
        await _acknowledged(topic, self._write_letters(topic, events, letters))

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

    async def _write_letters(self, topic: str, events: str, letters: Mapping[int, Sequence[ProducerRecord]]) -> None:
        new_batch = partial(letter_batch, is_transactional=False)
        sent = [
            each
            for partition, records in letters.items()
            for each in await send(self, Place(topic, partition, events), records, new_batch)
        ]
        for each in sent:
            await each

    def create_batch(self) -> Any:
        """An empty record batch (`logs.Producing`)."""
        return self._producer.create_batch()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Queue a record batch (`logs.Producing`)."""
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        return future


async def _acknowledged(topic: str, writing: Awaitable[Answer]) -> Answer:
    try:
        return await writing
    except (KafkaError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        raise NotWritten(f"{topic}: {error!r}") from error
