"""The consumer: batches out, each with the epoch it was fetched in, and our own start positions.

It leans on these insides of Faust 0.15.3, held by `tests/transport/test_canary.py`:

- `Consumer._drain_messages(fetcher)` is the loop that feeds `callback`; `_read_offset`, `_paused_partitions`,
  `flow_active`, `can_resume_flow`, `suspend_flow` and `_stopped` steer it; `_wait_next_records` calls `getmany` of the
  thread (`_thread`) for what is not paused;
- `perform_seek` runs at the end of every rebalance, after `Recovery`.

Records fetched across a rebalance are dropped and read again: the epoch is stamped before the fetch, and after the flow
resumed.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from aiokafka.errors import IllegalStateError
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from processor.foundation.revocable import PartitionsRevoked
from processor.transport.committing import CommittingConsumer
from processor.transport.fetching import BatchConsumerThread, Fetched
from processor.transport.lease import Lease
from processor.transport.log_position import LogPositionCheck
from processor.transport.owner import SeekTooSlow
from schemas.kafka import Batch

_FEW_RECORDS: Final = 200
_AFTER_FEW_SECONDS: Final = 0.005
"""The pause after a fetch of few records: at 5,000 events/s a fetch would bring five, and cost more than deciding them.
"""
_FETCH_SECONDS: Final = 0.5
_UNSETTLED_SECONDS: Final = 0.1
"""The pause after a fetch that found no position: nobody has said yet where to read, or the broker contradicts itself.
"""


class BatchConsumer(CommittingConsumer):
    """Faust's consumer, with batches for messages. `lease` holds while the group counts on this worker."""

    lease: Lease

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._log_positions = LogPositionCheck(self)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        self.lease = Lease(self.app.conf.broker_session_timeout)
        thread = BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.lease = self.lease
        return thread

    @property
    def _batch_thread(self) -> BatchConsumerThread:
        return cast("BatchConsumerThread", self._thread)

    # what is fetched -----------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        def stopping() -> bool:
            return bool(self._stopped.is_set() or fetcher._stopped.is_set())

        try:
            while not stopping():
                await self._drain_once(stopping)
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _drain_once(self, stopping: Any) -> None:
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
            return
        epoch = self.epoch
        fetched, _ = await self._wait_next_records(_FETCH_SECONDS)
        if stopping():
            return
        if epoch != self.epoch:  # fetched across a rebalance: the position moved past records that nobody will process
            if self.flow_active:
                await self._seek_again()
            return
        pause = 0.0
        if isinstance(fetched, Fetched):
            await self._deliver(fetched, epoch)
            for tp, position in (await self._log_positions.leave_outside(fetched.outside, epoch)).items():
                await self._hand_on(Batch(tp.topic, tp.partition, (), position, epoch, time.monotonic()))
            pause = _pause_after(fetched)
        await asyncio.sleep(pause)

    async def _deliver(self, fetched: Fetched, epoch: int) -> None:
        """Hand on all that was fetched, also of a partition paused meanwhile: its position is past it already."""
        fetched_at = time.monotonic()
        for tp, position in fetched.positions.items():
            records = fetched.records.get(tp, ())
            before = self._read_offset[tp]
            if not records and position == before:
                continue
            first = records[0].offset if records else position
            if before is not None and before < first and not await self._log_positions.lost_nothing(tp, before, epoch):
                continue
            if epoch != self.epoch:
                return  # everything is read again: perform_seek ends every rebalance
            await self._hand_on(Batch(tp.topic, tp.partition, records, position, epoch, fetched_at))

    async def _hand_on(self, batch: Batch) -> None:
        tp = TP(batch.topic, batch.partition)
        await self.wait_first(self.callback(self._message(tp, batch)), self.suspend_flow.wait())
        if batch.epoch == self.epoch:
            self._read_offset[tp] = batch.position

    def _message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=batch.position,
            timestamp=time.time(),
            timestamp_type=0,
            headers=[],
            key=b"",
            value=cast("bytes", batch),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition; what is fetched already still comes."""
        self.pause_partitions({TP(topic, partition)})

    def resume(self, topic: str, partition: int) -> None:
        """Fetch a partition again, if it is still assigned."""
        tp = TP(topic, partition)
        if tp in self._paused_partitions:
            self.resume_partitions({tp})

    def is_left_alone(self, tp: TP) -> bool:
        """Return whether a partition is not fetched for now, as its leader did not answer; callable in any thread."""
        return self._log_positions.is_left_alone(tp)

    # where it begins -----------------------------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Go to where the owner says; a group offset that an operator moved changes nothing."""
        assert self.owner is not None
        epoch, assignment = self.epoch, self.assignment()
        try:
            async with asyncio.timeout(self.timeouts.seek) as deadline:
                positions = await self.owner.start_positions(assignment)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise SeekTooSlow(assignment, self.timeouts.seek) from None
        if epoch != self.epoch:
            raise PartitionsRevoked
        self._read_offset.update(positions)
        self._committed_offset.clear()
        self._log_positions.clear()
        await self.seek_wait(positions)
        self._read_offset.update(positions)  # seek_wait forgets an offset of 0

    async def _seek_again(self) -> None:
        """Read again what was fetched across a rebalance; where another one begins meanwhile, its takeover seeks."""
        with suppress(PartitionsRevoked, IllegalStateError):
            await self.perform_seek()

    async def go_to(self, positions: Mapping[TP, int], epoch: int) -> bool:
        """Read on at `positions`; return whether the partitions are still assigned then."""
        try:
            if positions:
                await self.seek_wait(positions)
        except IllegalStateError:
            return False  # they are being revoked
        if epoch != self.epoch:
            return False
        self._read_offset.update(positions)  # seek_wait forgets an offset of 0
        return True

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int | None]:
        """Return the group's offsets; None where nothing was committed."""
        return await self._batch_thread.committed(partitions)

    async def log_bounds(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        """Return the first offset that each log holds, and the one after its last stable record.

        Left out is whose leader does not answer in time.
        """
        return await self._batch_thread.log_bounds(partitions)

    async def commit_if_assigned(self, offsets: Mapping[TP, int]) -> bool:
        """Commit `offsets` in the group's name; return False where it refuses, as the partitions are not ours."""
        return await self._batch_thread.commit_if_assigned(offsets)

    # what ends it --------------------------------------------------------------------------------------------------

    async def on_task_error(self, exc: BaseException) -> None:
        """End the worker, as an agent failed; Faust would start the agent again, behind the batch it failed at."""
        await self.crash(exc)

    async def verify_all_partitions_active(self) -> None:
        """Watch nothing: Faust's watch for stalls knows neither batches nor paused changelogs.

        It would wake for each partition, every few seconds, for nothing; `profile-exporter status` shows ours.
        """


def _pause_after(fetched: Fetched) -> float:
    """Return the seconds until the next fetch."""
    if not fetched.positions:
        return _UNSETTLED_SECONDS
    return _AFTER_FEW_SECONDS if 0 < sum(map(len, fetched.records.values())) < _FEW_RECORDS else 0.0
