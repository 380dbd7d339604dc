"""Settings that contradict each other, or that a client refuses: exit code 2 and words from every command, before
anything is opened.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.foundation.errors import UsageError
from tests.kit.installation import Installation
from tests.kit.program import API, FAUST_WORKER, WORKER, Program

LOGIN = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ada", "kafka_sasl_password": "hunter2"}
NOWHERE = "/nowhere/ca.pem"
BEARER = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"}
ENDPOINT = {
    "kafka_oauth_token_url": "https://127.0.0.1:1/token",
    "kafka_oauth_client_id": "ada",
    "kafka_oauth_client_secret": "hunter2",
}
WRONG: tuple[tuple[dict[str, object], str], ...] = (
    (LOGIN, "PROFILE_EXPORTER_KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not log in"),
    ({"kafka_sasl_mechanism": "PLAIN"}, "PROFILE_EXPORTER_KAFKA_SASL_MECHANISM is set"),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_ca_file": NOWHERE}, "the Kafka client refuses them"),
    (BEARER | {"kafka_oauth_client_secret": "hunter2"}, "PROFILE_EXPORTER_KAFKA_OAUTH_TOKEN_URL is missing"),
    (BEARER | ENDPOINT | {"kafka_oauth_ca_file": NOWHERE}, f"PROFILE_EXPORTER_KAFKA_OAUTH_CA_FILE={NOWHERE}: "),
    (
        {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "AWS_MSK_IAM"},
        "PROFILE_EXPORTER_KAFKA_AWS_REGION is missing",
    ),
    ({"session_timeout_seconds": 91}, "PROFILE_EXPORTER_SESSION_TIMEOUT_SECONDS='91'"),
)


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    """Where a broker would listen; who connects can be accepted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def installation(broker: socket.socket, tmp_path: Path) -> Installation:
    made = Installation(f"127.0.0.1:{broker.getsockname()[1]}", tmp_path / "data")
    made.change(log_format="console")
    return made


def nobody_connected(broker: socket.socket) -> bool:
    try:
        broker.accept()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize(("values", "named"), WRONG)
@pytest.mark.parametrize("command", [WORKER, FAUST_WORKER, API], ids=["worker", "faust", "api"])
def test_what_runs_until_it_is_stopped_does_not_start(
    installation: Installation,
    broker: socket.socket,
    tmp_path: Path,
    command: tuple[str, ...],
    values: dict[str, object],
    named: str,
) -> None:
    installation.change(**values)

    with Program(command, installation.env, tmp_path) as program:
        code = program.wait()

    assert code == UsageError.exit_code, program.said
    assert named in program.stderr
    assert "Traceback" not in program.said
    assert "hunter2" not in program.said
    assert nobody_connected(broker)


@pytest.mark.parametrize(("values", "named"), WRONG)
@pytest.mark.parametrize("command", ["check", "init", "status"])
def test_commands_say_so_too(
    installation: Installation, broker: socket.socket, command: str, values: dict[str, object], named: str
) -> None:
    installation.change(**values)

    result = installation.command(command)

    assert result.exit_code == UsageError.exit_code, result.output
    assert named in result.output
    assert "hunter2" not in result.output
    assert nobody_connected(broker)


def test_the_api_names_a_certificate_that_it_cannot_read(
    installation: Installation, broker: socket.socket, tmp_path: Path
) -> None:
    installation.change(api_tls_certificate_file=NOWHERE, api_tls_key_file=NOWHERE)

    with Program(API, installation.env, tmp_path) as api:
        code = api.wait()

    assert code == UsageError.exit_code, api.said
    assert f"PROFILE_EXPORTER_API_TLS_CERTIFICATE_FILE={NOWHERE}" in api.stderr
    assert "Traceback" not in api.said
    assert nobody_connected(broker)
