"""All partitions that a worker owns, each with a pipeline of its own."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from processor.core.counts import Counts
from processor.foundation.tasks import watched_task
from processor.pipeline.partition import PartitionPipeline
from processor.pipeline.ports import Fetching
from schemas.kafka import Batch


class Pipeline:
    """Partitions come by `add`, after they were taken over, and go by `release`.

    `submit` never waits: what is full is paused.

    `on_failure` stops the worker: it is called with what kept a released partition from ending.
    """

    def __init__(self, fetching: Fetching, on_failure: Callable[[BaseException], None]) -> None:
        self._fetching, self._on_failure = fetching, on_failure
        self._partitions: dict[int, PartitionPipeline] = {}
        self._paused: set[int] = set()
        self._past = Counts()
        self._ending: set[asyncio.Task[None]] = set()

    def add(self, partitions: Mapping[int, PartitionPipeline]) -> None:
        """Begin with these; they must not be here already."""
        for partition, pipeline in partitions.items():
            assert partition not in self._partitions
            self._partitions[partition] = pipeline
            pipeline.start()

    def begin_at(self, partition: int, position: int) -> None:
        """Read a partition on at a position that is known (PartitionPipeline.begin_at)."""
        if partition in self._partitions:
            self._partitions[partition].begin_at(position)

    def pass_at_once(self, partition: int) -> None:
        """Let a partition's source position pass what is no event (PartitionPipeline.pass_at_once)."""
        if partition in self._partitions:
            self._partitions[partition].pass_at_once()

    def submit(self, batch: Batch) -> None:
        """Hand a batch to its partition; drop one of a revoked partition, which its next owner reads again."""
        pipeline = self._partitions.get(batch.partition)
        if pipeline is None:
            return
        pipeline.submit(batch)
        if pipeline.is_full and batch.partition not in self._paused:
            self._paused.add(batch.partition)
            self._fetching.pause(batch.topic, batch.partition)

    def resume_where_room(self, topic: str, partition: int) -> None:
        """Fetch a partition again where it made progress, and there is room again."""
        if partition in self._paused and not self._partitions[partition].is_full:
            self._paused.discard(partition)
            self._fetching.resume(topic, partition)

    async def release(self, partitions: Iterable[int]) -> None:
        """Stop these, all at once; transactions on their way may end (`PartitionPipeline.close`).

        Returns when nothing of any released partition is under way any more, also of those whose release was cancelled
        before.
        """
        going = [self._partitions.pop(partition) for partition in list(partitions) if partition in self._partitions]
        self._paused.difference_update(partitions)
        for pipeline in going:
            task = watched_task(self._end(pipeline), self._on_failure)
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        while self._ending:
            await asyncio.wait(set(self._ending))

    async def close(self) -> None:
        """Stop and release all partitions."""
        await self.release(list(self._partitions))

    async def _end(self, pipeline: PartitionPipeline) -> None:
        try:
            await pipeline.close()
        finally:
            self._past.add(pipeline.counts)

    @property
    def committed_offsets(self) -> dict[int, int]:
        """Return the first offset of each partition that is not in its state."""
        return {partition: pipeline.committed_offset for partition, pipeline in self._partitions.items()}

    @property
    def misplaced(self) -> dict[int, int]:
        """Events of each partition that belong in another one (I12), since it was taken over."""
        return {partition: pipeline.counts.misplaced for partition, pipeline in self._partitions.items()}

    def forget_flows(self, is_gone: Callable[[str], bool]) -> None:
        """Count flows that are gone all together from now on (Counts.forget_flows)."""
        for counts in (self._past, *(pipeline.counts for pipeline in self._partitions.values())):
            counts.forget_flows(is_gone)

    def counts(self) -> Counts:
        """Return the counts of everything since the worker started."""
        total = Counts()
        total.add(self._past)
        for pipeline in self._partitions.values():
            total.add(pipeline.counts)
        return total
