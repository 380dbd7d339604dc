"""The ownership of a worker's partitions: taken over and released as docs/architecture.md ("Takeover") has it.

    take over   wait for the catalog ─► fence each partition's log ─► restore its rows ─► process from the source
                position on
    release     stop processing and delivery of the partitions ─► close their stores; the consumer then commits
    drain       the same for everything, and stop what runs beside

Called by the transport (as `transport.owner.Owner`), by recovery (as `state.recovery.Takeover`) and by the agents.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from processor.foundation.fault_points import fault_point
from processor.foundation.revocable import RevocableWork
from processor.pipeline.ports import PartitionLog
from processor.transport.owner import Partition
from processor.worker.build import Parts
from processor.worker.waits import CATALOG
from schemas.kafka import Batch
from state.partition import PartitionStore

_log = structlog.get_logger(__name__)


class Ownership:
    """The ownership of one worker's partitions, from the first takeover to `drain`; it builds nothing by itself."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._topics = parts, parts.settings.topics
        self._assigned = RevocableWork()
        self._changing = asyncio.Lock()  # which partitions are here

    # what the agents call ------------------------------------------------------------------------------------------

    def process(self, batch: Batch) -> None:
        """Process profile events, from the agent `process_profile_events`."""
        if batch.epoch == self._parts.consumer.epoch:
            self._parts.pipeline.submit(batch)

    def deliver(self, batch: Batch) -> None:
        """Deliver export records, from the agent `deliver_exports`.

        None of a partition that was not taken over: who is parked there is not known.
        """
        if batch.epoch == self._parts.consumer.epoch and self._parts.sink.has(batch.partition):
            self._parts.feed.submit(batch)

    # takeover ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start what needs no partitions, and wait for the group to assign some; once or more."""
        self._parts.services.start()

    async def take_over(self, partitions: Iterable[int]) -> None:
        """Make partitions ours, whoever had them before; what was ours until now is dropped first.

        Raises PartitionsRevoked.

        May be cancelled at any point, and called again: the next one waits until this one has released what it took.
        """
        await self._assigned.run(self._take_over(sorted(partitions)))

    async def _take_over(self, ours: Sequence[int]) -> None:
        parts = self._parts
        self.start()
        parts.group_waits.end_assignment()
        async with self._changing:
            parts.view.has_taken_over = False
            await parts.services.until_started()
            await self._release_all_sources()
            with parts.waits.on(CATALOG):
                await parts.catalog.reach_end()
            await self._fence_and_restore({partition: parts.new_log(partition) for partition in ours})
            parts.view.has_taken_over = True
            parts.reports.report_now()
        _log.info("partitions_taken_over", partitions=ours, source_positions=parts.pipeline.committed_offsets)

    async def _fence_and_restore(self, logs: Mapping[int, PartitionLog]) -> None:
        parts = self._parts
        try:
            await asyncio.gather(*(log.take_over() for log in logs.values()))
            fault_point("fenced")
            not_shown = await parts.stores.restore(logs, parts.reports.report_now)
            await asyncio.gather(*(logs[partition].complete_commit() for partition in not_shown))
            fault_point("restored")
            pipelines = parts.partitions.build_partitions(parts.stores.partitions, logs)
        except BaseException:
            try:
                await asyncio.gather(*(log.close() for log in logs.values()))
            finally:
                parts.stores.close(list(logs))
            raise
        parts.pipeline.add(pipelines)

    # the transport's Owner -----------------------------------------------------------------------------------------

    async def start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Return where to begin; the changelog is not fetched by the group's consumer.

        Raises what stops the worker for the operator, PartitionsRevoked.
        """
        return await self._assigned.run(self._start_positions(partitions))

    async def _start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        parts, names = self._parts, self._topics
        stores = dict(parts.stores.partitions)
        tps = [tp for tp in partitions if tp.topic in (names.profile_events, names.exports)]
        with parts.waits.on("the leaders of partitions and the group's coordinator, for offsets to begin at"):
            starts, logs = await parts.log_positions.find_starts(tps, parts.parked_takeover.gaps)
        positions = {tp: start.position for tp, start in starts.items() if self._begins(tp, start.position, stores)}
        exports = {tp: position for tp, position in positions.items() if tp.topic == names.exports}
        with parts.waits.on("Kafka, to read and write the rows of parked flows"):
            not_ours = exports.keys() - await parts.parked_takeover.open(exports, logs)
        return {tp: position for tp, position in positions.items() if tp not in not_ours}

    def _begins(self, tp: Partition, position: int, stores: Mapping[int, PartitionStore]) -> bool:
        """Return whether a partition is still ours as it was when `stores` were; processing begins there then."""
        if tp.topic != self._topics.profile_events:
            return True
        store = self._parts.stores.partitions.get(tp.partition)
        if store is None or store is not stores.get(tp.partition):
            return False  # another rebalance took it away meanwhile, and its takeover seeks again
        self._parts.pipeline.begin_at(tp.partition, position)
        if store.source_position is not None:  # a crash may have left the group's offset behind
            self._parts.consumer.mark_done(*tp, store.source_position.next_offset)
        return True

    async def positions_in_log(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int | None]:
        """Return where to read on, where a log may have lost what follows; None where it has, and the worker stops."""
        with self._parts.waits.on("the leaders of partitions, for what their logs hold"):
            return await self._parts.log_positions.find_in_log(reached)

    async def release(self, partitions: Iterable[Partition]) -> None:
        """Stop the pipelines and the delivery of these partitions.

        Nothing of them is written when it returns, or the broker refuses it (exactly_once).
        """
        parts, tps = self._parts, list(partitions)
        parts.gap_stop.forget(tps)
        exports = [tp.partition for tp in tps if tp.topic == self._topics.exports]
        sources = [tp.partition for tp in tps if tp.topic == self._topics.profile_events]
        parts.feed.forget(exports)
        parts.view.has_taken_over = False
        parts.group_waits.begin_assignment()
        await self._assigned.end()  # before anything that it reads or writes is closed
        async with self._changing:
            await asyncio.gather(parts.sink.release(exports), self._release_sources(sources))

    async def _release_sources(self, partitions: Sequence[int]) -> None:
        await self._parts.pipeline.release(partitions)
        self._parts.stores.close(partitions)

    async def _release_all_sources(self) -> None:
        await self._parts.pipeline.close()
        self._parts.stores.close_all()

    async def drain(self) -> None:
        """Stop everything; the consumer commits afterwards what was done. One part's failure does not keep the others.

        Where a takeover does not end, its stores are left open: the process ends with them.
        """
        services = self._parts.services
        services.begin_to_stop()
        failures: list[object] = list(await asyncio.gather(self._assigned.close(), return_exceptions=True))
        ends = [services.stop_delivery(range(self._parts.settings.partitions))]
        if not any(failures):
            ends.append(self._release_all_for_good())
        await services.stop_starting()
        failures += await asyncio.gather(*ends, services.stop_reports(), return_exceptions=True)
        for error in failures:
            if isinstance(error, BaseException):
                self._parts.on_failure(error)
        await services.stop()

    async def _release_all_for_good(self) -> None:
        async with self._changing:
            await self._release_all_sources()
