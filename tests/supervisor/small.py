"""A supervisor of small processes that are no workers, as a program of its own.

`python -m tests.supervisor.small COUNT CODE` runs CODE in so many processes below the real supervisor, with the
settings of the environment. CODE finds `number` (of the process), `folder`, `say` (a line to stderr), `wait_for_stop`,
`wait_for_go` (until the test makes the file `data/go`), and what the preamble imports.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from processor.foundation.settings_environment import env_name
from tests.kit.program import Program

ROOT: Final = Path(__file__).parents[2]
PREAMBLE: Final = """
import os, signal, sys, time
from pathlib import Path
folder = Path(os.environ["PROFILE_EXPORTER_DATA_DIR"])
number = int(folder.name) if folder.parent.name == "processes" else 1
def say(text):
    os.write(2, f"{text}\\n".encode())
def wait_for_go():
    go = (folder if number == 1 else folder.parents[1]) / "go"
    while not go.exists():
        time.sleep(0.01)
def wait_for_stop():
    while True:
        time.sleep(60)
"""
WATCHED: Final = """
from processor.foundation import log
from processor.foundation.settings import read_settings
from processor.foundation.supervised import Link, stop_with_supervisor
log.configure(read_settings())
stop_with_supervisor(Link(*map(int, sys.argv[-2:])))
"""
"""What a worker does at its start, so that it stops when its supervisor is gone."""


def small_supervisor(
    folder: Path, count: int, code: str, environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a supervisor whose data directory is `folder / "data"`."""
    given = {env_name("data_dir"): str(folder / "data"), "PYTHONPATH": str(ROOT)}
    return [sys.executable, "-m", __name__, str(count), PREAMBLE + code], {**environment, **given}


class SmallSupervisor(Program):
    """Such a supervisor as a process whose two streams are kept."""

    def __init__(self, folder: Path, count: int, code: str, *, environment: Mapping[str, str]) -> None:
        command, env = small_supervisor(folder, count, code, environment)
        super().__init__(command, env, folder)

    def pids(self, process: int) -> list[int]:
        """Return the ids of the lives of a process, each of which says `up PID` first."""
        lines = [line for line in self.stderr.splitlines() if line.startswith(f"process {process} | up ")]
        return [int(line.rpartition(" ")[2]) for line in lines]


def main() -> None:
    """Run the supervisor."""
    from processor.foundation.settings import read_settings  # noqa: PLC0415  # tests import this module, too
    from processor.supervisor.run import run_processes  # noqa: PLC0415

    run_processes(read_settings(), int(sys.argv[1]), [sys.executable, "-c", sys.argv[2]])


if __name__ == "__main__":
    main()
