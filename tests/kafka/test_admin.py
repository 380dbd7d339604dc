"""Topics on a real broker: created, compared, required; and what is said when nobody answers."""

import socket
from pathlib import Path

import pytest

from processor.kafka.admin import Admin, ConfigDifference, Differences, TopicOutcome, TopicResult
from processor.kafka.errors import BrokerUnreachable, SettingsRefused, TopicsMissing, WrongPartitionCounts
from processor.kafka.topics import TopicSpec, topic_specs
from tests.kit.installation import Installation

NOWHERE = "127.0.0.1:1"


def outcomes(results: list[TopicResult]) -> set[TopicOutcome]:
    return {result.outcome for result in results}


def test_what_is_missing_is_created_with_partitions_and_configuration_and_what_is_there_stays(
    installation: Installation,
) -> None:
    admin, specs = Admin(installation.settings), topic_specs(installation.settings)

    first, second = admin.create_missing(specs), admin.create_missing(specs)

    assert outcomes(first) == {TopicOutcome.CREATED}
    assert outcomes(second) == {TopicOutcome.PRESENT}
    assert [result.topic for result in first] == [spec.name for spec in specs]
    assert {spec.name: spec.partitions for spec in specs}.items() <= admin.partition_counts().items()
    assert admin.differences(specs) == Differences([])


def test_a_created_topic_can_be_used_at_once(kafka: str, tmp_path: Path) -> None:
    for _ in range(4):  # the controller answers before the broker knows: one in four came too early
        installation = Installation(kafka, tmp_path)
        admin, specs = Admin(installation.settings), topic_specs(installation.settings)

        admin.create_missing(specs)

        admin.require(specs)


def test_another_configuration_is_found_with_what_it_should_be(installation: Installation) -> None:
    admin, topic = Admin(installation.settings), installation.topics.exports
    admin.create_missing([TopicSpec(topic, 4, {"retention.ms": "1000"})])
    wanted = [spec for spec in topic_specs(installation.settings) if spec.name == topic]

    differences = admin.differences(wanted)

    assert differences is not None
    assert ConfigDifference(topic, "retention.ms", "1000", "-1") in differences.found


def test_topics_that_are_not_there_have_no_differences(installation: Installation) -> None:
    assert Admin(installation.settings).differences(topic_specs(installation.settings)) == Differences([])


def test_the_configuration_in_force_includes_the_brokers_defaults(installation: Installation) -> None:
    installation.init()

    config = Admin(installation.settings).config(installation.topics.flows)

    assert config is not None
    assert config["cleanup.policy"] == "compact"
    assert config["message.timestamp.type"] == "CreateTime"


def test_missing_topics_and_wrong_partition_counts_are_named(installation: Installation) -> None:
    admin = Admin(installation.settings)
    with pytest.raises(TopicsMissing) as missing:
        admin.require(topic_specs(installation.settings))
    installation.init(partitions=4)
    installation.change(partitions=2)

    with pytest.raises(WrongPartitionCounts) as wrong:
        admin.require(topic_specs(installation.settings))

    names = installation.topics
    assert set(missing.value.names) == set(names)
    partitioned = (
        names.profile_events,
        names.exports,
        names.dead_letters,
        names.delivery_positions,
        names.job_progress,
        names.changelog,
    )
    assert wrong.value.counts == dict.fromkeys(partitioned, (4, 2))
    assert "PROFILE_EXPORTER_PARTITIONS" in str(wrong.value)


def test_a_topic_that_the_broker_refuses_says_why(installation: Installation) -> None:
    installation.change(replication_factor=3)

    (result,) = Admin(installation.settings).create_missing(topic_specs(installation.settings)[:1])

    assert result.outcome is TopicOutcome.FAILED
    assert "replication factor" in result.text


def test_a_broker_that_accepts_and_says_nothing_is_told_when_the_time_is_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(BrokerUnreachable, match=address):
            Admin(Installation(address, tmp_path).settings, answer_seconds=1.0).partition_counts()


def test_settings_that_the_client_does_not_take_are_wrong_settings(tmp_path: Path) -> None:
    installation = Installation(NOWHERE, tmp_path)
    installation.change(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "missing.pem")

    with pytest.raises(SettingsRefused, match=r"ssl\.ca\.location"):
        Admin(installation.settings)
