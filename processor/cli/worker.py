"""`profile-exporter worker`: the same as `faust -A processor.app worker`, in this process."""

import os
import sys
from typing import Final, get_args

import click

from processor.settings import LogLevel, Settings, env_name, read_settings

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

    It reads profile events, keeps profiles, and delivers export records. Start as many as there are partitions, at most,
    each with its own PROFILE_EXPORTER_DATA_DIR.
    """
    settings = read_settings()
    level = log_level or settings.log_level
    os.environ[env_name("log_level")] = level
    command = worker_command(settings, level)
    os.execv(command[0], command)  # noqa: S606  # no shell: this process becomes the worker, so that signals and exit codes are its own


def worker_command(settings: Settings, log_level: LogLevel) -> list[str]:
    """The command line of a worker; its web server is off, or on loopback."""
    web = ["--without-web"] if settings.web_port is None else ["--web-bind", "127.0.0.1", "--web-port", str(settings.web_port)]
    return [sys.executable, "-m", "faust", "-A", APP, "worker", *web, "-l", _FAUST_LEVELS.get(log_level, log_level)]
