"""Settle how many worker processes run, of what was asked for, what there are cores for, and what there is to do."""

from typing import Final

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.foundation.settings_processing import AUTO, Processes

LAST_PORT: Final = 65_535


def settle_count(wanted: Processes, settings: Settings, cores: int) -> int:
    """Return how many processes run: as many as are wanted, or for `auto` one a core; raise UsageError.

    A partition has one owner, so more processes than partitions would do nothing: `auto` stays below that.
    """
    count = min(cores, settings.partitions) if wanted == AUTO else wanted
    if count > settings.partitions:
        raise UsageError(
            f"--processes {count}: there are {settings.partitions} partitions, and each has one owner: some processes"
            f" would do nothing\n  name at most {settings.partitions}, or auto ({env_name('processes')})"
        )
    if settings.web_port is not None and settings.web_port + count - 1 > LAST_PORT:
        raise UsageError(
            f"--processes {count}: process {count} has port {settings.web_port + count - 1} for its web server, and"
            f" there is none above {LAST_PORT}\n  lower {env_name('web_port')}: process N listens on that port + N - 1"
        )
    return count
