"""The processes of a contender: started, looked at, ended; they never outlive the benchmark."""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from processor.sandbox.child import die_with_parent, end_process

STOP_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ROOT = Path(__file__).parents[1]


class Command(NamedTuple):
    """A program and its whole environment; this repository is on its PYTHONPATH, behind what stands there."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


class ContenderEnded(Exception):
    """An error: the contender ended by itself; the text is what it wrote last."""


class Usage(NamedTuple):
    """The usage of the machine by a process, with all of its threads."""

    cpu_seconds: float
    resident_bytes: int


class Watched(Protocol):
    """What runs: a process, or several."""

    def require_running(self) -> None:
        """Raise ContenderEnded where it does not."""

    def usage(self) -> Usage:
        """Read what it uses, with all that it started."""


class Contender:
    """Runs while the context lasts; what it says is in `folder`/output.log."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._command, self._folder = command, folder

    def __enter__(self) -> Self:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command.arguments,
                cwd=self._folder,
                env={**self._command.environment, "PYTHONPATH": self._python_path()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one system call
            )
        return self

    def _python_path(self) -> str:
        return os.pathsep.join(filter(None, (self._command.environment.get("PYTHONPATH"), str(_ROOT))))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_process(self._process, STOP_SECONDS)

    @property
    def log_file(self) -> Path:
        """Both of its outputs."""
        return self._folder / "output.log"

    @property
    def pid(self) -> int:
        """Return the id of the contender's process."""
        return self._process.pid

    def require_running(self) -> None:
        """Raises ContenderEnded where it does not."""
        if (code := self._process.poll()) is not None:
            tail = self.log_file.read_text(errors="replace")[-4000:]
            raise ContenderEnded(f"exit code {code}: {' '.join(self._command.arguments)[:200]}\n{tail}")

    def usage(self) -> Usage:
        """Read the usage of the process and of what it started."""
        return family_usage(self.pid)


class Contenders:
    """Several processes that share the work, while the context lasts."""

    def __init__(self, processes: Sequence[Contender]) -> None:
        self._processes = processes

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for process in self._processes:
                started.enter_context(process)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def require_running(self) -> None:
        """Raises ContenderEnded where one of them does not."""
        for process in self._processes:
            process.require_running()

    def usage(self) -> Usage:
        """Read the usage of all."""
        return add_usages(process.usage() for process in self._processes)


def usage(pid: int) -> Usage:
    """Read the usage of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE_BYTES)


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Return the sum."""
    cpu_seconds, resident_bytes = zip(*usages, strict=True)
    return Usage(sum(cpu_seconds), sum(resident_bytes))


def family_usage(pid: int) -> Usage:
    """Read the usage of a living process, of its children, and of theirs."""
    return add_usages([usage(pid), *(family_usage(child) for child in _children(pid))])


def family_cpu_seconds() -> float:
    """CPU of this process and of all that it started: broker, endpoint, contender."""
    return family_usage(os.getpid()).cpu_seconds


def children_cpu_seconds(word: str) -> float:
    """CPU of those children of this process that have the word in their command line."""
    children = [pid for pid in _children(os.getpid()) if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sum(usage(pid).cpu_seconds for pid in children)


def _children(pid: int) -> list[int]:
    """Those that the main thread started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def machine_cpu_seconds() -> float:
    """CPU of everything on this machine, since it started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS
