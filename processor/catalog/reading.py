"""The topics of the control plane, read once to their ends: for whoever looks and writes nothing."""

from collections.abc import Collection, Mapping
from typing import Final

from processor.catalog.state import ControlState, Topic
from processor.foundation.settings import Settings
from processor.foundation.settings_processing import TopicNames
from processor.kafka.reading import read_topic

ALL: Final = (Topic.FLOWS, Topic.AUDIENCES, Topic.CONNECTIONS)


def topic_names(names: TopicNames) -> Mapping[Topic, str]:
    """Return what the topics of the control plane are called."""
    return {
        Topic.FLOWS: names.flows,
        Topic.AUDIENCES: names.audiences,
        Topic.CONNECTIONS: names.connections,
        Topic.AUDIT_EVENTS: names.audit_events,
    }


def read_state(settings: Settings, topics: Collection[Topic] = ALL) -> ControlState:
    """Read what these topics say now; writes nothing, and is in nobody's way. Raises BrokerUnreachable, ReadFailed."""
    state, names = ControlState(), topic_names(settings.topics)
    for topic in topics:
        state = state.after((topic, record) for record in read_topic(settings, names[topic]))
    return state
