"""Run worker processes under a supervisor, from the settings to the exit code."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NoReturn, cast

import structlog

from processor.foundation import log
from processor.foundation.errors import CommandError
from processor.foundation.last_line import ending_with_last_line
from processor.foundation.log_streams import print_events, raw_stderr, writes_json
from processor.foundation.settings import Settings
from processor.foundation.stop_signals import call_on_stop, ignore_stops
from processor.supervisor.child import ChildProcess
from processor.supervisor.log_lines import mark_line, tell_dropped
from processor.supervisor.log_writer import LogWriter, WriterStream
from processor.supervisor.orphans import wait_for_orphans
from processor.supervisor.own import (
    ARGUMENTS,
    environment_of,
    folder_of_processes,
    lock_processes,
    name_directories,
)
from processor.supervisor.program import program_words
from processor.supervisor.supervision import Supervision

COMMAND: Final = (*program_words(), *ARGUMENTS)
"""What each process runs: this program as it was started, with the arguments of one worker."""
_log = structlog.get_logger(__name__)


def run_processes(
    settings: Settings,
    count: int,
    command: Sequence[str] = COMMAND,
    exit_process: Callable[[int], NoReturn] = os._exit,
) -> NoReturn:
    """Run so many processes of `command` until they are stopped, and end this process.

    0 stopped on request    1 one did not stop in order    2 wrong settings or topics    3 stopped for the operator
    """
    code = 0
    as_json = writes_json(settings.log_format)
    with _writing_by_thread(as_json=as_json) as writer:
        print_events(settings.log_format)
        log.configure(settings)
        try:
            with ending_with_last_line():
                _supervise(settings, count, command, writer, as_json=as_json)
        except SystemExit as ended:
            code = cast("int", ended.code)
    exit_process(code)


@contextmanager
def _writing_by_thread(*, as_json: bool) -> Iterator[LogWriter]:
    """Have a thread write whatever this process writes to stderr, and wait for it at the end."""
    stdout, stderr = sys.stdout, sys.stderr
    writer = LogWriter(stderr.fileno(), partial(tell_dropped, as_json=as_json, wall_clock=time.time))
    sys.stderr = WriterStream(writer, stderr)
    try:
        yield writer
    finally:
        writer.close()
        sys.stdout, sys.stderr = stdout, stderr


def _supervise(settings: Settings, count: int, command: Sequence[str], writer: LogWriter, *, as_json: bool) -> None:
    """Run the processes until all have ended; raise CommandError unless they were stopped on request."""
    had_processes = folder_of_processes(settings.data_dir).exists()
    lock_processes(settings.data_dir)
    if had_processes:
        wait_for_orphans(settings.data_dir, count)
    names = name_directories(settings.data_dir, count)
    _log.info("supervisor_starts", processes=count, workers=names)
    start = partial(_start, settings, command, writer, os.dup(raw_stderr().fileno()), as_json=as_json)
    reason = asyncio.run(_run(Supervision(start, count)))
    if reason is not None:
        raise reason


async def _run(supervision: Supervision) -> CommandError | None:
    """Hear stop signals until all processes have ended; from then on none changes the exit code."""
    loop = asyncio.get_running_loop()
    call_on_stop(lambda: loop.call_soon_threadsafe(supervision.request_stop, "a stop signal"))
    reason = await supervision.run()
    ignore_stops()
    return reason


async def _start(
    settings: Settings, command: Sequence[str], writer: LogWriter, stderr: int, process: int, *, as_json: bool
) -> ChildProcess:
    def hand_on(line: bytes) -> None:
        writer.write(mark_line(line, process, as_json=as_json, wall_clock=time.time))

    return await ChildProcess.start(
        command,
        environment_of(process, settings, "json" if as_json else "console"),
        stderr,
        hand_on,
        as_json=as_json,
    )
