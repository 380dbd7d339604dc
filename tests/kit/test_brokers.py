"""Tests of the broker that tests get, and of what is said when none is to be had."""

from pathlib import Path

import pytest

from tests.conftest import REQUIRE_KAFKA, required
from tests.kit import brokers, distribution
from tests.kit.brokers import asked_broker
from tests.kit.distribution import KafkaUnavailable, kafka_distribution
from tests.kit.kafka import KafkaFailed, RealKafka


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Java, Maven and Docker, where nothing was fetched yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(distribution, "TOOLS", tmp_path / ".tools")


def ask() -> str:
    with asked_broker() as address:
        return address


def test_without_java_or_maven_it_is_said_what_is_missing(no_programs: None) -> None:
    with pytest.raises(KafkaUnavailable, match=r"`java`.*BROKER=host:port"):
        distribution.java()
    with pytest.raises(KafkaUnavailable, match=r"`mvn`.*BROKER=host:port"):
        kafka_distribution()
    with pytest.raises(KafkaUnavailable):
        RealKafka().__enter__()


def test_a_missing_kafka_is_a_skip_and_where_kafka_is_required_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        with required():
            raise KafkaUnavailable("`java` is missing")

    monkeypatch.delenv(REQUIRE_KAFKA, raising=False)
    with pytest.raises(pytest.skip.Exception, match="NO KAFKA, NOT TESTED: `java` is missing"):
        missing()
    monkeypatch.setenv(REQUIRE_KAFKA, "1")
    with pytest.raises(pytest.fail.Exception, match="there is no Kafka: `java` is missing"):
        missing()


def test_a_named_broker_that_answers_is_used_as_it_is(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", kafka)

    assert ask() == kafka


def test_a_named_broker_that_does_not_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", "127.0.0.1:1")
    monkeypatch.setattr(brokers, "ANSWER_SECONDS", 0.1)

    with pytest.raises(KafkaFailed, match=r"BROKER=127\.0\.0\.1:1: no answer"):
        ask()


def test_docker_that_is_not_there_is_a_failure(no_programs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", "docker")

    with pytest.raises(KafkaFailed, match=r"BROKER=docker: .*docker"):
        ask()
