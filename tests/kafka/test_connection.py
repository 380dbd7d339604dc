"""Settings as the Kafka clients take them."""

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from processor.kafka.connection import aiokafka_options, confluent_config, consumer_config, producer_config, ssl_context
from processor.kafka.errors import SettingsRefused
from processor.settings import Settings


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
    assert config == {"bootstrap.servers": "a:1, b:2", "security.protocol": "PLAINTEXT", "client.id": "app", "log_level": 2}


def test_a_login_and_certificates_reach_both_clients() -> None:
    config = confluent_config(settings(**LOGIN, kafka_ssl_ca_file="ca.pem", kafka_ssl_certificate_file="c.pem", kafka_ssl_key_file="k.pem"))
    options = aiokafka_options(settings(**LOGIN, kafka_bootstrap_servers="a:1, b:2"))

    assert config | {
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ada",
        "sasl.password": "secret",
        "ssl.ca.location": "ca.pem",
        "ssl.certificate.location": "c.pem",
        "ssl.key.location": "k.pem",
    } == config
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == ("SCRAM-SHA-512", "ada", "secret")
    assert isinstance(options["ssl_context"], ssl.SSLContext)


def test_only_tls_protocols_have_a_tls_context_and_a_bad_file_is_told(tmp_path: Path) -> None:
    not_pem = tmp_path / "not.pem"
    not_pem.write_text("no certificate")

    assert ssl_context(settings()) is None
    assert ssl_context(settings(kafka_security_protocol="SSL")) is not None
    with pytest.raises(SettingsRefused, match=str(not_pem)):
        ssl_context(settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=not_pem))
    with pytest.raises(SettingsRefused, match="No such file"):
        ssl_context(settings(kafka_security_protocol="SSL", kafka_ssl_certificate_file=tmp_path / "c", kafka_ssl_key_file=tmp_path / "k"))


def test_every_producer_is_idempotent_and_keys_with_murmur2_and_every_reader_sees_only_what_is_committed() -> None:
    producer, consumer = producer_config(settings()), consumer_config(settings(), "g")

    assert (producer["enable.idempotence"], producer["acks"], producer["partitioner"]) == (True, "all", "murmur2_random")
    assert producer["message.max.bytes"] == settings().max_message_bytes
    assert (consumer["isolation.level"], consumer["enable.auto.commit"], consumer["group.id"]) == ("read_committed", False, "g")
