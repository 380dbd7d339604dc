"""docker/: nothing is published beyond this machine, and what it sets is what the product knows. Not run here: that needs an engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.settings import ENV_PREFIX, Settings, env_name

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
    volumes = [volume for worker in workers for volume in worker["volumes"]]

    assert len(workers) == 2
    assert len(set(volumes)) == 2
    assert {volume.split(":")[0] for volume in volumes} <= set(COMPOSE["volumes"])
    assert {worker["depends_on"]["init"]["condition"] for worker in workers} == {"service_completed_successfully"}
    assert SERVICES["init"]["command"] == ["init"]


def test_what_is_waited_for_has_a_health_check() -> None:
    awaited = {
        name for service in SERVICES.values() for name, how in service.get("depends_on", {}).items() if how["condition"] == "service_healthy"
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
