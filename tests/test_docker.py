"""docker/: nothing is published beyond this machine, and what it sets is what the product knows.

Not run here: that needs an engine.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.foundation.settings import Settings
from processor.foundation.settings_environment import ENV_PREFIX, env_name

SECONDS = 60.0
ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any("network_mode" in service for service in SERVICES.values())


def test_every_setting_in_the_files_is_one_of_the_products() -> None:
    named = set(re.findall(rf"{ENV_PREFIX}[A-Z_]+", DOCKERFILE + (ROOT / "docker/compose.yaml").read_text()))

    assert named
    assert named <= {env_name(field) for field in Settings.model_fields}


def test_the_topics_are_there_before_the_workers_and_each_worker_has_its_own_data() -> None:
    workers = [service for name, service in SERVICES.items() if name.startswith("worker-")]
    volumes = [volume for worker in workers for volume in worker["volumes"] if not volume.startswith("./")]

    assert len(workers) == 2
    assert len(volumes) == len(set(volumes)) == 2
    assert {volume.split(":")[0] for volume in volumes} <= set(COMPOSE["volumes"])
    assert {worker["depends_on"]["init"]["condition"] for worker in workers} == {"service_completed_successfully"}
    assert SERVICES["init"]["command"] == ["init"]


def test_what_runs_from_our_image_has_no_right_that_it_does_not_need() -> None:
    ours = {name: service for name, service in SERVICES.items() if name != "kafka"}

    assert set(ours) == {"init", "kinesis", "worker-1", "worker-2"}
    for service in ours.values():
        assert (service["cap_drop"], service["read_only"], service["tmpfs"]) == (["ALL"], True, ["/tmp"])
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in SERVICES.values())


def test_a_worker_that_stopped_for_the_operator_is_not_started_again() -> None:
    for name in ("worker-1", "worker-2"):
        worker = SERVICES[name]

        assert (worker["entrypoint"], worker["command"]) == (["sh", "/hold.sh", "profile-exporter"], ["worker"])
        assert "./hold.sh:/hold.sh:ro" in worker["volumes"]


def held(command: str) -> "subprocess.Popen[str]":
    """What a worker's container runs, with another command; it has said when it began."""
    process = subprocess.Popen(
        ["sh", ROOT / "docker/hold.sh", "sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_container_ends_as_its_worker_does(code: int) -> None:
    with held(f"echo begun; exit {code}") as process:
        assert process.wait(SECONDS) == code


@pytest.mark.parametrize("code", [2, 3])
def test_a_container_whose_worker_stopped_for_the_operator_stays_until_it_is_stopped(code: int) -> None:
    with held(f"echo begun; exit {code}") as process:
        assert process.stderr is not None
        assert f"exit code {code}: stopped for the operator" in process.stderr.readline()
        before = process.poll()
        process.terminate()

        assert before is None
        assert process.wait(SECONDS) == code


def test_a_container_hands_a_wish_to_stop_to_its_worker_and_waits_for_its_end() -> None:
    with held("trap 'echo stopping; exit 0' TERM; echo begun; while :; do sleep 0.1; done") as process:
        process.terminate()

        assert process.wait(SECONDS) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "stopping\n"


def test_what_is_waited_for_has_a_health_check() -> None:
    awaited = {
        name
        for service in SERVICES.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }

    assert awaited == {"kafka", "kinesis"}
    assert all("test" in SERVICES[name]["healthcheck"] for name in awaited)


def test_the_image_runs_as_nobody_in_particular_and_installs_only_what_the_lock_file_names() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]

    assert re.search(r"^USER [1-9]\d+:", final, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in final
    assert "HEALTHCHECK" in final
    assert "--require-hashes --no-deps -r requirements.lock" in DOCKERFILE
    assert all("--no-deps" in line for line in DOCKERFILE.splitlines() if "pip install" in line)


def test_what_the_dockerfile_copies_is_let_into_its_context() -> None:
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("no hadolint beside this Python")

    said = subprocess.run([hadolint, ROOT / "docker/Dockerfile"], capture_output=True, text=True, check=False)

    assert (said.returncode, said.stdout) == (0, "")
