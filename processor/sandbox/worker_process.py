"""Real processes of the product, as an operator would start them: commands, and a worker that can be killed."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from processor.sandbox.child import die_with_parent, end_process
from processor.sandbox.errors import DemoFailed

COMMAND_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0

_CONSOLE_SCRIPT: Final = (sys.executable, "-c", "from processor.cli import main; main()")
_WORKER: Final = (sys.executable, "-m", "faust", "-A", "processor.app", "worker", "--without-web", "-l", "info")
_LOG_LINES: Final = 25


def run_command(environment: Mapping[str, str], directory: Path, *arguments: str) -> str:
    """`profile-exporter arguments…` in `directory`; its stdout. Raises DemoFailed with what it said when it fails."""
    try:
        done = subprocess.run(
            [*_CONSOLE_SCRIPT, *arguments],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"`profile-exporter {' '.join(arguments)}` did not end in {COMMAND_SECONDS:.0f} s") from None
    if done.returncode != 0:
        raise DemoFailed(
            f"`profile-exporter {' '.join(arguments)}` ended with exit code"
            f" {done.returncode}:\n{(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


class Worker:
    """`faust -A processor.app worker`, once or more, one at a time; whatever runs when the context ends is ended.

    It runs in a session of its own, so that Ctrl-C reaches the tour alone, and dies with it (on Linux).
    """

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._environment = dict(environment)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.log_file = directory / "worker.log"

    def start(self) -> None:
        """Start it; its log is added to `log_file`."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                _WORKER,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # it takes no lock: one system call
            )

    @property
    def pid(self) -> int:
        """The process' id; raises DemoFailed before it was started."""
        return self._running().pid

    def require_running(self) -> None:
        """Raise DemoFailed when it ended by itself."""
        if (code := self._running().poll()) is not None:
            raise DemoFailed(f"the worker ended by itself with exit code {code}")

    def kill(self) -> None:
        """SIGKILL: it gets no chance to tidy up."""
        self.require_running()
        self._running().kill()
        self._running().wait()

    def stop(self) -> None:
        """SIGTERM, and its exit; raises DemoFailed when it does not end cleanly in 30 s."""
        self.require_running()
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"the worker did not end within {STOP_SECONDS:.0f} s of SIGTERM") from None
        if code != 0:
            raise DemoFailed(f"the worker was stopped with SIGTERM and ended with exit code {code}")

    def log_tail(self) -> str:
        """The last lines of its log; empty before it was started."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            end_process(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise DemoFailed("the worker was not started")
        return self._process
