"""The timestamps that a topic takes, and how old a record may be to remain.

For one timestamp that is outside, the broker refuses a whole batch, and what is too old is removed within minutes: look
before you write.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

MAX_TIMESTAMP: Final = 2**63 - 1
_BEFORE: Final = "message.timestamp.before.max.ms"
_AFTER: Final = "message.timestamp.after.max.ms"  # an hour by default since Kafka 4.0 (KIP-1030), without bound before
_RETENTION: Final = "retention.ms"  # -1: for ever
_APPEND_TIME: Final = "LogAppendTime"


class TimestampBounds(NamedTuple):
    """The first and last timestamp that a topic takes, and the first that retention leaves; in milliseconds.

    librdkafka cannot send 0, it means now.
    """

    earliest: int = 1
    latest: int = MAX_TIMESTAMP
    kept_from: int = 1

    def __contains__(self, timestamp: object) -> bool:
        return isinstance(timestamp, int) and self.earliest <= timestamp <= self.latest


def timestamp_bounds(config: Mapping[str, str] | None, now_ms: int) -> TimestampBounds:
    """Return the bounds of a topic of this configuration, for records written at `now_ms`.

    Without a configuration, which the broker does not tell, everything is within them.
    """
    if config is None or config.get("message.timestamp.type") == _APPEND_TIME:
        return TimestampBounds()
    before, after = (int(config.get(name, MAX_TIMESTAMP)) for name in (_BEFORE, _AFTER))
    return TimestampBounds(max(1, now_ms - before), min(MAX_TIMESTAMP, now_ms + after), _kept_from(config, now_ms))


def oldest_age_ms(config: Mapping[str, str]) -> int | None:
    """Return how long before now the timestamp of a record may lie; None: as long as it likes."""
    before = int(config.get(_BEFORE, MAX_TIMESTAMP))
    return None if before == MAX_TIMESTAMP or config.get("message.timestamp.type") == _APPEND_TIME else before


def _kept_from(config: Mapping[str, str], now_ms: int) -> int:
    retention_ms = int(config.get(_RETENTION, -1))
    return (
        1
        if retention_ms < 0 or "delete" not in config.get("cleanup.policy", "delete")
        else max(1, now_ms - retention_ms)
    )
