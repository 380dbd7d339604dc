"""Topics of a name that nobody else has, for tests that need a topic and no installation."""

from typing import Final
from uuid import uuid4

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its __init__ does not list
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from processor.sandbox.waiting import wait_until

ANSWER_SECONDS: Final = 120.0
COMPACTED_ALL_THE_TIME: Final = {"segment_ms": "300", "min_cleanable_dirty_ratio": "0.01", "min_compaction_lag_ms": "0"}
"""For `alter_topic`: nearly all that is written again is gone within seconds of the next write."""


def create_topic(bootstrap_servers: str, partitions: int = 1, **config: str) -> str:
    """The name of a new topic; a configuration name's dots are written as underscores (`cleanup_policy="compact"`).

    Nothing is removed by time unless asked: a test's records may be of any year.
    """
    name = f"t{uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": bootstrap_servers})  # must live until the answer is here
    dotted = {"retention.ms": "-1"} | {option.replace("_", "."): value for option, value in config.items()}
    client.create_topics([NewTopic(name, partitions, 1, config=dotted)], operation_timeout=ANSWER_SECONDS)[name].result(
        ANSWER_SECONDS
    )
    wait_until(lambda: name in client.list_topics(timeout=ANSWER_SECONDS).topics, "a new topic", ANSWER_SECONDS)
    return name


def alter_topic(bootstrap_servers: str, topic: str, **config: str) -> None:
    """Change a topic's configuration; names as `create_topic` takes them."""
    entries = [
        ConfigEntry(option.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for option, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    client = AdminClient({"bootstrap.servers": bootstrap_servers})  # must live until the answer is here
    client.incremental_alter_configs([resource])[resource].result(ANSWER_SECONDS)
