"""Takeover in the place of Faust's recovery: fence, restore in bulk, start at the source position.

    rebalance ─► Faust: on_rebalance ─► signal ─► Takeover.take_over(partitions) ─► perform_seek ─► flow resumes
                                          ▲ another rebalance begins: all over again

It leans on these insides of Faust 0.15.3, held by `tests/state/test_canary.py`: `tables.recovery.Recovery` with
`_slurp_changelogs`, `_restart_recovery`, `signal_recovery_start`, `_generation_id`, `_wait`, `_set_recovery_started`,
`on_recovery_completed`, `active_tps`, `standby_tps`; the exceptions RebalanceAgain and ServiceStopped;
`TableManager._recovery`, plugged in by the public setting `TableManager`; what `TableManager.on_start` does,
`_update_channels` and `recovery.start`.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar, Final, Protocol, cast

import structlog
from aiokafka.errors import IllegalStateError
from faust.tables import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from mode import Service

AGAIN_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class Takeover(Protocol):
    """The owner that makes partitions ours."""

    async def take_over(self, partitions: Iterable[int]) -> None:
        """Fence earlier owners, restore, and be ready to process from the source position.

        May be cancelled, and called again. Raises one of `TakeoverRecovery.revocations` where the group revokes them
        meanwhile: another takeover follows.
        """


class TakeoverRecovery(Recovery):
    """Faust's recovery service with its two tasks replaced; its signals and its last step are Faust's."""

    revocations: ClassVar[tuple[type[Exception], ...]] = ()
    """The errors by which a takeover says that the group has revoked the partitions."""

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Nothing is ever put on Faust's changelog queue."""
        await self._stopped.wait()

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(cast("Any", self.signal_recovery_start)):
                return
            self.signal_recovery_start.clear()
            try:
                await self._recover_once(self._generation_id)
            except (RebalanceAgain, IllegalStateError, *self.revocations):
                _log.info("rebalanced_during_takeover")
            except ServiceStopped:
                if not self.should_stop:
                    raise
                return
            except asyncio.CancelledError:
                if self.should_stop or _is_being_cancelled():
                    raise
                # By aiokafka, as when a connection closes.
                _log.warning("takeover_interrupted", again_in_seconds=AGAIN_SECONDS)
                await self.sleep(AGAIN_SECONDS)
                self.signal_recovery_start.set()

    async def _recover_once(self, generation: int) -> None:
        self._set_recovery_started()
        takeover = cast("TakeoverTables", self.tables).takeover
        assert takeover is not None
        await self._wait(takeover.take_over({place.partition for place in self.active_tps}))
        await self._wait(self.on_recovery_completed(generation))

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ARG002, ASYNC109  # Faust's signature
        """Wait as Faust does, without its time-out, by which the worker would do nothing, for ever.

        The worker would then do nothing, for ever. What is waited for here raises by itself when it takes too long
        (BatchConsumer.perform_seek, restore).
        """
        await super()._wait(coro)


def _is_being_cancelled() -> bool:
    """Return whether somebody asks the current task to end; aiokafka cancels also what nobody asked to."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class TakeoverTables(TableManager):
    """Faust's table manager with our recovery; `takeover` is set by the composition root before the worker starts."""

    recovery_service: ClassVar[type[TakeoverRecovery]] = TakeoverRecovery
    takeover: Takeover | None = None

    async def on_start(self) -> None:
        """As Faust's, without its second of sleep before: our tables are all there when the app is made."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made when it is first asked for."""
        if self._recovery is None:
            self._recovery = self.recovery_service(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
