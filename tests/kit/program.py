"""The product as a process from its first line on, its two streams kept apart.

It is started as an operator does, and signalled at any moment.

with Program(WORKER, installation.env, tmp_path) as worker:
    worker.wait_until_heard(signal.SIGTERM)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
"""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from processor.sandbox.child import die_with_parent, end_process
from processor.sandbox.waiting import wait_until

COMMAND: Final = (sys.executable, "-m", "processor")
WORKER: Final = (*COMMAND, "worker")
FAUST_WORKER: Final = (sys.executable, "-m", "faust", "-A", "processor.app", "worker", "-l", "info")
API: Final = (*COMMAND, "api")
SECONDS: Final = 240.0
_LISTENS: Final = "0A"  # proc(5), /proc/net/tcp: the state TCP_LISTEN


class Program:
    """One process; whatever runs when the context ends is ended."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("ab") as out, self._stderr.open("ab") as err:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # takes no lock: one system call
            )

    @property
    def stdout(self) -> str:
        """All that it wrote there until now."""
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """All that it wrote there until now."""
        return self._stderr.read_text(errors="replace")

    @property
    def said(self) -> str:
        """Return all that it wrote, to stdout and to stderr."""
        return self.stdout + self.stderr

    def wait(self, seconds: float = SECONDS) -> int:
        """Return the exit code, minus the number of a signal; raise subprocess.TimeoutExpired."""
        return self.process.wait(seconds)

    def wait_until_said(self, text: str) -> None:
        """Return when it wrote `text`; raises AssertionError where it ended before."""

        def said() -> bool:
            if text in self.said:
                return True
            assert self.process.poll() is None, f"ended with {self.process.poll()}:\n{self.said}"
            return False

        wait_until(said, text, SECONDS)

    def wait_until_heard(self, number: signal.Signals) -> None:
        """Return when it has a handler for a signal, which its first line installs; Linux only (proc(5): SigCgt)."""
        wait_until(
            lambda: bool(self._caught() >> (number - 1) & 1), f"a handler of {number.name}", SECONDS, poll_seconds=0.001
        )

    def listeners(self) -> set[str]:
        """Return ADDRESS:PORT of each TCP socket on which the process listens.

        In the hexadecimal form of /proc/net/tcp; Linux only.
        """
        folder = Path(f"/proc/{self.process.pid}")
        inodes = {name.readlink().name for name in (folder / "fd").iterdir() if name.exists() or name.is_symlink()}
        sockets = [
            line.split() for table in ("tcp", "tcp6") for line in (folder / "net" / table).read_text().splitlines()[1:]
        ]
        return {
            local
            for _, local, _, state, *_, inode in (fields[:10] for fields in sockets)
            if state == _LISTENS and f"socket:[{inode}]" in inodes
        }

    def _caught(self) -> int:
        assert self.process.poll() is None, f"ended with {self.process.poll()}:\n{self.said}"
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_process(self.process)
