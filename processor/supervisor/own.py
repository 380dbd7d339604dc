"""Give each worker process what it has of its own: a data directory with a name, a port of its web server.

    process 1   DATA_DIR                  WEB_PORT         name NAME      as the worker of one process has them
    process N   DATA_DIR/processes/N      WEB_PORT + N-1   name NAME-N

So whoever goes from one process to several, or back, keeps the copies of process 1; those of a number that does not run
lie there until it runs again. No copy needs to be moved by hand: a partition is restored from the changelog, by what
lies there as far as that is right.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.foundation.settings_log import LogFormat
from state.directory import DirectoryInUse, DirectoryUnusable, lock_folder, name_directory, name_on_host

ARGUMENTS: Final = ("worker", "--processes", "1")
"""The command that each process is; whatever else it needs to know is in its environment."""
_PROCESSES: Final = "processes"


def directory_of(data_dir: Path, process: int) -> Path:
    """Return the data directory of a process, counted from 1."""
    return data_dir if process == 1 else data_dir / _PROCESSES / str(process)


def folder_of_processes(data_dir: Path) -> Path:
    """Return the folder below DATA_DIR that a supervisor locks, and that has the directories of its processes."""
    return data_dir / _PROCESSES


def lock_processes(data_dir: Path) -> int:
    """Lock the folder of processes for this supervisor, until it ends; return the handle. Raises UsageError."""
    try:
        return lock_folder(folder_of_processes(data_dir))
    except DirectoryInUse as error:
        raise UsageError(
            f"{data_dir} is in use by a supervisor, process id {error.holder or 'unknown'}\n"
            f"  stop that one, or name another directory with {env_name('data_dir')}"
        ) from None
    except DirectoryUnusable as error:
        raise UsageError(f"{error}\n  name another with {env_name('data_dir')}") from None


def name_directories(data_dir: Path, count: int) -> list[str]:
    """Name the directories of processes that have no name yet; return all names. Raises UsageError."""
    try:
        first = name_directory(data_dir, lambda: name_on_host(uuid4().hex[:8]))
        others = range(2, count + 1)
        return [first, *(name_directory(directory_of(data_dir, each), f"{first}-{each}".__str__) for each in others)]
    except DirectoryUnusable as error:
        raise UsageError(f"{error}\n  name another with {env_name('data_dir')}") from None


def environment_of(
    process: int, settings: Settings, log_format: LogFormat, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment of a process: the supervisor's, and what the process has of its own."""
    own = {
        env_name("data_dir"): str(directory_of(settings.data_dir, process)),
        env_name("log_format"): log_format,
        "PYTHONUNBUFFERED": "1",  # what it prints comes in its place between its logs
    }
    if settings.web_port is not None:
        own[env_name("web_port")] = str(settings.web_port + process - 1)
    return {name: value for name, value in environ.items() if name.upper() not in own} | own
