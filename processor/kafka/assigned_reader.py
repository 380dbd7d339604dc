"""A reader of partitions that are named to it, with aiokafka: to their ends, and on. It commits nothing.

    open ─► assign {partition: offset} ─► log_ends ─► read_to (ends) ─► read, read, …      close

Only what is committed is read. A reader whose broker went away, or whose log lost what came next, raises
ReadInterrupted and is closed: whoever goes on opens another one.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError

from processor.foundation.settings import Settings
from processor.foundation.tasks import is_being_cancelled
from processor.kafka.connection import aiokafka_options
from schemas.kafka import ConsumerRecord, TopicPartition

ANSWER_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 0.2


class ReadInterrupted(Exception):
    """The broker does not answer, or a log has lost what was to be read next; `reason` is the client's error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(repr(error))
        self.reason = repr(error)


class AssignedReader:
    """A reader in an event loop, from `async with` to its end. Every call raises ReadInterrupted.

    `wait_seconds`: how long a read waits for a first record; `answer_seconds`: for other answers; `fetch_bytes`: of a
    partition in one fetch, aiokafka's default where it is None.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wait_seconds: float = WAIT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        fetch_bytes: int | None = None,
    ) -> None:
        self._wait_ms, self._answer_seconds = int(wait_seconds * 1000), answer_seconds
        more: dict[str, Any] = {} if fetch_bytes is None else {"max_partition_fetch_bytes": fetch_bytes}
        self._consumer = AIOKafkaConsumer(
            **aiokafka_options(settings),
            isolation_level="read_committed",
            auto_offset_reset="none",  # what is removed before it was read is told, never jumped over
            request_timeout_ms=int(answer_seconds * 1000),
            fetch_max_wait_ms=self._wait_ms,
            **more,
        )

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect to the broker."""
        try:
            with _interruptions():
                await self._consumer.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections to the broker."""
        with _interruptions():  # aiokafka may raise CancelledError here where nobody cancelled
            await self._consumer.stop()

    async def assign(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Begin at these offsets, or at a log start that lies above one; return the log starts."""
        places = [ClientPartition(*place) for place in offsets]
        with _interruptions():
            self._consumer.assign(places)
            async with asyncio.timeout(self._answer_seconds):
                starts = await self._consumer.beginning_offsets(places)
            for place in places:
                self._consumer.seek(place, max(starts[place], offsets[TopicPartition(*place)]))
        return {TopicPartition(*place): start for place, start in starts.items()}

    async def log_ends(self) -> dict[TopicPartition, int]:
        """Return the last stable offset of each partition that is assigned: no transaction is open below it."""
        with _interruptions():
            async with asyncio.timeout(self._answer_seconds):
                ends = await self._consumer.end_offsets(self._consumer.assignment())
        return {TopicPartition(*place): end for place, end in ends.items()}

    async def positions(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of each partition that is read next: behind the last record and the markers after it."""
        with _interruptions():
            return {place: await self._consumer.position(ClientPartition(*place)) for place in places}

    async def read(self, max_records: int | None = None) -> list[ConsumerRecord]:
        """Return the records of one fetch, in order within each partition; none where none came in time."""
        with _interruptions():
            fetched = await self._consumer.getmany(timeout_ms=self._wait_ms, max_records=max_records)
        return [record for records in fetched.values() for record in records]

    async def read_to(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[list[ConsumerRecord]]:
        """Yield what is read until every partition has reached its end; records beyond it may be among the last."""
        while True:
            positions = await self.positions(ends.keys())
            if all(positions[place] >= end for place, end in ends.items()):
                return
            yield await self.read()


@contextmanager
def _interruptions() -> Iterator[None]:
    """Raise ReadInterrupted for the client's errors, and for a cancellation that is not ours but the client's."""
    try:
        yield
    except (KafkaError, TimeoutError, OSError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        raise ReadInterrupted(error) from error
