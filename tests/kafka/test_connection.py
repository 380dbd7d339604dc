"""Settings as the Kafka clients take them."""

import logging
import ssl
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from processor.foundation.settings import Settings
from processor.kafka.connection import aiokafka_options, confluent_config, consumer_config, producer_config, ssl_context
from processor.kafka.errors import BrokerUnreachable, SettingsRefused
from processor.worker.faust_app import create_app
from tests.kit.tokens import TokenServer

LIFE = 3600.0


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument


LOGIN: dict[str, Any] = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "ada",
    "kafka_sasl_password": "secret",
}


def test_without_security_settings_none_are_given() -> None:
    config = confluent_config(settings(kafka_bootstrap_servers="a:1, b:2", app_id="app"))

    assert config.pop("logger") is logging.getLogger("librdkafka")
    assert config == {
        "bootstrap.servers": "a:1, b:2",
        "security.protocol": "PLAINTEXT",
        "client.id": "app",
        "log_level": 2,
    }


def test_a_login_and_certificates_reach_both_clients() -> None:
    config = confluent_config(
        settings(**LOGIN, kafka_ssl_ca_file="ca.pem", kafka_ssl_certificate_file="c.pem", kafka_ssl_key_file="k.pem")
    )
    options = aiokafka_options(settings(**LOGIN, kafka_bootstrap_servers="a:1, b:2"))

    assert (
        config
        | {
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "ada",
            "sasl.password": "secret",
            "ssl.ca.location": "ca.pem",
            "ssl.certificate.location": "c.pem",
            "ssl.key.location": "k.pem",
        }
        == config
    )
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "ada",
        "secret",
    )
    assert isinstance(options["ssl_context"], ssl.SSLContext)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer(LIFE) as running:
        yield running


def token_login(server: TokenServer, **more: Any) -> Settings:
    return settings(kafka_security_protocol="SASL_SSL", **(server.settings | more))


async def test_both_clients_show_one_token_that_is_made_once(server: TokenServer) -> None:
    login = token_login(server, kafka_oauth_extensions="logicalCluster=lkc-1, identityPoolId=pool-2")
    extensions = {"logicalCluster": "lkc-1", "identityPoolId": "pool-2"}

    config, options = confluent_config(login), aiokafka_options(login)
    give: Any = config["oauth_cb"]
    text, ends_at, principal, given = give("")
    provider = options["sasl_oauth_token_provider"]

    assert (config["sasl.mechanism"], options["sasl_mechanism"]) == ("OAUTHBEARER", "OAUTHBEARER")
    assert await provider.token() == text == server.given[0]
    assert (principal, given, provider.extensions()) == ("", extensions, extensions)
    assert len(server.requests) == 1
    assert 0.75 * LIFE < 0.8 * (ends_at - time.time()) < LIFE, (
        "librdkafka asks again at 0.8 of what it is told: the next token is due then"
    )
    assert {"sasl.password", "sasl.username"}.isdisjoint(config)


async def test_faust_shows_the_same_token(server: TokenServer) -> None:
    login = token_login(server)

    auth = credentials_to_aiokafka_auth(create_app(login).conf.broker_credentials)

    assert server.requests == []
    assert (auth["security_protocol"], auth["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert (
        await auth["sasl_oauth_token_provider"].token()
        == await aiokafka_options(login)["sasl_oauth_token_provider"].token()
    )
    assert isinstance(auth["ssl_context"], ssl.SSLContext)
    assert len(server.requests) == 1


async def test_without_a_token_each_client_is_told_why_in_its_own_way(server: TokenServer) -> None:
    login = token_login(server, kafka_oauth_client_secret="not-this-one")
    provider = aiokafka_options(login)["sasl_oauth_token_provider"]

    with pytest.raises(BrokerUnreachable, match=r"no token to log in to Kafka with: .* answers 401 \(invalid_client"):
        confluent_config(login)
    with pytest.raises(KafkaConnectionError, match=r"no token to log in with: .* answers 401") as raised:
        await provider.token()
    assert raised.value.retriable


async def test_for_msk_both_clients_show_a_token_that_is_signed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    login = settings(
        kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="AWS_MSK_IAM", kafka_aws_region="eu-west-1"
    )

    config, options = confluent_config(login), aiokafka_options(login)
    give: Any = config["oauth_cb"]
    text = give("")[0]

    assert (config["sasl.mechanism"], options["sasl_mechanism"]) == ("OAUTHBEARER", "OAUTHBEARER")
    assert await options["sasl_oauth_token_provider"].token() == text
    assert urlsafe_b64decode(text + "=" * (-len(text) % 4)).startswith(
        b"https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect"
    )


def test_without_msk_no_sdk_of_aws_is_imported() -> None:
    program = (
        "import sys; from processor.foundation.settings import Settings;"
        " from processor.kafka.connection import confluent_config; "
        "confluent_config(Settings(_env_file=None)); import processor.login.of_settings; "
        "print([name for name in ('boto3', 'botocore', 'aws_msk_iam_sasl_signer', 'urllib3') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"


def test_only_tls_protocols_have_a_tls_context_and_a_bad_file_is_told(tmp_path: Path) -> None:
    not_pem = tmp_path / "not.pem"
    not_pem.write_text("no certificate")

    assert ssl_context(settings()) is None
    assert ssl_context(settings(kafka_security_protocol="SSL")) is not None
    with pytest.raises(SettingsRefused, match=str(not_pem)):
        ssl_context(settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=not_pem))
    with pytest.raises(SettingsRefused, match="No such file"):
        ssl_context(
            settings(
                kafka_security_protocol="SSL",
                kafka_ssl_certificate_file=tmp_path / "c",
                kafka_ssl_key_file=tmp_path / "k",
            )
        )


def test_every_producer_is_idempotent_and_keys_with_murmur2_and_every_reader_sees_only_what_is_committed() -> None:
    producer, consumer = producer_config(settings()), consumer_config(settings(), "g")

    assert (producer["enable.idempotence"], producer["acks"], producer["partitioner"]) == (
        True,
        "all",
        "murmur2_random",
    )
    assert producer["message.max.bytes"] == settings().max_message_bytes
    assert (consumer["isolation.level"], consumer["enable.auto.commit"], consumer["group.id"]) == (
        "read_committed",
        False,
        "g",
    )
