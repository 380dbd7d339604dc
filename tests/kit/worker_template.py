"""Worker processes that begin where the imports end: half the CPU of a worker in a test is what it imports.

    this process ── starts once ──► template: has imported what processor.app imports, waits, and forks
                 ◄── pid ─────────── worker: `python -m faust -A processor.app worker …` from its first line on

A worker is a process with an environment, a folder, a session and a log of its own, to be killed and frozen as any
other; it reads its settings, and does whatever else `python -m faust` does, after the fork. It ends when this process
ends. What it shares with its siblings is the seed of hashes alone. Linux only, as pidfd_open(2) is.
"""

import ast
import functools
import gc
import importlib
import importlib.util
import json
import os
import random
import runpy
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from processor.sandbox.child import die_with_parent
from processor.sandbox.worker_process import FAUST_WORKER

CAN_FORK: Final = hasattr(os, "pidfd_open")
ROOT: Final = Path(__file__).parents[2]
_APP: Final = "processor.app"
_ARGUMENTS: Final = FAUST_WORKER[FAUST_WORKER.index("faust") + 1 :]
_FAUST: Final = ("faust.cli.faust", "faust.assignor.leader_assignor", "faust.tables.sets", "faust.fixups.django")
"""What Faust imports as late as it can."""


class ForkedProcess:
    """A child of the template, with those methods of subprocess.Popen that tests use."""

    stdin = stdout = None

    def __init__(self, template: "Template", pid: int) -> None:
        self._template = template
        self._ended = os.pidfd_open(pid)
        self.pid = pid
        self.returncode: int | None = None

    def __del__(self) -> None:
        os.close(self._ended)

    def poll(self) -> int | None:
        """Return how it ended, minus the number of a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._template.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, once it did; raise subprocess.TimeoutExpired."""
        select.select([self._ended], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(FAUST_WORKER, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, where it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, where it has not ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, where it has not ended."""
        self.send_signal(signal.SIGKILL)


class Template:
    """The template, on the side of the process that tests; it is started with the first worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Return the id of the template's process, once it has imported what it should."""
        self.ask({"poll": None})
        return self._process.pid

    def start(self, environment: Mapping[str, str], directory: Path, log: Path) -> ForkedProcess:
        """Start a worker whose output is added to `log`."""
        asked = {"environment": dict(environment), "directory": str(directory), "log": str(log)}
        return ForkedProcess(self, self.ask(asked))

    def ask(self, request: Mapping[str, object]) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


@functools.cache
def template() -> Template:
    """Return the template of this process; it ends with it, and with it all of its workers."""
    return Template()


def _imported_by(module: str) -> list[str]:
    """Return the names that a module's own import statements name, without importing it."""
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    names: list[str] = []
    for statement in ast.parse(Path(found.origin).read_text()).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            names.append(statement.module)
        elif isinstance(statement, ast.Import):
            names += [alias.name for alias in statement.names]
    return names


def _serve() -> bool:
    """Fork and wait for children, as asked on stdin; return whether this process is a new worker."""
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _code_of(request["poll"])
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
                return True
        os.write(1, f"{json.dumps(answer)}\n".encode())
    return False


def _code_of(child: int | None) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG) if child is not None else (0, 0)
    return os.waitstatus_to_exitcode(status) if pid else None


def _become(request: Mapping[str, Any]) -> None:
    """Have what a process of its own has: a session, a folder, an environment, and streams."""
    die_with_parent()
    os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, (file, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), *[(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)] * 2]
    ):
        opened = os.open(file, flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    if not sys.flags.safe_path:
        sys.path[0] = request["directory"]
    random.seed()


def _main() -> None:
    die_with_parent()
    for name in (*_imported_by(_APP), "processor.worker.faust_worker", *_FAUST):
        importlib.import_module(name)
    gc.freeze()
    if _serve():
        sys.argv = ["faust", *_ARGUMENTS]
        runpy.run_module("faust.__main__", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
