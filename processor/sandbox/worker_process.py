"""Real processes of the product, as an operator would start them: commands, and a worker that can be killed."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from processor.sandbox.child import die_with_parent, end_process
from processor.sandbox.errors import SandboxFailed

COMMAND_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0

_CONSOLE_SCRIPT: Final = (sys.executable, "-c", "from processor.cli import main; main()")
FAUST_WORKER: Final = (sys.executable, "-m", "faust", "-A", "processor.app", "worker", "--without-web", "-l", "info")
_LOG_LINES: Final = 25


def run_command(environment: Mapping[str, str], directory: Path, *arguments: str) -> str:
    """Run `profile-exporter arguments…` in `directory` and return its stdout; raise SandboxFailed with its output."""
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
        raise SandboxFailed(
            f"`profile-exporter {' '.join(arguments)}` did not end in {COMMAND_SECONDS:.0f} s"
        ) from None
    if done.returncode != 0:
        raise SandboxFailed(
            f"`profile-exporter {' '.join(arguments)}` ended with exit code"
            f" {done.returncode}:\n{(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


class WorkerProcess:
    """A process of `faust -A processor.app worker`, started once or more; the end of the context ends it.

    It runs in a session of its own, so that Ctrl-C reaches the tour alone, and dies with it (on Linux). `environment`
    may be changed between two starts. `command` is what runs instead of a worker, for tests of this class.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path, command: Sequence[str] = FAUST_WORKER) -> None:
        self.environment = dict(environment)
        self._directory = directory
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.log_file = directory / "worker.log"

    def start(self) -> None:
        """Start the worker; its log is added to `log_file`."""
        self._process = self.spawn(self._directory)

    def spawn(self, directory: Path) -> subprocess.Popen[bytes]:
        """Return a new process that works in `directory`; tests start their workers otherwise."""
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # it takes no lock: one system call
            )

    @property
    def pid(self) -> int:
        """Return the id of the process; raise SandboxFailed before it was started."""
        return self.process.pid

    def require_running(self) -> None:
        """Raise SandboxFailed when the worker ended by itself."""
        if (code := self.process.poll()) is not None:
            raise SandboxFailed(f"the worker ended by itself with exit code {code}")

    def kill(self) -> None:
        """Send SIGKILL: the worker gets no chance to tidy up."""
        self.require_running()
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Send SIGTERM and wait for the exit; raise SandboxFailed when the worker does not end cleanly in 30 s."""
        self.require_running()
        process = self.process
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise SandboxFailed(f"the worker did not end within {STOP_SECONDS:.0f} s of SIGTERM") from None
        if code != 0:
            raise SandboxFailed(f"the worker was stopped with SIGTERM and ended with exit code {code}")

    def log_tail(self) -> str:
        """Return the last lines of the worker's log; an empty text before it was started."""
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

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Return the process of the last start; raise SandboxFailed before the first."""
        if self._process is None:
            raise SandboxFailed("the worker was not started")
        return self._process
