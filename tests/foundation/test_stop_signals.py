"""SIGTERM and SIGINT in the first second of what runs until it is stopped: exit code 0 from the first line on, and not
a word.
"""

import re
import signal
import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.__main__ import SERVICES
from processor.foundation.stop_signals import STOP_SIGNALS
from tests.kit.installation import Installation
from tests.kit.program import API, FAUST_WORKER, WORKER, Program

ROOT = Path(__file__).parents[2]
MOMENTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a broker that lets everybody connect and never says a word: a worker waits for it as long as the test
    wants.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        installation = Installation(f"127.0.0.1:{silent.getsockname()[1]}", tmp_path / "data")
        installation.change(log_format="console")
        yield installation.env


def test_the_console_script_begins_with_the_module_that_hears_signals_first() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts == {"profile-exporter": "processor.__main__:main"}
    assert SERVICES == ("worker", "api")


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_worker_that_is_stopped_in_its_first_second_ends_with_exit_code_0(
    env: dict[str, str], tmp_path: Path, seconds: float
) -> None:
    number = STOP_SIGNALS[MOMENTS.index(seconds) % 2]

    code, said = stopped(WORKER, env, tmp_path, number, seconds)

    assert code == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_supervisor_that_is_stopped_in_its_first_second_ends_with_exit_code_0_and_leaves_nobody(
    env: dict[str, str], tmp_path: Path, seconds: float
) -> None:
    code, said = stopped((*WORKER, "--processes", "2"), env, tmp_path, signal.SIGTERM, seconds)

    assert code == 0, said
    assert "Traceback" not in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in re.findall(r" pid=(\d+)", said))


@pytest.mark.parametrize(("command", "seconds"), [(API, 0.0), (API, 0.3), (FAUST_WORKER, 0.0), (FAUST_WORKER, 0.3)])
def test_so_do_the_api_and_fausts_own_command_as_soon_as_it_has_imported_the_app(
    env: dict[str, str], tmp_path: Path, command: tuple[str, ...], seconds: float
) -> None:
    code, said = stopped(command, env, tmp_path, signal.SIGTERM, seconds)

    assert code == 0, said
    assert "Traceback" not in said


def test_a_worker_that_waits_for_its_broker_is_stopped_with_exit_code_0(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path / "data")
    installation.change(log_format="console", broker_wait_seconds=600)

    with Program(WORKER, installation.env, tmp_path) as worker:
        worker.wait_until_said("waiting_for_broker")
        worker.process.send_signal(signal.SIGTERM)

        assert worker.wait() == 0, worker.said


def stopped(
    command: tuple[str, ...], env: dict[str, str], folder: Path, number: signal.Signals, seconds: float
) -> tuple[int, str]:
    """(exit code, all that was said) of a process that is stopped so long after it began to hear SIGTERM."""
    with Program(command, env, folder) as program:
        program.wait_until_heard(signal.SIGTERM)
        time.sleep(seconds)
        program.process.send_signal(number)
        return program.wait(), program.said
