"""A worker stops for a gap that it found while it ran, once what it had read before the gap is done.

    the log has lost records ─► told in the log, at once ─► what was read before is processed, or delivered ─► the
    worker stops (exit code 3)

What was read is nowhere else any more: a worker that stopped at once would widen the gap by what it held in memory.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import structlog

from processor.foundation.errors import StoppedForOperator
from processor.transport.owner import Partition
from processor.worker.start_positions import GapFound, gaps_as_one

FINISH_SECONDS: Final = 60.0
"""How long what was read before a gap may take; the next start names what is left of it as part of the gap."""
_log = structlog.get_logger(__name__)


class _Lost(NamedTuple):
    reached: int
    error: StoppedForOperator


class GapStop:
    """The gaps of one worker.

    `on_failure` is called with what stops it; `finish` is asked to be done with a partition soon.
    """

    def __init__(
        self,
        on_failure: Callable[[BaseException], None],
        finish: Callable[[Partition], None],
        finish_seconds: float = FINISH_SECONDS,
    ) -> None:
        self._on_failure, self._finish, self._finish_seconds = on_failure, finish, finish_seconds
        self._done: dict[Partition, int] = {}
        self._lost: dict[Partition, _Lost] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self._stopped = False

    def note_done(self, tp: Partition, next_offset: int) -> None:
        """Note that everything read below an offset is processed, or delivered, and that the next start knows it."""
        self._done[tp] = max(next_offset, self._done.get(tp, 0))
        if tp in self._lost and not self._stopped:
            self._stop_when_done()

    def note_lost(self, tp: Partition, reached: int, error: StoppedForOperator) -> None:
        """Stop with `error` once everything read below `reached` is done, or when that takes too long."""
        if self._stopped:
            return
        if tp not in self._lost:
            fault = str(error).partition("\n")[0]
            _log.error(
                "records_lost",
                fault=fault,
                read_up_to=reached,
                done_up_to=self._done.get(tp),
                stops_within_seconds=self._finish_seconds,
            )
            self._finish(tp)
        self._lost[tp] = _Lost(reached, error)
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._finish_seconds, self._stop)
        self._stop_when_done()

    def forget(self, tps: Iterable[Partition]) -> None:
        """Leave partitions to their next owner, who finds what they have lost."""
        for tp in tps:
            self._done.pop(tp, None)
            self._lost.pop(tp, None)
        if not self._lost:
            self._cancel()

    def _stop_when_done(self) -> None:
        if all(self._done.get(tp, 0) >= lost.reached for tp, lost in self._lost.items()):
            self._stop()

    def _stop(self) -> None:
        self._cancel()
        self._stopped = True
        errors = [lost.error for lost in self._lost.values()]
        gaps = [error for error in errors if isinstance(error, GapFound)]
        self._on_failure(
            gaps_as_one(gaps)
            if len(gaps) == len(errors)
            else next(error for error in errors if not isinstance(error, GapFound))
        )

    def _cancel(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
