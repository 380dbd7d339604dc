"""The Faust worker: checks before it starts, and exit codes that mean something.

0 stopped on request    1 failed: start it again    2 wrong settings or topics    3 stopped for the operator
"""

import asyncio
import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from uuid import uuid4

import faust
import structlog
from mode import ServiceT
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from processor.foundation.errors import CommandError, StoppedForOperator, UsageError
from processor.foundation.last_line import ending_with_last_line, write_last_line
from processor.foundation.log_streams import writes_json
from processor.foundation.settings import Settings, env_name
from processor.foundation.stop_deadline import STOP_SECONDS, end_after
from processor.foundation.stop_signals import STOP_SIGNALS, ignore_stops
from processor.kafka.admin import Admin
from processor.kafka.cluster import cluster_facts
from processor.kafka.errors import BrokerUnreachable, TopicsMissing
from processor.kafka.ground import Ground, require_settings
from processor.worker.exit_codes import FOR_OPERATOR, with_remedy
from processor.worker.hot_path import COMPILED
from processor.worker.runtime import Place
from state.directory import DirectoryInUse, DirectoryUnusable, StateDirectory

if TYPE_CHECKING:
    from processor.app import ProfileExporter

FAILED: Final = 1
_BETWEEN_TRIES_SECONDS: Final = 1.0
GC_THRESHOLDS: Final = (200_000, 20, 100)
"""Collections of young objects are rare: events leave nothing in cycles, and the default costs 5 µs an event (design
5).
"""
_log = structlog.get_logger(__name__)


class Worker(faust.Worker):
    """`faust worker` with our checks and exit codes; plugged in by Faust's setting `Worker`.

    Its app is a `ProfileExporter`.
    """

    def __init__(self, app: "ProfileExporter", *services: ServiceT, **options: Any) -> None:
        """Take the web server away where the settings have none (Faust's command line has one), and Faust's words where
        logs are JSON.
        """
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
        end_after(STOP_SECONDS, self.loop, partial(self._end, FAILED))
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
        reason = (
            app.stop_reason or app.crash_reason or self.crash_reason
        )  # what fails while it stops for the operator changes nothing for them
        if reason is not None:
            code = _exit_code(reason)
            if isinstance(reason, (CommandError, *FOR_OPERATOR)):
                write_last_line(reason if isinstance(reason, CommandError) else with_remedy(reason))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    async def on_first_start(self) -> None:
        """Check the ground before anything runs."""
        app = cast("ProfileExporter", self.app)
        with ending_with_last_line():
            place = await asyncio.to_thread(find_place, app.settings)
        _log.info("worker_starts", worker=place.directory.name, hot_path="compiled" if COMPILED else "interpreted")
        app.prepare(place)
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_first_start()


def find_place(settings: Settings) -> Place:
    """Lock the state directory and look at the broker; blocks.

    Raises CommandError with the thing, the place and the remedy.
    """
    try:
        directory = StateDirectory.lock(settings.data_dir, lambda: uuid4().hex[:8])
    except (DirectoryInUse, DirectoryUnusable) as error:
        raise UsageError(f"{error}\n  name another with {env_name('data_dir')}") from None
    names = settings.topics
    ground = _wait_for_ground(settings)
    limits = ground.limits(
        (names.exports, names.dead_letters, names.changelog, names.profile_events, names.job_progress)
    )
    facts = cluster_facts(settings, [names.profile_events, names.changelog])
    return Place(settings, directory, facts._replace(tombstone_seconds=ground.tombstone_seconds(), limits=limits))


def _wait_for_ground(settings: Settings) -> Ground:
    """Look again while a broker, or a group's coordinator, is not there yet, and while `init` may be creating the
    topics.
    """
    waiting = Retrying(
        retry=retry_if_exception_type((BrokerUnreachable, TopicsMissing)),
        stop=stop_after_delay(settings.broker_wait_seconds),
        wait=wait_fixed(_BETWEEN_TRIES_SECONDS),
        before_sleep=lambda state: _log.warning("waiting_for_broker", reason=_first_line(state)),
        reraise=True,
    )
    return waiting(_find_ground, settings)


def _find_ground(settings: Settings) -> Ground:
    require_settings(settings)
    ground = Ground(Admin(settings), settings)
    ground.require()
    return ground


def _first_line(state: RetryCallState) -> str:
    assert state.outcome is not None
    return str(state.outcome.exception()).partition("\n")[0]


def _exit_code(reason: BaseException) -> int:
    if isinstance(reason, FOR_OPERATOR):
        return StoppedForOperator.exit_code
    return reason.exit_code if isinstance(reason, CommandError) else FAILED
