"""The consumer that a changelog is read with: aiokafka's, without a group, or what stands for it in a test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition


class ChangelogConsumer(Protocol):
    """The part of AIOKafkaConsumer that reads a changelog; all of it is aiokafka's."""

    async def start(self) -> None:
        """Connect to the broker; raises KafkaError."""

    async def stop(self) -> None:
        """Close the connections to the broker."""

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the log start offset of each partition."""
        ...

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return each partition's last stable offset, or with `read_uncommitted` its high watermark."""
        ...

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions from now on, and no others."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read a partition on at an offset."""

    def pause(self, *partitions: TopicPartition) -> None:
        """Read no more of these partitions until they are assigned anew."""

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset at which the next record is read."""
        ...

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return the records that have come, or come within `timeout_ms`."""
        ...


OpenConsumer = Callable[..., ChangelogConsumer]
"""A consumer that is not started, made with AIOKafkaConsumer's arguments."""


def kafka_consumer(**options: Any) -> ChangelogConsumer:
    """Make a consumer of the broker, not started."""
    consumer: ChangelogConsumer = AIOKafkaConsumer(**options)
    return consumer


@asynccontextmanager
async def opened(open_consumer: OpenConsumer, **options: Any) -> AsyncIterator[ChangelogConsumer]:
    """Open and start a consumer; it is stopped when the context ends, also where its start failed or was cancelled."""
    consumer = open_consumer(**options)
    try:
        await consumer.start()
        # Before its tasks had their first step, aiokafka's `stop` raises CancelledError, and leaves connections open.
        await asyncio.sleep(0)
        yield consumer
    finally:
        await consumer.stop()
