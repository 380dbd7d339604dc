"""A worker at its edges: settings at their bounds, where it listens, and signals while it starts. Real processes on a real broker."""

import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.kit.installation import Installation
from tests.kit.kafka import free_ports
from tests.kit.program import FAUST_WORKER, WORKER, Program

LOOPBACK = "0100007F"  # proc(5): 127.0.0.1 as /proc/net/tcp writes it
HTTP_SECONDS = 30.0
HIDDEN = ("/table/", "/table/profiles/p-1/", "/router/profiles/p-1/", "/graph/", "/assignment/")


@pytest.fixture
def ready(installation: Installation) -> Installation:
    installation.init(2)
    installation.change(log_format="console")
    return installation


def status_of(port: int, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=HTTP_SECONDS) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_fausts_own_command_listens_on_loopback_where_the_settings_say_and_shows_no_table(ready: Installation, tmp_path: Path) -> None:
    """With the longest session that is allowed: Faust takes it."""
    (port,) = free_ports(1)
    ready.change(web_port=port, session_timeout_seconds=90)

    with Program(FAUST_WORKER, ready.env, tmp_path) as worker:
        worker.wait_until_said("Worker ready")
        listeners = worker.listeners()
        statuses = {path: status_of(port, path) for path in ("/", *HIDDEN)}
        worker.process.send_signal(signal.SIGTERM)
        code = worker.wait()

    assert listeners == {f"{LOOPBACK}:{port:04X}"}
    assert statuses.pop("/") == 200
    assert set(statuses.values()) == {404}
    assert code == 0, worker.said


def test_without_a_web_port_fausts_own_command_listens_nowhere(ready: Installation, tmp_path: Path) -> None:
    with Program(FAUST_WORKER, ready.env, tmp_path) as worker:
        worker.wait_until_said("Worker ready")
        listeners = worker.listeners()
        worker.process.send_signal(signal.SIGINT)
        code = worker.wait()

    assert listeners == set()
    assert code == 0, worker.said


@pytest.mark.parametrize("moment", ["worker_starts", "BatchConsumerThread]: Starting", "TakeoverRecovery]: Starting"])
def test_a_worker_that_is_stopped_while_it_starts_ends_with_exit_code_0(ready: Installation, tmp_path: Path, moment: str) -> None:
    with Program(WORKER, ready.env, tmp_path) as worker:
        worker.wait_until_said(moment)
        worker.process.send_signal(signal.SIGTERM)

        assert worker.wait() == 0, worker.said
        assert "Traceback" not in worker.said
