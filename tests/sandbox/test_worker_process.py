"""The tour's processes: a command that fails is told, a worker that dies is noticed, and nothing stays behind."""

import os
from pathlib import Path

import pytest

from processor.sandbox.errors import SandboxFailed
from processor.sandbox.worker_process import WorkerProcess, run_command

SLEEPS = ("sh", "-c", "echo started; exec sleep 60")


def is_there(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(
        SandboxFailed, match=r"`profile-exporter apply nothing.yaml` ended with exit code 2:\n.*nothing.yaml"
    ):
        run_command(os.environ, tmp_path, "apply", "nothing.yaml")


def test_the_output_of_a_command_is_returned(tmp_path: Path) -> None:
    assert "replay" in run_command(os.environ, tmp_path, "--help")


def test_a_worker_that_ended_by_itself_is_noticed_with_its_log(tmp_path: Path) -> None:
    with WorkerProcess(os.environ, tmp_path, ("sh", "-c", "echo no broker; exit 3")) as worker:
        worker.start()
        worker.process.wait(10)

        with pytest.raises(SandboxFailed, match="ended by itself with exit code 3"):
            worker.require_running()
        assert worker.log_tail() == "no broker"


def test_a_worker_that_does_not_stop_cleanly_is_a_failure(tmp_path: Path) -> None:
    with WorkerProcess(os.environ, tmp_path, SLEEPS) as worker:
        worker.start()

        with pytest.raises(SandboxFailed, match="exit code -15"):
            worker.stop()


def test_nothing_runs_when_the_context_has_ended(tmp_path: Path) -> None:
    with WorkerProcess(os.environ, tmp_path, SLEEPS) as worker:
        worker.start()
        process_id = worker.process.pid

    assert not is_there(process_id)


def test_a_killed_worker_can_be_started_again_and_its_log_goes_on(tmp_path: Path) -> None:
    with WorkerProcess(os.environ, tmp_path, ("sh", "-c", "echo run; exit 0")) as worker:
        for _ in range(2):
            worker.start()
            worker.process.wait(10)

        assert worker.log_tail() == "run\nrun"


def test_what_was_not_started_cannot_be_stopped(tmp_path: Path) -> None:
    with WorkerProcess({}, tmp_path) as worker, pytest.raises(SandboxFailed, match="was not started"):
        worker.stop()
    assert worker.log_tail() == ""
