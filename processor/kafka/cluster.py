"""The ids of the cluster and of topics, which change when a topic is deleted and created again under its name."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processor.foundation.settings import Settings
from processor.kafka.admin import has_controller
from processor.kafka.connection import confluent_config
from processor.kafka.errors import BrokerUnreachable
from processor.kafka.limits import NO_LIMITS, TopicLimits

ANSWER_SECONDS: Final = 10.0


class ClusterFacts(NamedTuple):
    """The facts that a worker knows of its cluster; None where the broker does not tell, as the embedded one."""

    cluster_id: str | None
    topic_ids: Mapping[str, str | None]
    tombstone_seconds: float | None = None  # how long the changelog keeps a tombstone
    limits: Mapping[str, TopicLimits] = NO_LIMITS  # of the topics that a partition writes


def cluster_facts(settings: Settings, topics: Sequence[str]) -> ClusterFacts:
    """Ask the broker for ids; blocks, for 20 s at most. Raises BrokerUnreachable."""
    client = AdminClient(confluent_config(settings))
    try:
        metadata = client.list_topics(timeout=ANSWER_SECONDS)
        if not has_controller(metadata):  # nobody knows topic ids
            return ClusterFacts(None, dict.fromkeys(topics))
        asked = client.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        return ClusterFacts(
            metadata.cluster_id, {name: str(future.result().topic_id) for name, future in asked.items()}
        )
    except KafkaException as error:
        raise BrokerUnreachable(settings, error.args[0].str()) from None
