"""What a worker does not start with, `check` and `init` refuse in the same words (I4, F3, M2): every refusal is a row
of one table.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from processor.foundation.errors import UsageError
from processor.kafka.admin import Admin
from processor.kafka.ground import Ground
from processor.kafka.limits import BATCH_BYTES
from processor.kafka.safety import HEADERS_BYTES
from processor.sandbox.waiting import wait_until
from processor.worker.preconditions import find_environment
from tests.kit.installation import Installation
from tests.kit.topics import alter_topic, create_topic

SECONDS = 30.0
_DEFAULTS = {"cleanup_policy": "delete", "max_message_bytes": "1048588"}


@pytest.fixture(scope="module")
def standing(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Its topics are as `init` makes them before and after each test; one takes seconds to make."""
    installation = Installation(kafka, tmp_path_factory.mktemp("data"))
    installation.init(2)
    installation.change(broker_wait_seconds=0)
    return installation


class Refusal(NamedTuple):
    """Something that is not as it must be: other settings, topics configured otherwise, or what is done to the broker;
    and how it is told.

    `told`: "{topic}" is the topic that is altered. `by_init`: init refuses it, and does not mend it.
    """

    told: tuple[str, ...]
    settings: Mapping[str, object] = MappingProxyType({})
    topic: str = ""
    config: Mapping[str, str] = MappingProxyType({})
    broker: Callable[[Installation], AbstractContextManager[object]] = nullcontext
    by_init: bool = True


@contextmanager
def another_installation_in_our_group(installation: Installation) -> Iterator[None]:
    servers = installation.settings.kafka_bootstrap_servers
    topic = create_topic(servers)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": installation.settings.app_id})
    try:
        consumer.subscribe([topic])
        wait_until(
            lambda: consumer.poll(0.1) is None and bool(consumer.assignment()), "the group's other member", SECONDS
        )
        yield
    finally:
        consumer.close()


