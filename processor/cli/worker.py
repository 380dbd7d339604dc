"""`profile-exporter worker`: the same as `faust -A processor.app worker`, in this process."""

import os
import sys
from runpy import run_module
from typing import Final, get_args

import click

from processor.foundation.last_line import ending_with_last_line
from processor.foundation.settings import read_settings
from processor.foundation.settings_environment import env_name
from processor.foundation.settings_log import LogLevel

APP: Final = "processor.app"
_FAUST_LEVELS: Final = {"warning": "warn"}


@click.command()
@click.option(
    "--log-level",
    type=click.Choice(get_args(LogLevel)),
    envvar=env_name("log_level"),
    show_envvar=True,
    default=None,
    show_default="info",
    help="The least severe events that are logged.",
)
def worker(log_level: LogLevel | None) -> None:
    """Run a worker, until SIGTERM or Ctrl-C.

    It reads profile events, keeps profiles, and delivers export records. Start as many as there are partitions, at
    most, each with its own PROFILE_EXPORTER_DATA_DIR.
    """
    with ending_with_last_line():
        level = log_level or read_settings().log_level
    os.environ[env_name("log_level")] = level
    sys.argv[:] = ["faust", "-A", APP, "worker", "-l", _FAUST_LEVELS.get(level, level)]
    # this process becomes the worker: its signals and exit codes are the worker's
    run_module("faust", run_name="__main__", alter_sys=True)
