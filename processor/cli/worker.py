"""`profile-exporter worker`: the same as `faust -A processor.app worker`, in this process or in several."""

import os
import sys
from runpy import run_module
from typing import Final, get_args

import click

from processor.foundation import log
from processor.foundation.last_line import ending_with_last_line
from processor.foundation.log_streams import print_events
from processor.foundation.settings import Settings, read_settings
from processor.foundation.settings_environment import env_name
from processor.foundation.settings_log import LogLevel
from processor.foundation.settings_processing import Processes, parse_processes
from processor.foundation.supervised import Link, stop_with_supervisor
from processor.supervisor.cores import count_cores
from processor.supervisor.count import settle_count
from processor.supervisor.orphans import may_have_orphans, wait_for_orphans
from processor.supervisor.run import run_processes

APP: Final = "processor.app"
_FAUST_LEVELS: Final = {"warning": "warn"}


class _Processes(click.ParamType):
    """A number of processes, or `auto`."""

    name = "number|auto"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Processes:
        """Return what is meant, or fail in words."""
        try:
            return parse_processes(value)
        except ValueError as error:
            self.fail(f"{value!r} is {error}.", param, ctx)


@click.command()
@click.option(
    "--processes",
    type=_Processes(),
    metavar="[NUMBER|auto]",
    envvar=env_name("processes"),
    show_envvar=True,
    default=None,
    show_default="1",
    help="Worker processes to run below a supervisor: PARTITIONS at most; auto: one a core.",
)
@click.option(
    "--log-level",
    type=click.Choice(get_args(LogLevel)),
    envvar=env_name("log_level"),
    show_envvar=True,
    default=None,
    show_default="info",
    help="The least severe events that are logged.",
)
@click.option("--supervised", type=int, nargs=2, hidden=True, help="Handles that a supervisor gives to its processes.")
def worker(processes: Processes | None, log_level: LogLevel | None, supervised: tuple[int, int] | None) -> None:
    """Run a worker, until SIGTERM or Ctrl-C.

    It reads profile events, keeps profiles, and delivers export records. Start as many as there are partitions, at
    most, each with its own PROFILE_EXPORTER_DATA_DIR; or have one command run several on this machine: --processes.
    """
    with ending_with_last_line():
        if log_level is not None:
            os.environ[env_name("log_level")] = log_level
        settings = read_settings()
        if supervised is not None:
            _begin_supervised(settings, Link(*supervised))
        else:
            _supervise_or_wait(settings, processes or settings.processes)
    level = settings.log_level
    sys.argv[:] = ["faust", "-A", APP, "worker", "-l", _FAUST_LEVELS.get(level, level)]
    # this process becomes the worker: its signals and exit codes are the worker's
    run_module("faust", run_name="__main__", alter_sys=True)


def _begin_supervised(settings: Settings, link: Link) -> None:
    """Have this process end when its supervisor is gone, and say so in the form of its logs."""
    print_events(settings.log_format)
    log.configure(settings)
    stop_with_supervisor(link)


def _supervise_or_wait(settings: Settings, wanted: Processes) -> None:
    """Run several processes, which ends this one; or return, where this process is the only one."""
    count = settle_count(wanted, settings, count_cores())
    if count > 1:
        run_processes(settings, count)
    if may_have_orphans(settings.data_dir):
        log.configure(settings)
        wait_for_orphans(settings.data_dir, 1)
