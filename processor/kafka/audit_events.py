"""The topic `audit-events`, read for the etags that it names."""

from collections.abc import Collection

from processor.control.audit import FlowEtag, etags_named
from processor.kafka.reading import read_topic
from processor.settings import Settings


def unnamed_etags(settings: Settings, wanted: Collection[FlowEtag]) -> set[FlowEtag]:
    """Give those of `wanted` that no audit event names; reads no further than it must. Raises as `read_topic` does."""
    missing = set(wanted)
    if not missing:
        return missing
    for event in read_topic(settings, settings.topics.audit_events):
        missing.difference_update(etags_named(event.key, event.value))
        if not missing:
            break
    return missing
