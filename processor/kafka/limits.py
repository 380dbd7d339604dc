"""The limits of topics, as the broker says when the worker starts: how large a batch may be, and how old a record."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from processor.kafka.admin import Admin, TopicConfigs
from processor.kafka.timestamps import oldest_age_ms

BATCH_BYTES: Final = 1024 * 1024
"""Of a record batch of ours, before it is compressed."""


class TopicLimits(NamedTuple):
    """The limits of one topic; None where the broker does not tell, or sets no bound.

    `max_message_bytes`: of a batch as it is compressed. `oldest_age_ms`: before now.
    """

    max_message_bytes: int | None = None
    oldest_age_ms: int | None = None


UNKNOWN: Final = TopicLimits()
NO_LIMITS: Final[Mapping[str, TopicLimits]] = {}


def topic_limits(admin: Admin, topics: Sequence[str]) -> dict[str, TopicLimits]:
    """Return the limits of these topics; raises BrokerUnreachable."""
    return limits_of(admin.configs(topics), topics)


def limits_of(told: TopicConfigs | None, topics: Sequence[str]) -> dict[str, TopicLimits]:
    """Return the limits of these topics, as their configurations say."""
    return {topic: _limits(None if told is None else told.found.get(topic)) for topic in topics}


def _limits(config: Mapping[str, str] | None) -> TopicLimits:
    if config is None:
        return UNKNOWN
    size = config.get("max.message.bytes")
    return TopicLimits(None if size is None else int(size), oldest_age_ms(config))
