"""`profile-exporter worker --processes N` as tests want it: who runs below it, and what each of them said.

with SupervisedWorkers(job, "machine", 2) as workers:
    workers.start_and_take_over()
    workers.kill_process(2)
"""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import orjson

from processor.sandbox.flows import worker_environment
from processor.sandbox.waiting import wait_until
from processor.sandbox.worker_process import WorkerProcess
from processor.supervisor.own import directory_of
from tests.kit.program import WORKER
from tests.kit.whole_job import TAKEOVER_SECONDS, WholeJob
from tests.kit.worker import KitWorker

STOP_SECONDS: Final = 240.0


class SupervisedWorkers(KitWorker):
    """A supervisor and its processes; they log as JSON. `processes` may be changed between two starts."""

    def __init__(self, job: WholeJob, name: str, processes: int, **settings: object) -> None:
        self._data_dir = job.folder(name) / "data"
        job.folder(name).mkdir(exist_ok=True)
        super().__init__(worker_environment(job.installation.env), job.folder(name), WORKER)
        self.change(data_dir=self._data_dir, log_format="json", **settings)
        self.set_count(processes)

    def set_count(self, processes: int) -> None:
        """Have the next start run so many processes; 1 is a worker without a supervisor."""
        self.processes = processes
        self.change(processes=processes)

    def spawn(self, directory: Path) -> subprocess.Popen[bytes]:
        """Start a fresh process: the template knows no supervisor."""
        return WorkerProcess.spawn(self, directory)

    def start(self) -> None:
        """Start it; what it says from now on is what `events` gives."""
        self._said_before = len(self.said())
        super().start()

    def start_and_take_over(self) -> None:
        """Start it, and return when each process has taken over."""
        self.start()
        self.wait_until_taken_over(*range(1, self.processes + 1))

    def wait_until_taken_over(self, *processes: int) -> None:
        """Return when the present life of each of these has taken over."""

        def taken_over() -> bool:
            self.require_running()
            return all(self._has_taken_over(process) for process in processes)

        wait_until(taken_over, f"takeovers of processes {processes}", TAKEOVER_SECONDS)

    def wait_until_begun(self) -> None:
        """Return when the start is so far that SIGTERM ends it with exit code 0: it has said something."""
        wait_until(lambda: len(self.said()) > self._said_before, "a first word", TAKEOVER_SECONDS)

    def events(self, name: str, process: int | None = None) -> list[dict[str, Any]]:
        """Return the events of a name that were logged since the last start, of one process or of all."""
        wanted = f'"{name}"'
        lines = [line for line in self.said()[self._said_before :].splitlines() if wanted in line]
        found = [event for event in map(_parsed, lines) if event.get("event") == name]
        return [event for event in found if process is None or event.get("process") == process]

    def pids(self, process: int) -> list[int]:
        """Return the ids of a process, of its lives since the last start."""
        return [event["pid"] for event in self.events("process_starts", process)]

    def partitions(self, process: int) -> set[int]:
        """Return the partitions of a process' last takeover."""
        return set(self.events("partitions_taken_over", process)[-1]["partitions"])

    def kill_process(self, process: int) -> None:
        """SIGKILL one of the processes, unless it is just dead; the supervisor starts it again."""
        _kill(self.pids(process)[-1])

    def kill_all_at_once(self) -> None:
        """SIGKILL the supervisor and its processes, as a machine that loses its power does."""
        last = [self.pids(process)[-1] for process in range(1, self.processes + 1) if self.pids(process)]
        self.kill()
        for pid in last:
            _kill(pid)
        wait_until(lambda: not any(map(_runs, last)), "the end of the processes", STOP_SECONDS)

    def stop(self) -> None:
        """SIGTERM; it must end with exit code 0."""
        self.require_running()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        assert code == 0, f"exit code {code}:\n{self.log_tail()}"

    @property
    def data_folders(self) -> list[Path]:
        """The data directories of all processes that ever were."""
        return [path for number in range(1, 10) if (path := directory_of(self._data_dir, number)).exists()]

    def _has_taken_over(self, process: int) -> bool:
        if self.processes == 1:
            return bool(self.events("partitions_taken_over"))
        lives, text = self.pids(process), self.said()[self._said_before :]
        begin = text.rfind(f'"pid": {lives[-1]}') if lives else -1
        later = text[begin:].splitlines()[1:] if begin >= 0 else []
        return any(f'{{"process":{process},' in line and '"partitions_taken_over"' in line for line in later)


def _parsed(line: str) -> dict[str, Any]:
    """Return the fields of a line; none of one that a kill has torn."""
    try:
        fields: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _runs(pid: int) -> bool:
    """Return whether a process runs (proc(5): Z is one that has ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
