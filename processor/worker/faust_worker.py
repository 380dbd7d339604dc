"""The Faust worker: checks before it starts, and exit codes that mean something.

0 stopped on request    1 failed: start it again    2 wrong settings or topics    3 stopped for the operator
"""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn, cast

import faust
import structlog
from mode import ServiceT

from processor.foundation.errors import CommandError
from processor.foundation.last_line import ending_with_last_line, write_last_line
from processor.foundation.log_streams import writes_json
from processor.foundation.stop_deadline import STOP_SECONDS, end_after
from processor.foundation.stop_signals import STOP_SIGNALS, ignore_stops
from processor.worker.exit_codes import FAILED, FOR_OPERATOR, exit_code_of, with_remedy
from processor.worker.faust_app import ProfileExporter
from processor.worker.hot_path import FORM
from processor.worker.preconditions import find_environment

GC_THRESHOLDS: Final = (200_000, 20, 100)
"""Collections of young objects are rare: events leave nothing in cycles, and the default costs 5 µs an event
(measured).
"""
_log = structlog.get_logger(__name__)


class Worker(faust.Worker):
    """`faust worker` with our checks and exit codes; plugged in by Faust's setting `Worker`.

    Its app is a `ProfileExporter`.
    """

    def __init__(
        self,
        app: ProfileExporter,
        *services: ServiceT,
        exit_process: Callable[[int], NoReturn] = os._exit,
        end_late_stop: Callable[[float, asyncio.AbstractEventLoop, Callable[[], object]], object] = end_after,
        **options: Any,
    ) -> None:
        """Switch off what the settings have not: the web server, and Faust's own words where logs are JSON.

        Faust's command line has a web server by default. `exit_process` ends the process with an exit code;
        `end_late_stop(seconds, loop, end)` calls `end` where the loop has not ended by then.
        """
        self._exit_process, self._end_late_stop = exit_process, end_late_stop
        if app.settings.web_port is None:
            app.conf.web_enabled = False
        if writes_json(app.settings.log_format):
            options["quiet"] = True  # what it logs says the same
        super().__init__(app, *services, **options)

    def on_worker_shutdown(self) -> None:
        """Hear no stop signal any more: it is stopping, and Faust's loop hears none after it is closed.

        A stop that does not end is ended.
        """
        for number in STOP_SIGNALS:
            self.loop.remove_signal_handler(number)
        ignore_stops()
        self._end_late_stop(STOP_SECONDS, self.loop, partial(self._end, FAILED))
        super().on_worker_shutdown()

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped, and end the process.

        At once, without waiting for threads of clients: one that hangs (a broker that is away) must not keep a worker
        that failed from being started again. Everything that counts is durable by now, or is read again.
        """
        code = FAILED
        try:
            super().execute_from_commandline()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        self._end(code)

    def _end(self, code: int) -> NoReturn:
        """End the process: with the exit code and the last line of what stopped it, else with `code`."""
        app = cast("ProfileExporter", self.app)
        # What fails while it stops for the operator changes nothing for them.
        reason = app.stop_reason or app.crash_reason or self.crash_reason
        if reason is not None:
            code = exit_code_of(reason)
            if isinstance(reason, (CommandError, *FOR_OPERATOR)):
                write_last_line(reason if isinstance(reason, CommandError) else with_remedy(reason))
        sys.stdout.flush()
        sys.stderr.flush()
        self._exit_process(code)

    async def on_first_start(self) -> None:
        """Check the ground before anything runs."""
        app = cast("ProfileExporter", self.app)
        with ending_with_last_line():
            environment = await asyncio.to_thread(find_environment, app.settings)
        _log.info("worker_starts", worker=environment.directory.name, hot_path=FORM)
        app.prepare(environment)
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_first_start()
