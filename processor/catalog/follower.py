"""The compacted topics `flows` and `audiences`, followed for as long as the worker runs.

    loop:  now = t ─► where do the topics end? ─► read up to there ─► the catalog is as of t ─► wait for more, for a
    moment

A topic's end (the last stable offset) never lies inside a transaction, so a change of several flows is in the catalog
whole or not at all: what comes from beyond the end is kept for the next look.

A change acknowledged to its author holds for every event written a second or more later (M2): an event in a batch
fetched at `f` was written before `f`, so the catalog must be as of `f` - 1 s or later. `as_of` waits until it is.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processor.catalog.compiled import Contents
from processor.core.catalog import Catalog
from processor.foundation.settings import Settings
from processor.foundation.tasks import end_task, is_being_cancelled, lasting_task
from processor.kafka.connection import aiokafka_options

LOOK_SECONDS: Final = 0.2
HOLDS_AFTER_SECONDS: Final = 1.0  # contract M2
_ANSWER_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class _Reading(NamedTuple):
    """One connection: what it has read and put, and what it has read beyond the ends that it knew."""

    consumer: AIOKafkaConsumer
    contents: Contents
    waiting: list[tuple[TopicPartition, Any]]


class CatalogFollower:
    """From `start` to `close`.

    `on_failure` is called with what ended it: a record that cannot be read (BadCatalogRecord).

    A broker that is away is waited for: meanwhile `as_of` waits, within a context of `waiting`, and nothing is decided.
    """

    def __init__(
        self,
        settings: Settings,
        on_failure: Callable[[BaseException], None],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._waiting = waiting
        self._flows = TopicPartition(settings.topics.flows, 0)
        self._audiences = TopicPartition(settings.topics.audiences, 0)
        self._settings = settings
        self._on_failure = on_failure
        self._catalog = Contents().catalog
        self._fresh_at = float("-inf")
        self._subscribers: list[Callable[[], None]] = []
        self._refreshed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._told: set[tuple[str, str]] = set()  # of flows that go on as they did

    @property
    def catalog(self) -> Catalog:
        """As it stands; empty before the first look."""
        return self._catalog

    async def as_of(self, fetched_at: float) -> Catalog:
        """The catalog as it stood at most a second before `fetched_at` (monotonic seconds), or later; raises what ended
        the follower.
        """
        if self._fresh_at < fetched_at - HOLDS_AFTER_SECONDS:
            await self._until(fetched_at - HOLDS_AFTER_SECONDS)
        return self._catalog

    def subscribe(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called whenever the catalog has changed, until the returned function is called."""
        self._subscribers.append(notify)
        return lambda: self._subscribers.remove(notify)

    async def reach_end(self) -> None:
        """Return when both topics have been read to the ends that they have now."""
        await self._until(time.monotonic())

    async def start(self) -> None:
        """Begin to follow; returns when both topics have been read to their ends."""
        self._task = lasting_task(self._follow(), self._on_failure)
        await self.reach_end()

    async def close(self) -> None:
        """Stop; once or more."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    async def _until(self, moment: float) -> None:
        with self._waiting():
            await self._until_fresh(moment)
        if self._failure is not None:
            raise self._failure

    async def _until_fresh(self, moment: float) -> None:
        async with self._refreshed:
            await self._refreshed.wait_for(lambda: self._fresh_at >= moment or self._failure is not None)

    async def _follow(self) -> None:
        try:
            while True:
                try:
                    await self._follow_while_connected()
                except (KafkaError, TimeoutError, OSError, asyncio.CancelledError) as error:
                    if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                        raise
                    _log.warning("catalog_not_reachable", error=repr(error))
                    await asyncio.sleep(_RETRY_SECONDS)
        except BaseException as error:
            self._failure = error
            await self._wake()
            raise

    async def _follow_while_connected(self) -> None:
        consumer = AIOKafkaConsumer(
            **aiokafka_options(self._settings),
            isolation_level="read_committed",
            auto_offset_reset="none",  # what is removed before it was read ends the connection: the next one begins anew, and warns
            request_timeout_ms=int(_ANSWER_SECONDS * 1000),
            fetch_max_wait_ms=int(LOOK_SECONDS * 1000),
        )
        try:
            await consumer.start()
            consumer.assign([self._flows, self._audiences])
            await consumer.seek_to_beginning()
            await self._warn_of_removed(consumer)
            reading = _Reading(
                consumer, Contents(), []
            )  # a new one: read again from the beginning, the old one would go back in time
            while True:
                await self._look(reading)
        finally:
            await consumer.stop()

    async def _warn_of_removed(self, consumer: AIOKafkaConsumer) -> None:
        """Compaction never moves where a log begins; a retention setting does, and takes flows with it."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            begins = await consumer.beginning_offsets([self._flows, self._audiences])
        for place, begin in begins.items():
            if begin > 0:
                remedy = (
                    "set cleanup.policy to compact; look at `profile-exporter flows list`, and put your file into force"
                    " again"
                )
                _log.warning("catalog_records_removed", topic=place.topic, first_offset=begin, remedy=remedy)

    async def _look(self, reading: "_Reading") -> None:
        """Read up to where the topics end at the beginning of the look; the catalog is as of then."""
        looked_at = time.monotonic()
        async with asyncio.timeout(_ANSWER_SECONDS):
            ends = await reading.consumer.end_offsets([self._flows, self._audiences])
        while [place for place, end in ends.items() if await reading.consumer.position(place) < end]:
            await self._read(reading)
        self._put(reading, ends)
        if reading.contents.catalog is not self._catalog:
            self._catalog = reading.contents.catalog
            self._warn_of_paths()
            for notify in self._subscribers:
                notify()
        self._fresh_at = looked_at
        await self._wake()
        await self._read(reading)

    async def _read(self, reading: "_Reading") -> None:
        for place, records in (await reading.consumer.getmany(timeout_ms=int(LOOK_SECONDS * 1000))).items():
            reading.waiting.extend((place, record) for record in records)
            _log.info("catalog_changed", topic=place.topic, records=len(records))

    def _put(self, reading: "_Reading", ends: Mapping[TopicPartition, int]) -> None:
        for place, record in reading.waiting:
            if record.offset < ends[place]:
                put = reading.contents.put_flow if place == self._flows else reading.contents.put_audience
                put(record.key or b"", record.value)
        reading.waiting[:] = [(place, record) for place, record in reading.waiting if record.offset >= ends[place]]

    def _warn_of_paths(self) -> None:
        """Say once of each path that was put into force before its notation was refused (contract M5): it most likely
        matches nothing.
        """
        found = {(flow.id, fault) for flow in self._catalog.flows for fault in flow.flow.path_faults}
        for flow_id, fault in sorted(found - self._told):
            _log.warning(
                "flow_path_matches_nothing",
                flow=flow_id,
                fault=fault,
                remedy="put the flow into force again with the right path",
            )
        self._told = found

    async def _wake(self) -> None:
        async with self._refreshed:
            self._refreshed.notify_all()
