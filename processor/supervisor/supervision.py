"""Start worker processes, start again those that fail, and stop all in order: the shell around `decisions`.

for each process:  start ─► it ends ─► decide_after ─┬─► wait ─► start again
                     │                               └─► stop all
                     └─ all are to stop ─► SIGTERM ─► it ends, or is killed after KILL_SECONDS
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

import structlog

from processor.foundation.errors import CommandError
from processor.foundation.stop_deadline import STOP_SECONDS
from processor.foundation.supervised import MORE_SECONDS
from processor.supervisor.decisions import End, StopAll, decide_after, describe_end, find_fault, pick_reason

KILL_SECONDS: Final = STOP_SECONDS + MORE_SECONDS
"""A worker's own deadline ends it before that."""
_log = structlog.get_logger(__name__)


class Process(Protocol):
    """A process that runs."""

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        ...

    def stop(self) -> None:
        """Tell it to stop in order."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    async def wait(self) -> int:
        """Return its exit code, minus the number of a signal, when it has ended."""
        ...

    def find_words(self) -> str | None:
        """Return why it ended, in the words of its last line; None where there are none."""
        ...


StartProcess = Callable[[int], Awaitable[Process]]
"""Starts the process of a number, counted from 1; raises OSError where the system starts none."""


class Supervision:
    """So many processes, from `run` until all of them have ended."""

    def __init__(self, start: StartProcess, count: int, kill_seconds: float = KILL_SECONDS) -> None:
        self._start, self._count, self._kill_seconds = start, count, kill_seconds
        self._stopping = asyncio.Event()
        self._running: set[int] = set()
        self._reasons: list[CommandError] = []

    async def run(self) -> CommandError | None:
        """Keep all processes running until they are to stop; return what was wrong, None after a stop on request."""
        async with asyncio.TaskGroup() as group:
            for process in range(1, self._count + 1):
                group.create_task(self._keep(process))
        return pick_reason(self._reasons)

    def request_stop(self, because: str) -> None:
        """Have all processes stop; once more, it changes nothing, and says who still runs."""
        event = "processes_still_stop" if self._stopping.is_set() else "processes_stop"
        _log.info(event, because=because, processes=sorted(self._running))
        self._stopping.set()

    async def _keep(self, number: int) -> None:
        """Start a process, and start it again as decided, until all are to stop."""
        short_lives = 0
        while not self._stopping.is_set():
            end = await self._live(number, short_lives)
            if end is None:
                return
            decision = decide_after(end)
            if isinstance(decision, StopAll):
                self._reasons.append(decision.reason)
                self.request_stop(f"process {number} {describe_end(end.code)}")
                return
            short_lives, after = decision.short_lives, decision.after_seconds
            _log.warning("process_starts_again", process=number, exit_code=end.code, after_seconds=after)
            await self._wait_or_stop(after)

    async def _live(self, number: int, short_lives: int) -> End | None:
        """Return how a process ended by itself; None where it ended because it was told to stop."""
        started_at = self._now()
        try:
            process = await self._start(number)
        except OSError as error:
            _log.error("process_not_started", process=number, error=str(error))
            return End(number, CommandError.exit_code, 0.0, short_lives=short_lives)
        _log.info("process_starts", process=number, pid=process.pid)
        self._running.add(number)
        ending = asyncio.create_task(process.wait())
        await self._until_ended_or_stopping(ending)
        is_told = not ending.done()
        killed_after = await self._stop(number, process, ending) if is_told else None
        end = End(number, await ending, self._now() - started_at, process.find_words(), short_lives)
        self._running.discard(number)
        if is_told:
            self._note_stop(end, killed_after)
        return None if is_told else end

    async def _stop(self, number: int, process: Process, ending: "asyncio.Task[int]") -> float | None:
        """Tell a process to stop, and kill it when it does not; return after how many seconds it was killed."""
        process.stop()
        if (await asyncio.wait({ending}, timeout=self._kill_seconds))[0]:
            return None
        _log.error("process_killed", process=number, after_seconds=self._kill_seconds)
        process.kill()
        return self._kill_seconds

    def _note_stop(self, end: End, killed_after: float | None) -> None:
        _log.info("process_stopped", process=end.process, exit_code=end.code)
        fault = find_fault(end, killed_after)
        if fault is not None:
            self._reasons.append(fault)

    async def _until_ended_or_stopping(self, ending: "asyncio.Task[int]") -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _wait_or_stop(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
