"""A worker process as tests want it: its exit code told, frozen, thawed, changed between two starts."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Final, cast

from processor.foundation.fault_points import VARIABLE
from processor.foundation.settings_environment import env_name
from processor.sandbox.errors import SandboxFailed
from processor.sandbox.worker_process import WorkerProcess
from processor.worker.exit_codes import FAILED
from tests.kit.worker_template import CAN_FORK, template

READ_AT_IMPORT: Final = ("PYTHON", "BROKER_", VARIABLE)
"""Variables that Python, Faust and the fault points read before a worker forks: such a worker is a fresh process."""
KILLED: Final = -signal.SIGKILL

_ABORTED: Final = "rd_kafka_enq_once_del_source_return: Assertion"


class KitWorker(WorkerProcess):
    """The demo's worker, and what an operator's supervisor knows of it."""

    def change(self, **settings: object) -> None:
        """Other settings, from the next start on."""
        self.environment |= {env_name(field): str(value) for field, value in settings.items()}

    def arm(self, fault: str | None) -> None:
        """At its next start it gets a fault point where it dies (foundation/fault_points); None: no more."""
        self.environment.pop(VARIABLE, None)
        if fault is not None:
            self.environment[VARIABLE] = fault

    def sign_with(self, access_key_id: str) -> None:
        """Have flows with default credentials call Kinesis with this key, from the next start on.

        So an endpoint can tell who called.
        """
        self.environment["AWS_ACCESS_KEY_ID"] = access_key_id

    def exit_code(self) -> int | None:
        """Return how the worker ended: minus the number of a signal, None while it runs."""
        return self.process.poll()

    def has_failed(self, code: int) -> bool:
        """Return whether a worker that ended so is to be started again, as a supervisor does.

        So is one that librdkafka aborted: where a connection closes while it describes a consumer group, it may use
        memory that it freed (a known fault, in 2.16 still).
        """
        return code == FAILED or (code == -signal.SIGABRT and _ABORTED in self.said())

    def wait_for_end(self, seconds: float) -> int:
        """Return the exit code, once the worker ended by itself; raise SandboxFailed when it does not in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise SandboxFailed(f"the worker did not end by itself within {seconds:.0f} s") from None

    def said(self) -> str:
        """Everything it wrote, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def taken_over(self) -> int:
        """Return how often the worker has taken partitions over, in all its starts."""
        return self.said().count("partitions_taken_over")

    @property
    def has_taken_over(self) -> bool:
        """Return whether the worker took over since its last start: before, it may not hear SIGTERM."""
        return self.taken_over() > self._taken_over_before

    def start(self) -> None:
        """Start it; its log is added to `log_file`."""
        self._taken_over_before = self.taken_over()
        super().start()

    def spawn(self, directory: Path) -> subprocess.Popen[bytes]:
        """Fork from the template, unless an import must find another environment than the template had."""
        read = {name: value for name, value in self.environment.items() if name.startswith(READ_AT_IMPORT)}
        if not CAN_FORK or any(os.environ.get(name) != value for name, value in read.items()):
            return super().spawn(directory)
        return cast("subprocess.Popen[bytes]", template().start(self.environment, directory, self.log_file))

    def freeze(self) -> None:
        """SIGSTOP: it hears and does nothing, and does not know."""
        self.process.send_signal(signal.SIGSTOP)

    @property
    def is_frozen(self) -> bool:
        """Return whether the worker was stopped by SIGSTOP; Linux only.

        proc(5): the state follows the name in parentheses.
        """
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def go_on(self) -> None:
        """SIGUSR1: it leaves the fault point that holds it."""
        self.process.send_signal(signal.SIGUSR1)

    def set_variable(self, name: str, value: str) -> None:
        """A variable of its environment that is no setting of ours, as Faust's own, from the next start on."""
        self.environment[name] = value

    def add_to_path(self, folder: Path) -> None:
        """Have the next start find modules in `folder` first; a `sitecustomize` is run before everything else."""
        self.environment["PYTHONPATH"] = os.pathsep.join(
            [str(folder), *filter(None, [self.environment.get("PYTHONPATH")])]
        )

    def thaw(self) -> None:
        """Send SIGCONT: the worker goes on where it was."""
        self.process.send_signal(signal.SIGCONT)
