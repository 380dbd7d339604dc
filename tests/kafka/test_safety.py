"""What a worker says at its start of topics that are configured otherwise, where it is no reason not to start."""

import pytest
from structlog.testing import capture_logs

from processor.foundation.settings import Settings
from processor.kafka.admin import TopicConfigs
from processor.kafka.safety import warn_of_topics
from processor.kafka.topics import topic_specs


def told_of(settings: Settings, **of_worker_status: str) -> TopicConfigs:
    """How topics are configured: as `init` makes them, but what a test says of `worker-status`."""
    given = {"cleanup.policy": "delete", "max.message.bytes": "1048588", "delete.retention.ms": "86400000"}
    configs = {spec.name: {**given, **spec.initial, **spec.config} for spec in topic_specs(settings)}
    configs[settings.topics.worker_status].update(
        {name.replace("_", "."): value for name, value in of_worker_status.items()}
    )
    return TopicConfigs(configs)


@pytest.mark.parametrize(("stamped_by", "warnings"), [("CreateTime", 1), ("LogAppendTime", 0)])
def test_f5_a_topic_of_before_that_the_broker_does_not_stamp_is_said_with_the_remedy(
    stamped_by: str, warnings: int
) -> None:
    """An installation that was upgraded and not initialised again: memberships end by the worker's clock alone."""
    settings = Settings()
    told = told_of(settings, message_timestamp_type=stamped_by)

    with capture_logs() as said:
        warn_of_topics(settings, told)

    found = [line for line in said if line["event"] == "clock_is_not_guarded"]
    assert len(found) == warnings
    for line in found:
        assert line["remedy"].endswith(
            f"--entity-name {settings.topics.worker_status} --add-config message.timestamp.type=LogAppendTime"
        )
