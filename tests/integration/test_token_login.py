"""Logins by token, against a real broker that checks their signatures: both clients, Faust's among them, over TLS.

SHORT     ends every session after three seconds (connections.max.reauth.ms): who does not log in again is thrown out
LASTING   never looks at a token again
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote_plus

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its __init__ does not list
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from processor.foundation.errors import CommandError
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from tests.conftest import required
from tests.integration.test_control_api import api_of
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.program import API, WORKER, Program
from tests.kit.tokens import SECRET, TokenServer, json_answer
from tests.kit.whole_job import WholeJob

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("tokens")]  # one broker for the module

SECONDS: Final = 240.0
LIFE_SECONDS: Final = 15.0  # longer than a session: Kafka ends those that log in again within a second
SHORT, LASTING = "SHORT", "LASTING"
SAID_SECONDS: Final = 5
SESSION_MS: Final = 3000
TURNS: Final = 8


AUTHORIZING: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # the plain listener
    "allow.everyone.if.no.acl.found": "true",
}
CLUSTER: Final = "kafka-cluster"
NEEDED: Final = {
    ResourceType.TOPIC: (
        AclOperation.CREATE,
        AclOperation.DESCRIBE,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.READ,
        AclOperation.WRITE,
    ),
    ResourceType.GROUP: (AclOperation.DESCRIBE, AclOperation.READ),
    ResourceType.TRANSACTIONAL_ID: (AclOperation.DESCRIBE, AclOperation.WRITE),
}
"""What docs/operations.md names, as ACLs: CREATE is for `init` alone."""


class Site(NamedTuple):
    kafka: RealKafka
    server: TokenServer
    authority: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("broker")
    with TokenServer(LIFE_SECONDS) as server:
        listeners = {SHORT: {"connections.max.reauth.ms": str(SESSION_MS)}, LASTING: {}}
        arguments = server.broker(folder, listeners)
        arguments["properties"] |= AUTHORIZING
        with required(), RealKafka(**arguments) as kafka:
            allow(
                kafka, ResourceType.BROKER, CLUSTER, "exporter", AclOperation.ALL
            )  # with it nobody else may do anything to the cluster itself
            yield Site(kafka, server, folder / "certificate.pem")


@pytest.fixture
def server(site: Site) -> Iterator[TokenServer]:
    site.server.requests.clear()
    yield site.server
    site.server.respond = None


def allow(kafka: RealKafka, kind: ResourceType, prefix: str, user: str, *operations: AclOperation) -> None:
    acls = [
        AclBinding(kind, prefix, ResourcePatternType.PREFIXED, f"User:{user}", "*", each, AclPermissionType.ALLOW)
        for each in operations
    ]
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for answer in client.create_acls(acls).values():
        answer.result(SECONDS)


def installation_at(site: Site, listener: str, folder: Path, **login: object) -> Installation:
    made = Installation(site.kafka.address(listener), folder / "data")
    made.change(kafka_security_protocol="SASL_SSL", kafka_ssl_ca_file=site.authority, **(login or site.server.settings))
    return made


def a_job(installation: Installation, kinesis: str, folder: Path) -> WholeJob:
    job = WholeJob(installation, kinesis, folder)
    assert installation.command("init").exit_code == 0
    job.create_streams()
    job.apply()
    return job


def send_in_turns(job: WholeJob, turns: int = TURNS) -> None:
    """Events over some sessions, so that some are ended while records are on their way."""
    for turn in range(turns):
        job.send(shop_events(150, customers=40, seed=turn))


def require_no_secret(server: TokenServer, *texts: str) -> None:
    for text in texts:
        assert SECRET not in text
        assert quote_plus(SECRET) not in text
        assert not any(token in text for token in server.given)


@pytest.mark.timeout(600)
def test_a_worker_whose_sessions_end_every_three_seconds_loses_and_doubles_nothing(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    """Commands (librdkafka) log in again on their connections; the worker (aiokafka) is cut off, and connects anew."""
    installation = installation_at(site, SHORT, tmp_path)
    job = a_job(installation, kinesis, tmp_path)

    with job.new_worker(log_level="debug") as worker:
        worker.change(kafka_oauth_scope="worker")
        job.start_again(worker)
        send_in_turns(job)
        job.wait_until_delivered(SECONDS, worker)
        asked = [request for request in server.requests if request.form.get("scope") == "worker"]
        status, check = job.status(), installation.command("check")
        worker.stop()
        said = worker.said()

    job.require_equal_to_replay()
    assert f"Connection at {site.kafka.address(SHORT)} closed" in said, "no session was ended: the test proves nothing"
    assert len(asked) > 1, "the worker's token was not renewed"
    assert {flow["id"] for flow in status["flows"]} == {flow.id for flow in job.configuration.flows}
    assert f"a Kafka broker answers at {site.kafka.address(SHORT)}" in check.stdout
    require_no_secret(server, said, check.output)


@pytest.mark.timeout(600)
def test_a_worker_with_a_file_uses_what_stands_there_when_a_session_begins(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    installation = installation_at(
        site, SHORT, tmp_path, kafka_sasl_mechanism="OAUTHBEARER", kafka_oauth_token_file=file
    )

    with renewed(file, lambda: server.signer.jwt(LIFE_SECONDS)):
        job = a_job(installation, kinesis, tmp_path)
        with job.worker() as worker:
            send_in_turns(job)
            job.wait_until_delivered(SECONDS, worker)
            worker.stop()
            said = worker.said()
        job.require_equal_to_replay()

    assert f"Connection at {site.kafka.address(SHORT)} closed" in said, "no session was ended: the test proves nothing"


@pytest.mark.timeout(600)
def test_an_endpoint_that_is_away_leaves_a_worker_alone_whose_connections_live(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    """As with MSK, whose sessions outlive the token that began them: here the server says less than the token."""
    server.respond = lambda _: json_answer(200, {"access_token": server.signer.jwt(3600), "expires_in": SAID_SECONDS})
    job = a_job(installation_at(site, LASTING, tmp_path), kinesis, tmp_path)
    plain = WholeJob(without_login(job.installation, site), kinesis, tmp_path)

    with job.worker() as worker:
        plain.send(shop_events(300, customers=40))  # so that it has its connections
        plain.wait_until_delivered(SECONDS, worker)
        server.respond = lambda _: json_answer(503, {})
        wait_until(lambda: "token_holds_seconds=0" in worker.said(), "the last token to have ended", SECONDS)
        plain.send(shop_events(300, customers=40, seed=9))
        plain.wait_until_delivered(SECONDS, worker)
        server.respond = None
        wait_until(lambda: "kafka_token_renewed" in worker.said(), "a new token", SECONDS)
        worker.stop()
        said = worker.said()

    plain.require_equal_to_replay()
    assert f"the token endpoint {server.url} answers 503" in said
    assert "no token to log in with" not in said


@pytest.mark.timeout(600)
def test_a_worker_that_was_thrown_out_while_the_endpoint_was_away_goes_on_when_it_is_back(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    job = a_job(installation_at(site, SHORT, tmp_path), kinesis, tmp_path)
    plain = WholeJob(without_login(job.installation, site), kinesis, tmp_path)

    with job.worker() as worker:
        server.respond = lambda _: json_answer(503, {})
        plain.send(shop_events(300, customers=40))
        wait_until(lambda: "no token to log in with" in worker.said(), "the worker to have no connection", SECONDS)
        server.respond = None
        plain.wait_until_delivered(SECONDS, worker)
        worker.stop()

    plain.require_equal_to_replay()


@pytest.mark.timeout(600)
def test_the_rights_that_the_page_of_operations_names_are_enough(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    server.respond = lambda _: json_answer(
        200, {"access_token": server.signer.jwt(3600, "limited"), "expires_in": 3600}
    )
    installation = installation_at(site, LASTING, tmp_path)
    settings = installation.settings
    for kind, operations in NEEDED.items():
        allow(
            site.kafka,
            kind,
            settings.topic_prefix if kind is ResourceType.TOPIC else settings.app_id,
            "limited",
            *operations,
        )
    job = a_job(installation, kinesis, tmp_path)

    with job.worker() as worker:
        job.send(shop_events(300, customers=40))
        job.wait_until_delivered(SECONDS, worker)
        status, check = job.status(), installation.command("check")
        worker.stop()

    job.require_equal_to_replay()
    assert status["flows"]
    for text in (worker.said(), check.output):
        assert "denied" not in text.lower()
        assert "not_checked" not in text


@pytest.mark.timeout(300)
def test_an_api_that_does_nothing_for_some_sessions_is_still_there(
    site: Site, server: TokenServer, kinesis: str, tmp_path: Path
) -> None:
    """Consumers and a producer of librdkafka, which nobody polls meanwhile."""
    job = a_job(installation_at(site, SHORT, tmp_path), kinesis, tmp_path)

    with api_of(job.installation, tmp_path) as api:
        asked = len(server.requests)
        wait_until(lambda: len(server.requests) > asked + 2, "tokens to be renewed", SECONDS)
        answer = api.client.put("/v1/audiences/ups/new", json={})
        said = api.said()

    assert answer.status_code < 300, answer.text
    require_no_secret(server, said)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"kafka_oauth_client_secret": "another"}, "no token to log in to Kafka with: the token endpoint"),
        ({"kafka_oauth_token_url": "http://127.0.0.1:1/token"}, "is not reachable: [Errno 111] Connection refused"),
    ],
)
def test_a_worker_and_commands_without_a_token_say_why(
    site: Site, server: TokenServer, tmp_path: Path, login: dict[str, object], said: str
) -> None:
    installation = installation_at(site, LASTING, tmp_path, **(server.settings | login))
    installation.change(broker_wait_seconds=2, log_format="console")

    results = [installation.command(command) for command in ("init", "status", "check")]
    with (
        Program(WORKER, installation.env, tmp_path / "worker") as worker,
        Program(API, installation.env, tmp_path / "api") as api,
    ):
        codes = [worker.wait(), api.wait()]

    assert [*codes, *(result.exit_code for result in results)] == [CommandError.exit_code] * 5
    assert worker.stderr.count("waiting_for_broker") >= 1
    for text in (worker.said, api.said, *(result.output for result in results)):
        assert said in text
        assert "Traceback" not in text
        require_no_secret(server, text)


@pytest.mark.parametrize("seconds", [-60.0, 3600.0])
def test_a_token_that_kafka_does_not_take_and_one_that_ended_are_told_apart(
    site: Site, server: TokenServer, tmp_path: Path, seconds: float
) -> None:
    file = tmp_path / "token"
    file.write_text(server.signer.jwt(seconds, aud="another-cluster"))
    installation = installation_at(
        site, LASTING, tmp_path, kafka_sasl_mechanism="OAUTHBEARER", kafka_oauth_token_file=file
    )

    result = installation.command("check")

    assert result.exit_code == CommandError.exit_code
    assert file.read_text() not in result.output
    if seconds < 0:
        assert f"no token to log in to Kafka with: the token file {file}: its token ended 6" in result.stdout
    else:
        assert f"Kafka at {site.kafka.address(LASTING)} refuses the login (OAUTHBEARER)" in result.stdout
        assert '{"status":"invalid_token"}' in result.stdout
        assert "compare its issuer, audience and scope" in result.stdout


def test_a_mechanism_that_the_listener_does_not_have_is_a_refused_login(
    site: Site, server: TokenServer, tmp_path: Path
) -> None:
    login = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ada", "kafka_sasl_password": SECRET}

    result = installation_at(site, LASTING, tmp_path, **login).command("init")

    assert result.exit_code == CommandError.exit_code
    assert f"Kafka at {site.kafka.address(LASTING)} refuses the login (PLAIN)" in result.output
    assert "PROFILE_EXPORTER_KAFKA_SASL_MECHANISM, …USERNAME and …PASSWORD" in result.output
    require_no_secret(server, result.output)


def without_login(installation: Installation, site: Site) -> Installation:
    """The same topics, by the listener that lets everybody in."""
    plain = Installation(site.kafka.bootstrap_servers, Path(str(installation.values["data_dir"])))
    kept = ("app_id", "topic_prefix", "partitions", "session_timeout_seconds")
    plain.change(**{name: installation.values[name] for name in kept if name in installation.values})
    return plain


@contextmanager
def renewed(file: Path, token: Callable[[], str]) -> Iterator[None]:
    """A file that somebody writes anew each second, in one step, as a mount does."""
    over, beside = threading.Event(), file.with_suffix(".new")

    def write() -> None:
        beside.write_text(token())
        beside.replace(file)

    def write_on() -> None:
        while not over.wait(1.0):
            write()

    write()
    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
