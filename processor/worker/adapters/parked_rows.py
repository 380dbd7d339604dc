"""The topic `delivery-positions`: how far parked flows are on `exports`.

Compacted, in the partition of `exports` that a row is of.

key    ["<flow id>","<stay id>"]
value  schemas/parked_flow.py
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from processor.foundation.errors import StoppedForOperator
from processor.foundation.settings import Settings
from processor.kafka.connection import aiokafka_options
from processor.kafka.reading import read_compacted
from schemas.kafka import ProducerRecord
from schemas.parked_flow import ParkedFlowRow

if TYPE_CHECKING:  # `status` reads this topic too, and needs no aiokafka for it
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from processor.kafka.producers import AsyncWriter

READ_SECONDS: Final = 60.0
_WAIT_MS: Final = 100

Rows = Mapping[str, ParkedFlowRow]
"""By key."""


class BadPosition(StoppedForOperator):
    """A row that this version cannot read: to go on without it would lose what it is about."""

    def __init__(self, place: str, error: ValidationError) -> None:
        super().__init__(
            f"{place} cannot be read: {error.error_count()} faults, the first: {error.errors()[0]['msg']}\n"
            "  it was written by another version; start that one, or this one's successor"
        )


class DeliveryPositions:
    """`delivery.ports.ParkedRows`; the producer is the caller's."""

    def __init__(self, settings: Settings, producer: "AsyncWriter") -> None:
        self._settings, self._producer = settings, producer
        self._topic = settings.topics.delivery_positions

    async def write(self, partition: int, rows: Mapping[str, ParkedFlowRow | None]) -> None:
        """Raises NotWritten where one was not acknowledged; some may be there then."""
        await self._producer.write(
            self._topic, [(partition, ProducerRecord(key.encode(), _value(row))) for key, row in rows.items()]
        )


def _value(row: ParkedFlowRow | None) -> bytes | None:
    return None if row is None else row.model_dump_json(by_alias=True, exclude_defaults=True).encode()


async def read_positions(settings: Settings, partitions: Collection[int]) -> dict[int, Rows]:
    """The rows of these partitions, up to the ends that they have now; raises BadPosition, KafkaError, TimeoutError."""
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415  # only a worker has it at hand

    topic = settings.topics.delivery_positions
    places = [TopicPartition(topic, partition) for partition in partitions]
    consumer = AIOKafkaConsumer(
        **aiokafka_options(settings),
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=_WAIT_MS,
    )
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            consumer.assign(places)
            await consumer.seek_to_beginning()
            return await _read(consumer, places)
    finally:
        await consumer.stop()


async def _read(consumer: "AIOKafkaConsumer", places: "Collection[TopicPartition]") -> dict[int, Rows]:
    values: dict[int, dict[bytes, bytes]] = {place.partition: {} for place in places}
    ends = await consumer.end_offsets(places)
    while [place for place, end in ends.items() if await consumer.position(place) < end]:
        for place, records in (await consumer.getmany(timeout_ms=_WAIT_MS)).items():
            for record in records:
                values[place.partition].pop(record.key, None)
                if record.value is not None:
                    values[place.partition][record.key] = record.value
    topic = next(iter(places)).topic if places else ""
    return {partition: _rows(f"{topic}[{partition}]", found) for partition, found in values.items()}


def _rows(place: str, values: Mapping[bytes, bytes]) -> Rows:
    rows = {}
    for key, value in values.items():
        try:
            rows[key.decode()] = ParkedFlowRow.model_validate_json(value)
        except ValidationError as error:
            raise BadPosition(f"{place}, the row {key!r}", error) from None
    return rows


def parked_flows(settings: Settings) -> list[ParkedFlowRow]:
    """All rows, for people; blocks. Raises BadPosition, and what `read_compacted` raises."""
    topic = settings.topics.delivery_positions
    return list(_rows(topic, read_compacted(settings, topic)).values())
