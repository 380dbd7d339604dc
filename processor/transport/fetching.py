"""Ask the broker, in the consumer's thread: records with their positions, offsets, and what a log holds.

It leans on these insides, held by `tests/transport/test_canary.py`:

- of Faust 0.15.3: `AIOKafkaConsumerThread._create_worker_consumer`, `_fetch_records`, `_commit` and `_ensure_consumer`;
- of aiokafka: `_isolation_level`, `_fetch_max_wait_ms`, `_fetcher._subscriptions` and
  `_coordinator.fetch_committed_offsets`;
- with the reset policy "none", a fetch below the log start raises OffsetOutOfRangeError and leaves the position where
  it is.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from faust.types import TP

from processor.foundation.tasks import is_being_cancelled
from processor.transport.lasting_thread import LastingConsumerThread
from schemas.kafka import ConsumerRecord

FETCH_WAIT_MS: Final = 100
"""How long a broker holds a fetch that finds nothing: a partition that was paused waits for it at most this long."""
ASKED_AGAIN_SECONDS: Final = 10.0
"""How long a partition is not fetched whose leader did not say what its log holds."""
_log = structlog.get_logger(__name__)


class Fetched(NamedTuple):
    """One fetch: records by partition, every active partition's position after it, and positions outside of the log."""

    records: Mapping[TP, list[ConsumerRecord]]
    positions: Mapping[TP, int]
    outside: Mapping[TP, int] = MappingProxyType({})


class _Fetching(Protocol):
    def is_left_alone(self, tp: TP) -> bool: ...


class BatchConsumerThread(LastingConsumerThread):
    """Faust's consumer thread, reading only what is committed, and reporting positions with the records."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(  # Faust's signature
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109
        max_records: int | None = None,
    ) -> Any:
        # a copy: the main thread changes its own, and aiokafka reads an empty set as "all"
        is_left_alone = cast("_Fetching", self.consumer).is_left_alone
        active = {tp for tp in list(active_partitions) if not is_left_alone(tp)}
        if not active:
            return Fetched({}, {})
        try:
            records = await super()._fetch_records(consumer, active, timeout=timeout, max_records=max_records)
        except OffsetOutOfRangeError as error:
            positions = dict(_positions(consumer, active))
            return Fetched({}, {}, {tp: offset for tp, offset in error.args[0].items() if positions.get(tp) == offset})
        except NoOffsetForPartitionError:  # of a partition that nobody has sought yet
            return Fetched({}, {})
        return Fetched(records, dict(_positions(consumer, active)))

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int | None]:
        """Return the group's offsets; None where nothing was committed."""
        return cast("dict[TP, int | None]", await self.call_thread(self._committed, list(partitions)))

    async def _committed(self, partitions: list[TP]) -> dict[TP, int | None]:
        """Ask for all in one request; aiokafka's own `committed` asks for one partition after the other."""
        asked = [TopicPartition(*tp) for tp in partitions]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(asked)
        return {tp: found[each].offset if each in found else None for tp, each in zip(partitions, asked, strict=True)}

    async def log_bounds(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        """Return the first offset that each log holds, and the one after its last stable record.

        Left out is whose leader does not answer in time. All is one call: the thread has two workers, and one of them
        fetches.
        """
        return cast("dict[TP, tuple[int, int]]", await self.call_thread(self._log_bounds, list(partitions)))

    async def _log_bounds(self, partitions: list[TP]) -> dict[TP, tuple[int, int]]:
        found = await asyncio.gather(*map(self._bounds_of, partitions))
        return {tp: bounds for tp, bounds in zip(partitions, found, strict=True) if bounds is not None}

    async def _bounds_of(self, tp: TP) -> tuple[int, int] | None:
        """Ask the leader what the log holds; return None where it does not answer in time.

        aiokafka would ask again for as long as a request may take, in this thread.
        """
        consumer = self._ensure_consumer()
        try:
            async with asyncio.timeout(self.timeouts.bounds):
                starts, ends = await asyncio.gather(consumer.beginning_offsets([tp]), consumer.end_offsets([tp]))
        except (KafkaError, TimeoutError, asyncio.CancelledError) as error:
            if not _may_pass(error):
                raise
            _log.warning(
                "log_not_reachable",
                topic=tp.topic,
                partition=tp.partition,
                error=repr(error),
                again_in_seconds=ASKED_AGAIN_SECONDS,
            )
            return None
        return starts[tp], ends[tp]

    async def commit_if_assigned(self, offsets: Mapping[TP, int]) -> bool:
        """Commit `offsets` in the group's name; return False where it refuses, as the partitions are not ours."""
        return cast("bool", await self.call_thread(self._commit_if_assigned, dict(offsets)))

    async def _commit_if_assigned(self, offsets: dict[TP, int]) -> bool:
        try:
            await self._ensure_consumer().commit({TopicPartition(*tp): offset for tp, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError) as error:
            _log.info("partitions_not_ours", partitions=sorted(tp.partition for tp in offsets), error=repr(error))
            return False
        return True


def _may_pass(error: BaseException) -> bool:
    """Return whether a leader that failed so may answer later; aiokafka cancels its calls where a connection closes."""
    if is_being_cancelled():
        return False
    return not isinstance(error, KafkaError) or error.retriable or isinstance(error, KafkaTimeoutError)


def _positions(consumer: Any, partitions: Iterable[TP]) -> Iterator[tuple[TP, int]]:
    """Yield positions of partitions that are assigned and have one; for the consumer's thread only."""
    subscription = consumer._fetcher._subscriptions.subscription
    if subscription is None or subscription.assignment is None:
        return
    assignment = subscription.assignment
    for tp in partitions or ():
        if tp in assignment.tps:
            state = assignment.state_value(tp)
            if state is not None and state.has_valid_position:
                yield tp, state.position
