"""How far parked flows are on `exports`: the topic `delivery-positions`, written and read."""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from processor.foundation.errors import StoppedForOperator
from processor.foundation.settings import Settings
from processor.kafka.reading import read_compacted
from schemas.kafka import BadRecord, ConsumerRecord, TopicPartition
from schemas.parked_flow import ParkedFlowRow
from schemas.wire.delivery_positions import decode_parked_flow, encode_parked_flow

if TYPE_CHECKING:  # `status` reads this topic too, and needs no aiokafka for it
    from processor.kafka.producers import AsyncWriter

READ_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 0.1

Rows = Mapping[str, ParkedFlowRow]
"""By key."""


class BadPosition(StoppedForOperator):
    """A row that this version cannot read: to go on without it would lose what it is about."""

    def __init__(self, place: str, bad: BadRecord) -> None:
        super().__init__(
            f"{place}, {bad}\n  it was written by another version; start that one, or this one's successor"
        )


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
    """Return the rows of these partitions, up to their log ends of now.

    Raises BadPosition, ReadInterrupted, TimeoutError.
    """
    from processor.kafka.assigned_reader import AssignedReader  # noqa: PLC0415  # only a worker has aiokafka at hand

    topic = settings.topics.delivery_positions
    values: dict[int, dict[bytes, bytes]] = {partition: {} for partition in partitions}
    async with asyncio.timeout(READ_SECONDS):
        async with AssignedReader(settings, wait_seconds=_WAIT_SECONDS, answer_seconds=READ_SECONDS) as reader:
            await reader.assign({TopicPartition(topic, partition): 0 for partition in partitions})
            async for records in reader.read_to(await reader.log_ends()):
                for record in records:
                    _keep_last(values[record.partition], record)
    return {partition: _rows(f"{topic}[{partition}]", found) for partition, found in values.items()}


def _keep_last(values: dict[bytes, bytes], record: ConsumerRecord) -> None:
    assert record.key is not None  # every row has one
    values.pop(record.key, None)
    if record.value is not None:
        values[record.key] = record.value


def _rows(place: str, values: Mapping[bytes, bytes]) -> Rows:
    rows = {}
    for key, value in values.items():
        try:
            rows[key.decode()] = decode_parked_flow(key, value)
        except BadRecord as bad:
            raise BadPosition(place, bad) from None
    return rows


def parked_flows(settings: Settings) -> list[ParkedFlowRow]:
    """All rows, for people; blocks. Raises BadPosition, and what `read_compacted` raises."""
    topic = settings.topics.delivery_positions
    return list(_rows(topic, read_compacted(settings, topic)).values())
