"""The compacted topics `flows` and `audiences`, followed for as long as the worker runs.

    loop:  now = t ─► where do the logs end? ─► read up to there ─► the catalog is as of t ─► wait a moment for more

A log end (the last stable offset) never lies inside a transaction, so a change of several flows is in the catalog whole
or not at all: what comes from beyond the end is kept for the next look.

A change acknowledged to its author holds for every event written a second or more later (M2): an event in a batch
fetched at `f` was written before `f`, so the catalog must be as of `f` - 1 s or later. `as_of` waits until it is.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import structlog

from processor.catalog.compiled import compile_catalog
from processor.catalog.state import ControlState, Topic, TopicRecord
from processor.core.catalog import Catalog
from processor.foundation.settings import Settings
from processor.foundation.tasks import end_task, lasting_task
from processor.kafka.assigned_reader import AssignedReader, ReadInterrupted
from schemas.kafka import ConsumerRecord, TopicPartition

LOOK_SECONDS: Final = 0.2
HOLDS_AFTER_SECONDS: Final = 1.0  # contract M2
_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Connection:
    """A connection: the state that was read by it, and the records from beyond the ends that were known."""

    reader: AssignedReader
    state: ControlState = field(default_factory=ControlState)
    ahead: list[ConsumerRecord] = field(default_factory=list)


class CatalogFollower:
    """A follower of flows and audiences, from `start` to `close`.

    `on_failure` is called with what ended it: a key's last record that cannot be read (BadRecord).

    A broker that is away is waited for: meanwhile `as_of` waits, within a context of `waiting`, and nothing is decided.
    """

    def __init__(
        self,
        settings: Settings,
        on_failure: Callable[[BaseException], None],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._waiting = waiting
        self._topics = {
            TopicPartition(settings.topics.flows, 0): Topic.FLOWS,
            TopicPartition(settings.topics.audiences, 0): Topic.AUDIENCES,
        }
        self._settings = settings
        self._on_failure = on_failure
        self._catalog = compile_catalog(ControlState())
        self._fresh_at = float("-inf")
        self._subscribers: list[Callable[[], None]] = []
        self._refreshed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._reported_paths: set[tuple[str, str]] = set()  # of flows that go on as they did

    @property
    def catalog(self) -> Catalog:
        """Return the catalog as it stands; empty before the first look."""
        return self._catalog

    async def as_of(self, fetched_at: float) -> Catalog:
        """Return the catalog as it stood at most a second before `fetched_at`, or later. Home of M2.

        `fetched_at` in monotonic seconds. Raises what ended the follower.
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
        """Stop following; once or more."""
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
                except ReadInterrupted as interrupted:
                    _log.warning("catalog_not_reachable", error=interrupted.reason)
                    await asyncio.sleep(_RETRY_SECONDS)
        except BaseException as error:
            self._failure = error
            await self._wake()
            raise

    async def _follow_while_connected(self) -> None:
        async with AssignedReader(self._settings, wait_seconds=LOOK_SECONDS) as reader:
            _warn_of_removed(await reader.assign(dict.fromkeys(self._topics, 0)))
            # The state is a new one: read again from the beginning, the old one would go back in time.
            connection = _Connection(reader)
            while True:
                await self._look(connection)

    async def _look(self, connection: _Connection) -> None:
        """Read up to where the logs end at the beginning of the look; the catalog is as of then."""
        looked_at = time.monotonic()
        ends = await connection.reader.log_ends()
        async for records in connection.reader.read_to(ends):
            _keep(connection, records)
        if found := self._take_below(connection, ends):
            connection.state = connection.state.after(found)
            self._catalog = compile_catalog(connection.state)
            self._warn_of_paths()
            for notify in self._subscribers:
                notify()
        self._fresh_at = looked_at
        await self._wake()
        _keep(connection, await connection.reader.read())

    def _take_below(self, connection: _Connection, ends: Mapping[TopicPartition, int]) -> list[TopicRecord]:
        """Take the records below `ends` out of those that were read."""
        found: list[TopicRecord] = []
        left: list[ConsumerRecord] = []
        for record in connection.ahead:
            place = TopicPartition(record.topic, record.partition)
            if record.offset < ends[place]:
                found.append((self._topics[place], record))
            else:
                left.append(record)
        connection.ahead = left
        return found

    def _warn_of_paths(self) -> None:
        """Warn once of each path that was put into force before its notation was refused (M5).

        Such a path most likely matches nothing.
        """
        found = {(flow.id, fault) for flow in self._catalog.flows for fault in flow.flow.path_faults}
        for flow_id, fault in sorted(found - self._reported_paths):
            _log.warning(
                "flow_path_matches_nothing",
                flow=flow_id,
                fault=fault,
                remedy="put the flow into force again with the right path",
            )
        self._reported_paths = found

    async def _wake(self) -> None:
        async with self._refreshed:
            self._refreshed.notify_all()


def _keep(connection: _Connection, records: Collection[ConsumerRecord]) -> None:
    connection.ahead.extend(records)
    for topic, number in Counter(record.topic for record in records).items():
        _log.info("catalog_changed", topic=topic, records=number)


def _warn_of_removed(starts: Mapping[TopicPartition, int]) -> None:
    """Warn where a log starts late: compaction never moves its start; a retention setting does, and takes flows."""
    for place, start in starts.items():
        if start > 0:
            remedy = (
                "set cleanup.policy to compact; look at `profile-exporter flows list`, and put your file into force"
                " again"
            )
            _log.warning("catalog_records_removed", topic=place.topic, first_offset=start, remedy=remedy)