@contextmanager
def without_the_topic_of_audiences(installation: Installation) -> Iterator[None]:
    client = AdminClient({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    topic = installation.topics.audiences
    client.delete_topics([topic])[topic].result(SECONDS)
    wait_until(lambda: topic not in client.list_topics(timeout=SECONDS).topics, "the topic to go", SECONDS)
    yield
    installation.command("init")


def policy(topic: str, value: str, must: str) -> Refusal:
    return Refusal(
        (f"{{topic}}: cleanup.policy is {value}, must {must}: ",), topic=topic, config={"cleanup_policy": value}
    )


LEAST = BATCH_BYTES + HEADERS_BYTES
COMPACTED = ("changelog", "flows", "audiences", "redriven", "delivery_positions")
KEPT = ("profile_events", "exports", "dead_letters")
REFUSALS: dict[str, Refusal] = {
    **{f"{name}-deletes": policy(name, "delete", "be compact") for name in COMPACTED},
    **{f"{name}-deletes-too": policy(name, "compact,delete", "be compact") for name in ("changelog", "flows")},
    **{f"{name}-compacts": policy(name, "compact", "not be compact") for name in KEPT},
    **{f"{name}-compacts-too": policy(name, "compact,delete", "not be compact") for name in KEPT},
    **{
        f"{name}-too-narrow": Refusal(
            ("{topic}: max.message.bytes is 1000000, must be 2097152: a record might not fit",),
            topic=name,
            config={"max_message_bytes": "1000000"},
        )
        for name in ("exports", "changelog")
    },
    "dead-letters-too-narrow": Refusal(
        (f"{{topic}}: max.message.bytes is 1000000, must be {LEAST}: dead letters might not fit",),
        topic="dead_letters",
        config={"max_message_bytes": "1000000"},
    ),
    "events-larger-than-dead-letters": Refusal(
        (
            "max.message.bytes is 8388608, less than {topic} takes (8388608) and 16384 for headers",
            "could not be dead-lettered",
        ),
        topic="profile_events",
        config={"max_message_bytes": "8388608"},
    ),
    "secrets-key": Refusal(
        ("PROFILE_EXPORTER_SECRETS_KEY: not every key in it is urlsafe base64 of 32 bytes",),
        settings={"secrets_key": "short"},
    ),
    "secrets-key-file": Refusal(
        ("PROFILE_EXPORTER_SECRETS_KEY_FILE: /nowhere/key cannot be read: No such file or directory",),
        settings={"secrets_key_file": "/nowhere/key"},
    ),
    "certificate": Refusal(
        ("wrong settings: the Kafka client refuses them", "/nowhere/ca.pem"),
        settings={"kafka_security_protocol": "SSL", "kafka_ssl_ca_file": "/nowhere/ca.pem"},
    ),
    "partition-counts": Refusal(("profile-events has 2 partitions, 3 are wanted",), settings={"partitions": 3}),
    "missing-topic": Refusal(("audiences",), broker=without_the_topic_of_audiences, by_init=False),
    "another-installation": Refusal(
        ("another installation has the same PROFILE_EXPORTER_APP_ID",), broker=another_installation_in_our_group
    ),
}


@contextmanager
def altered(installation: Installation, refusal: Refusal) -> Iterator[None]:
    """The installation as the refusal wants it, and afterwards as it was."""
    servers, before = installation.settings.kafka_bootstrap_servers, dict(installation.values)
    topic = getattr(installation.topics, refusal.topic) if refusal.topic else ""
    spec = next(
        (spec for spec in Ground(Admin(installation.settings), installation.settings).specs if spec.name == topic), None
    )
    if spec is not None:
        alter_topic(servers, topic, **refusal.config)
        wait_until(lambda: _has(installation, topic, refusal.config), "the broker to know it", SECONDS)
    try:
        with refusal.broker(installation):
            installation.change(**refusal.settings)
            yield
            installation.values = dict(before)
    finally:
        installation.values = before
        if spec is not None:
            made = {name.replace(".", "_"): value for name, value in {**spec.initial, **spec.config}.items()}
            wanted = {name: made.get(name, _DEFAULTS[name]) for name in refusal.config}
            alter_topic(servers, topic, **wanted)
            wait_until(lambda: _has(installation, topic, wanted), "the broker to know it", SECONDS)


def _has(installation: Installation, topic: str, config: Mapping[str, str]) -> bool:
    found = Admin(installation.settings).config(topic) or {}
    return all(found.get(name.replace("_", ".")) == value for name, value in config.items())


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_worker_does_not_start_with_check_and_init_refuse_in_its_words(
    standing: Installation, tmp_path: Path, name: str
) -> None:
    refusal = REFUSALS[name]
    with altered(standing, refusal):
        standing.change(data_dir=tmp_path)
        told = [
            text.replace("{topic}", getattr(standing.topics, refusal.topic) if refusal.topic else "")
            for text in refusal.told
        ]

        with pytest.raises(UsageError) as worker:
            find_environment(standing.settings)
        check = standing.command("check")
        init = standing.command("init") if refusal.by_init else None

    for text in told:
        assert text in str(worker.value)
        assert text in check.output
        assert init is None or text in init.stderr
    assert check.exit_code in (1, UsageError.exit_code)
    assert init is None or init.exit_code == worker.value.exit_code


def test_several_refusals_are_told_at_once_by_check_and_init(standing: Installation, tmp_path: Path) -> None:
    one, other = REFUSALS["exports-compacts"], REFUSALS["flows-deletes"]
    with altered(standing, one), altered(standing, other), altered(standing, REFUSALS["partition-counts"]):
        check, init = standing.command("check"), standing.command("init")

    for output in (check.output, init.stderr):
        assert f"{standing.topics.exports}: cleanup.policy is compact" in output
        assert f"{standing.topics.flows}: cleanup.policy is delete" in output
        assert "has 2 partitions, 3 are wanted" in output
    assert "should be compact; records may be lost" not in check.output + init.output, (
        "what is refused is no warning as well"
    )


def test_what_is_as_it_should_be_is_refused_by_none(standing: Installation, tmp_path: Path) -> None:
    standing.change(data_dir=tmp_path)

    assert find_environment(standing.settings).cluster.tombstone_seconds == 86_400
    assert standing.command("init").exit_code == 0
    assert "FAILED" not in standing.command("check").output


class Counting:
    """An admin that counts how often topics' configurations are asked for."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.asked = 0

    def partition_counts(self) -> dict[str, int]:
        return self._admin.partition_counts()

    def configs(self, topics: list[str]) -> Any:
        self.asked += 1
        return self._admin.configs(topics)


def test_the_configurations_of_topics_are_asked_for_once(standing: Installation) -> None:
    settings = standing.settings
    admin: Any = Counting(Admin(settings))
    ground = Ground(admin, settings)

    ground.require()
    limits, kept = ground.limits([settings.topics.exports]), ground.tombstone_seconds()

    assert admin.asked == 1
    assert (limits[settings.topics.exports].max_message_bytes, kept) == (settings.max_message_bytes, 86_400)
