"""The topic `delivery-positions`: how far parked flows are on `exports`, written and read."""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from processor.foundation.errors import StoppedForOperator
from processor.foundation.settings import Settings
from processor.kafka.connection import aiokafka_options
from processor.kafka.reading import read_compacted
from schemas.kafka import BadRecord
from schemas.parked_flow import ParkedFlowRow
from schemas.wire.delivery_positions import decode_parked_flow, encode_parked_flow

if TYPE_CHECKING:  # `status` reads this topic too, and needs no aiokafka for it
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from processor.kafka.producers import AsyncWriter

READ_SECONDS: Final = 60.0
_WAIT_MS: Final = 100

Rows = Mapping[str, ParkedFlowRow]
"""By key."""


class BadPosition(StoppedForOperator):
    """A row that this version cannot read: to go on without it would lose what it is about."""

    def __init__(self, tp: str, bad: BadRecord) -> None:
        super().__init__(f"{tp}, {bad}\n  it was written by another version; start that one, or this one's successor")


class DeliveryPositions:
    """`delivery.ports.ParkedRows`; the producer is the caller's."""

    def __init__(self, settings: Settings, producer: "AsyncWriter") -> None:
        self._settings, self._producer = settings, producer
        self._topic = settings.topics.delivery_positions

    async def write(self, partition: int, rows: Mapping[str, ParkedFlowRow | None]) -> None:
        """Raises NotWritten where one was not acknowledged; some may be there then."""
        await self._producer.write(
            self._topic, [(partition, encode_parked_flow(key, row)) for key, row in rows.items()]
        )


async def read_positions(settings: Settings, partitions: Collection[int]) -> dict[int, Rows]:
    """The rows of these partitions, up to the ends that they have now; raises BadPosition, KafkaError, TimeoutError."""
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415  # only a worker has it at hand

    topic = settings.topics.delivery_positions
    tps = [TopicPartition(topic, partition) for partition in partitions]
    consumer = AIOKafkaConsumer(
        **aiokafka_options(settings),
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=_WAIT_MS,
    )
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            consumer.assign(tps)
            await consumer.seek_to_beginning()
            return await _read(consumer, tps)
    finally:
        await consumer.stop()


async def _read(consumer: "AIOKafkaConsumer", tps: "Collection[TopicPartition]") -> dict[int, Rows]:
    values: dict[int, dict[bytes, bytes]] = {tp.partition: {} for tp in tps}
    ends = await consumer.end_offsets(tps)
    while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
        for tp, records in (await consumer.getmany(timeout_ms=_WAIT_MS)).items():
            for record in records:
                values[tp.partition].pop(record.key, None)
                if record.value is not None:
                    values[tp.partition][record.key] = record.value
    topic = next(iter(tps)).topic if tps else ""
    return {partition: _rows(f"{topic}[{partition}]", found) for partition, found in values.items()}


def _rows(tp: str, values: Mapping[bytes, bytes]) -> Rows:
    rows = {}
    for key, value in values.items():
        try:
            rows[key.decode()] = decode_parked_flow(key, value)
        except BadRecord as bad:
            raise BadPosition(tp, bad) from None
    return rows


def parked_flows(settings: Settings) -> list[ParkedFlowRow]:
    """All rows, for people; blocks. Raises BadPosition, and what `read_compacted` raises."""
    topic = settings.topics.delivery_positions
    return list(_rows(topic, read_compacted(settings, topic)).values())
