"""`profile-exporter init`: topics as they should be, and nothing that is there is changed."""

import time
from pathlib import Path

from confluent_kafka.admin import AdminClient

from processor.kafka.admin import Admin
from processor.kafka.topics import TopicSpec, topic_specs
from processor.sandbox.broker import EmbeddedBroker
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation


def test_every_topic_is_created_with_what_correctness_rests_on(installation: Installation) -> None:
    result = installation.command("init")

    names, admin = installation.topics, Admin(installation.settings)
    counts = {name: count for name, count in admin.partition_counts().items() if name in names}
    assert result.exit_code == 0
    assert result.stdout.count(": created") == len(names)
    single = (names.flows, names.audiences, names.connections, names.audit_events, names.redriven, names.worker_status)
    assert counts == dict.fromkeys(names, 4) | dict.fromkeys(single, 1)
    limit, of_letters = str(installation.settings.max_message_bytes), str(8 * 1024 * 1024)
    for name, most in ((names.exports, limit), (names.dead_letters, of_letters)):
        assert wanted(admin, name, "retention.ms", "retention.bytes", "max.message.bytes", "cleanup.policy") == [
            "-1",
            "-1",
            most,
            "delete",
        ]
    for name in (names.flows, names.audiences, names.redriven, names.worker_status, names.changelog):
        assert wanted(admin, name, "cleanup.policy") == ["compact"]
    assert wanted(admin, names.changelog, "max.message.bytes") == [limit]


def wanted(admin: Admin, topic: str, *names: str) -> list[str]:
    config = admin.config(topic)
    assert config is not None
    return [config[name] for name in names]


def test_a_second_init_changes_nothing_and_says_nothing_else(installation: Installation) -> None:
    installation.command("init")

    result = installation.command("init")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count(": present") == len(installation.topics)


def test_what_is_missing_is_added_to_what_is_there(installation: Installation) -> None:
    installation.init()
    client = AdminClient({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    topic = installation.topics.flows
    client.delete_topics([topic])[topic].result(20)
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics, "the topic to go", 20)

    result = installation.command("init")

    assert result.exit_code == 0
    assert (result.stdout.count(": present"), result.stdout.count(": created")) == (len(installation.topics) - 1, 1)


def test_a_wrong_partition_count_is_wrong_usage_and_named_with_both_numbers(installation: Installation) -> None:
    installation.init(partitions=4)
    installation.change(partitions=3)

    result = installation.command("init")

    assert result.exit_code == 2
    assert f"{installation.topics.exports} has 4 partitions, 3 are wanted" in result.stderr
    assert "PROFILE_EXPORTER_PARTITIONS" in result.stderr


def test_another_configuration_is_a_warning_and_stays_as_it_is(installation: Installation) -> None:
    admin, exports = Admin(installation.settings), installation.topics.exports
    most = str(installation.settings.max_message_bytes)
    admin.create_missing([TopicSpec(exports, 4, {"retention.ms": "86400000", "max.message.bytes": most})])

    result = installation.command("init")

    assert result.exit_code == 0
    assert f"warning: {exports}: retention.ms is 86400000, should be -1; records may be lost" in result.stderr
    assert wanted(admin, exports, "retention.ms") == ["86400000"]


def test_a_topic_that_cannot_be_created_is_named_with_the_brokers_reason(installation: Installation) -> None:
    installation.change(replication_factor=3)

    result = installation.command("init")

    assert result.exit_code == 1
    assert "failed: Unable to replicate the partition 3 time(s)" in result.stdout
    assert f"not created: {installation.topics.profile_events}" in result.stderr


def test_the_embedded_broker_cannot_create_topics_and_init_says_so(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path)
    specs = {spec.name: spec.partitions for spec in topic_specs(installation.settings)}
    with EmbeddedBroker(specs) as complete:
        installation.change(kafka_bootstrap_servers=complete.bootstrap_servers)
        present = installation.command("init")
    del specs[installation.topics.flows]
    with EmbeddedBroker(specs) as incomplete:
        installation.change(kafka_bootstrap_servers=incomplete.bootstrap_servers)
        missing = installation.command("init")

    assert present.exit_code == 0
    assert "configuration of topics: this broker does not show it" in present.stdout
    assert missing.exit_code == 1
    assert (
        f"{installation.topics.flows} (1 partition, cleanup.policy=compact): not supported by this broker"
        in missing.stdout
    )
    assert f"not created: {installation.topics.flows}" in missing.stderr


def test_a_broker_that_is_not_there_is_told_within_ten_seconds_with_address_and_remedy(tmp_path: Path) -> None:
    start = time.monotonic()

    result = Installation("127.0.0.1:1", tmp_path).command("init")

    assert result.exit_code == 1
    assert result.stderr.startswith("profile-exporter: no answer from a Kafka broker at 127.0.0.1:1 (PLAINTEXT): ")
    assert "Connection refused" in result.stderr
    assert "PROFILE_EXPORTER_KAFKA_BOOTSTRAP_SERVERS" in result.stderr
    assert time.monotonic() - start < 10
