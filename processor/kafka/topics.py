"""The topics as they should be: names, partitions, and the configuration that correctness rests on.

    partitions = setting   profile-events ─ exports ─ dead-letters ─ delivery-positions ─ job-progress ─ changelog
    one partition          flows ─ audiences ─ connections ─ audit-events ─ dead-letters-redriven ─ worker-status

Those of the first line have the same number, since what comes of an event stands in the partition of the event.
`exports`, `dead-letters` and `audit-events` are never removed by time; all but those and `profile-events` keep the last
record of each key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from processor.foundation.settings import Settings

_KEPT_FOR_EVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}
LETTER_BYTES: Final = 8 * 1024 * 1024
"""Of a dead letter as it is compressed, at least: an event may hold many times what its producer made of it
(kafka/letter_batches.py). Managed brokers take no more.
"""
EVENT_BYTES: Final = (
    1024 * 1024 + 12
)  # Kafka's own default, whatever the broker's: an event must fit on `dead-letters`, whole
_COMPACTED: Final = {"cleanup.policy": "compact"}
_STAMPED_BY_THE_BROKER: Final = {"message.timestamp.type": "LogAppendTime"}  # pipeline/broker_clock.py
_COMPACTED_SOON: Final = {
    "segment.ms": "600000"
}  # they are read whole, again and again: what is overwritten every second must not stay for a week


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be.

    `config` holds what differs from the broker's defaults and must hold, `initial` what `init` sets and others may
    change.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=_nothing)
    initial: Mapping[str, str] = field(default_factory=_nothing)


def topic_specs(settings: Settings) -> tuple[TopicSpec, ...]:
    """Return all topics as they should be."""
    names, count = settings.topics, settings.partitions
    large = {"max.message.bytes": str(settings.max_message_bytes)}
    return (
        TopicSpec(names.profile_events, count, initial={"max.message.bytes": str(EVENT_BYTES)}),
        TopicSpec(names.exports, count, _KEPT_FOR_EVER | large),
        TopicSpec(
            names.dead_letters,
            count,
            _KEPT_FOR_EVER,
            {"max.message.bytes": str(max(LETTER_BYTES, settings.max_message_bytes))},
        ),
        TopicSpec(names.changelog, count, _COMPACTED | large),
        TopicSpec(names.delivery_positions, count, _COMPACTED | large, _COMPACTED_SOON),
        TopicSpec(names.job_progress, count, _COMPACTED, _COMPACTED_SOON),
        TopicSpec(names.flows, 1, _COMPACTED),
        TopicSpec(names.audiences, 1, _COMPACTED),
        TopicSpec(names.redriven, 1, _COMPACTED),
        TopicSpec(names.worker_status, 1, _COMPACTED | _STAMPED_BY_THE_BROKER),
        TopicSpec(names.connections, 1, _COMPACTED),
        TopicSpec(names.audit_events, 1, _KEPT_FOR_EVER),
    )
