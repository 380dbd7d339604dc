"""Wait for the processes of a supervisor that was killed: they stop in order, and hold their directories until then.

Whoever starts again at once would be refused by their locks, and a refusal is exit code 2, which nobody starts again.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from processor.foundation.clocks import Clock
from processor.foundation.stop_deadline import STOP_SECONDS
from processor.foundation.supervised import MORE_SECONDS
from processor.supervisor.own import directory_of, folder_of_processes
from state.directory import find_holder

WAIT_SECONDS: Final = STOP_SECONDS + 2 * MORE_SECONDS
SAY_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.1
_log = structlog.get_logger(__name__)


def may_have_orphans(data_dir: Path) -> bool:
    """Return whether a supervisor worked here, and works no more."""
    folder = folder_of_processes(data_dir)
    return folder.exists() and find_holder(folder) is None


def wait_for_orphans(
    data_dir: Path,
    count: int,
    clock: Clock = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Return when nobody holds the directories of so many processes, or somebody for longer than an orphan lives.

    Whoever holds one then is no orphan, and the process that is to work there will say so.
    """
    deadline, say_at = clock() + WAIT_SECONDS, clock()
    while (held := _held(directory_of(data_dir, each) for each in range(1, count + 1))) and clock() < deadline:
        if clock() >= say_at:
            _log.warning("waiting_for_processes_without_supervisor", directories=held)
            say_at = clock() + SAY_SECONDS
        sleep(POLL_SECONDS)


def _held(directories: Iterable[Path]) -> dict[str, str]:
    """Return the id of the holder of each directory that is held."""
    holders = ((str(path), find_holder(path)) for path in directories)
    return {path: holder for path, holder in holders if holder is not None}
