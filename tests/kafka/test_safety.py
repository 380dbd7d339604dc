"""What a worker says at its start of topics that are configured otherwise, where it is no reason not to start."""

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.kafka.admin import TopicConfigs
from processor.kafka.safety import require_safe
from processor.kafka.topics import topic_specs
from processor.settings import Settings


class Topics:
    """The part of an admin that tells how topics are configured: as `init` makes them, but what a test says of `worker-status`."""

    def __init__(self, settings: Settings, **of_worker_status: str) -> None:
        given = {"cleanup.policy": "delete", "max.message.bytes": "1048588", "delete.retention.ms": "86400000"}
        self._configs = {spec.name: {**given, **spec.initial, **spec.config} for spec in topic_specs(settings)}
        self._configs[settings.topics.worker_status].update({name.replace("_", "."): value for name, value in of_worker_status.items()})

    def configs(self, topics: Sequence[str]) -> TopicConfigs:
        return TopicConfigs({name: self._configs[name] for name in topics})


@pytest.mark.parametrize(("stamped_by", "warnings"), [("CreateTime", 1), ("LogAppendTime", 0)])
def test_f5_a_topic_of_before_that_the_broker_does_not_stamp_is_said_with_the_remedy(stamped_by: str, warnings: int) -> None:
    """An installation that was upgraded and not initialised again: memberships end by the worker's clock alone."""
    settings = Settings()
    topics: Any = Topics(settings, message_timestamp_type=stamped_by)

    with capture_logs() as said:
        require_safe(topics, settings)

    found = [line for line in said if line["event"] == "clock_is_not_guarded"]
    assert len(found) == warnings
    for line in found:
        assert line["remedy"].endswith(f"--entity-name {settings.topics.worker_status} --add-config message.timestamp.type=LogAppendTime")
