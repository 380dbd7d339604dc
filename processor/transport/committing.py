"""The consumer's commits: what is done is committed twice a second, and once more before partitions are revoked.

It leans on these insides of Faust 0.15.3, held by `tests/transport/test_canary.py`: `_filter_tps_with_pending_acks`,
`_new_offset`, `_commit_offsets` and `_commit` say what is committed; `_committed_offset` keeps it; `app` and `_thread`.

The epoch rises first of all, then the owner drains, then the offsets are committed, and only then Faust forgets the
partitions (docs/architecture.md, Transport).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from processor.foundation.tasks import is_being_cancelled
from processor.transport.lasting import LastingTasks, TaskEnded
from processor.transport.owner import DEFAULT_TIMEOUTS, Owner, ReleaseTooSlow, Timeouts

_log = structlog.get_logger(__name__)


class CommittingConsumer(LastingTasks, driver.Consumer):
    """Faust's consumer that commits what `mark_done` names, and drains its owner before it loses partitions.

    `owner` is set by the composition root before the worker starts, `timeouts` may be.
    """

    owner: Owner | None = None
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    epoch = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._done: dict[TP, int] = {}

    def mark_done(self, topic: str, partition: int, next_offset: int) -> None:
        """Note that everything below `next_offset` is done, for a commit within half a second. Never goes back."""
        tp = TP(topic, partition)
        if next_offset > self._done.get(tp, -1):
            self._done[tp] = next_offset

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._done) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: ARG002  # Faust's signature
        assigned = self.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not offsets or not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)
        return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain and commit, then let Faust forget the partitions."""
        async with self._crashing_for_all():
            await self._revoke(revoked)
            await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Have Faust begin its recovery."""
        async with self._crashing_for_all():
            await super().on_partitions_assigned(assigned, generation_id)

    @asynccontextmanager
    async def _crashing_for_all(self) -> AsyncIterator[None]:
        """End the worker where a rebalance fails: aiokafka only logs it, and would go on without a takeover."""
        try:
            yield
        except BaseException as error:
            if not is_being_cancelled() and not self.is_ending:
                await self.crash(error)
            raise

    async def _revoke(self, revoked: set[TP]) -> None:
        self.epoch += 1
        self.stop_flow()
        await self._release(revoked)
        await self._commit_last(self.commit, "not_committed_on_revoke")
        for tp in revoked:
            self._done.pop(tp, None)

    async def _release(self, revoked: set[TP]) -> None:
        if self.owner is None:
            return
        try:
            async with asyncio.timeout(self.timeouts.release) as deadline:
                await self.owner.release(revoked)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ReleaseTooSlow(self.timeouts.release) from None

    async def _commit_last(self, commit: Callable[[], Awaitable[Any]], event: str) -> None:
        """Commit what is done, before partitions go.

        What goes wrong is logged as `event`: their next owner begins from what is durable.
        """
        try:
            async with asyncio.timeout(self.timeouts.last_commit):
                await commit()
        except (asyncio.CancelledError, TimeoutError, TaskEnded) as error:  # the thread that commits may be ending
            if is_being_cancelled():
                raise
            _log.warning(event, reason=repr(error))

    async def on_start(self) -> None:
        """Start, and have the owner start what needs no partitions."""
        if self.owner is not None:
            self.owner.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Drain the owner before the last commit."""
        self.epoch += 1
        self.stop_flow()
        if self.owner is not None:
            await self.owner.drain()
        await self._commit_last(super().on_stop, "not_committed_on_stop")
