"""A worker at its edges: settings at their bounds, where it listens, signals while it starts, its lines as JSON.

Real processes, a real broker.
"""

import signal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest

from processor.foundation.errors import StoppedForOperator, UsageError
from processor.foundation.settings_environment import env_name
from processor.kafka.writer import Writer
from tests.kit.installation import Installation
from tests.kit.kafka import free_ports
from tests.kit.program import API, FAUST_WORKER, WORKER, Program

LOOPBACK = "0100007F"  # proc(5): 127.0.0.1 as /proc/net/tcp writes it
HTTP_SECONDS = 30.0
HIDDEN = ("/table/", "/table/profiles/p-1/", "/router/profiles/p-1/", "/graph/", "/assignment/")


@pytest.fixture
def ready(installation: Installation) -> Installation:
    installation.init(2)
    installation.change(log_format="json")
    return installation


def objects(program: Program) -> list[dict[str, Any]]:
    """Every line that it wrote, stdout first; fails where one is no JSON object with an event."""
    told = [orjson.loads(line) for line in (*program.stdout.splitlines(), *program.stderr.splitlines())]
    assert all("event" in each for each in told), program.said
    return told


def status_of(port: int, path: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=HTTP_SECONDS) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_fausts_own_command_listens_on_loopback_where_the_settings_say_and_shows_no_table(
    ready: Installation, tmp_path: Path
) -> None:
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
    assert {"printed", "worker_starts", "partitions_taken_over"} <= {each["event"] for each in objects(worker)}, (
        "Faust's banner is printed"
    )


def test_without_a_web_port_fausts_own_command_listens_nowhere(ready: Installation, tmp_path: Path) -> None:
    with Program(FAUST_WORKER, ready.env, tmp_path) as worker:
        worker.wait_until_said("Worker ready")
        listeners = worker.listeners()
        worker.process.send_signal(signal.SIGINT)
        code = worker.wait()

    assert listeners == set()
    assert code == 0, worker.said
    assert objects(worker)


@pytest.mark.parametrize("moment", ["worker_starts", "BatchConsumerThread]: Starting", "LastingRecovery]: Starting"])
def test_a_worker_that_is_stopped_while_it_starts_ends_with_exit_code_0(
    ready: Installation, tmp_path: Path, moment: str
) -> None:
    with Program(WORKER, ready.env, tmp_path) as worker:
        worker.wait_until_said(moment)
        worker.process.send_signal(signal.SIGTERM)

        assert worker.wait() == 0, worker.said
        assert "Traceback" not in worker.said


def test_a_worker_that_stops_for_the_operator_ends_with_the_remedy_as_its_last_line(
    ready: Installation, tmp_path: Path
) -> None:
    """I4: the event that is not passed is named, with the two ways on."""
    ready.change(max_bad_events_in_a_row=1)
    with Writer(ready.settings) as writer:
        writer.write(ready.topics.profile_events, b"p-1", b"no JSON", name="bad")

    with Program(WORKER, ready.env, tmp_path) as worker:
        code = worker.wait()

    last = objects(worker)[-1]
    assert code == StoppedForOperator.exit_code, worker.said
    assert (last["event"], last["exit_code"]) == ("ended", code)
    assert "1 unusable events in a row" in last["reason"]
    assert env_name("skip_to") in last["remedy"]


def test_a_worker_that_refuses_its_settings_says_so_as_json(ready: Installation, tmp_path: Path) -> None:
    ready.change(partitions="many")

    with Program(WORKER, ready.env, tmp_path) as worker:
        code = worker.wait()

    (only,) = objects(worker)
    assert (code, only["exit_code"]) == (UsageError.exit_code, UsageError.exit_code)
    assert "PROFILE_EXPORTER_PARTITIONS='many'" in only["reason"]
    assert "set these variables right" in only["remedy"]


def test_the_api_writes_json_from_its_first_line_to_its_last_and_ends_with_exit_code_0(
    ready: Installation, tmp_path: Path
) -> None:
    (port,) = free_ports(1)

    with Program((*API, "--port", str(port)), ready.env, tmp_path) as api:
        api.wait_until_said("Uvicorn running")
        assert status_of(port, "/nowhere") == 404
        listeners = api.listeners()
        api.process.send_signal(signal.SIGTERM)
        code = api.wait()

    assert listeners == {f"{LOOPBACK}:{port:04X}"}
    assert code == 0, api.said
    assert "api_starts" in {each["event"] for each in objects(api)}
