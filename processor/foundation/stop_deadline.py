"""A worker that stops is gone after a minute, whatever of it does not end.

A stop waits for libraries: a transaction's end, a commit in the consumer's thread, a producer that is closed. Each of
these waits has a bound of its own, and together they are below STOP_SECONDS; but a library may swallow the cancellation
that a bound means. A worker that stays so has crashed for nobody: it holds its partitions' next owners back until the
group has given up on it, and no supervisor starts it again.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from threading import Timer
from typing import Any, Final, cast

import structlog

STOP_SECONDS: Final = 60.0
_MAX_TASKS: Final = 20
_MAX_CALLS: Final = 5
_log = structlog.get_logger(__name__)


def end_after(seconds: float, loop: asyncio.AbstractEventLoop, end: Callable[[], object]) -> None:
    """Have `end` called where the process is still there so many seconds later; it ends the process.

    A thread of its own calls it.

    The log then names what the main thread does, and where the tasks of `loop` wait that are not done, 20 at most
    (`stop_took_too_long`).
    """
    timer = Timer(seconds, _end, (seconds, loop, end))
    timer.daemon = True
    timer.start()


def _end(seconds: float, loop: asyncio.AbstractEventLoop, end: Callable[[], object]) -> None:
    try:
        calls = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident or 0], limit=_MAX_CALLS)
        tasks = sorted(map(_waits_in, asyncio.all_tasks(loop)))[:_MAX_TASKS]
        _log.error(
            "stop_took_too_long",
            seconds=seconds,
            tasks=tasks,
            main_thread=[f"{call.name}:{call.lineno}" for call in calls],
        )
    finally:
        end()


def _waits_in(task: "asyncio.Task[object]") -> str:
    """The coroutines of a task from the outermost, each with its line: `main:22 > closing_a_producer:9`."""
    names, coroutine = [], cast("Any", task.get_coro())
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        names.append(f"{coroutine.__qualname__}:{frame.f_lineno}")
        coroutine = coroutine.cr_await
    return " > ".join(names) or repr(task.get_coro())
