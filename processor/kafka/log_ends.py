"""Where partitions end: up to what is committed, and up to what is written.

A broker acknowledges a commit before it has written the markers that show its records, of one topic a moment earlier
than of another.
"""

import time
from collections.abc import Collection
from typing import Final

from confluent_kafka import Consumer

from processor.foundation.settings import Settings
from processor.kafka.connection import Properties, consumer_config
from processor.kafka.reading import bounds_of

_POLL_SECONDS: Final = 0.1


def stable_ends(settings: Settings, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """The last stable offset of each: what comes later is not shown yet. Raises BrokerUnreachable."""
    return _ends(settings, topic, partitions, {})


def wait_until_shown(settings: Settings, topic: str, partitions: Collection[int], deadline: float) -> bool:
    """Whether all that is written now can be read, before `deadline` of the monotonic clock.

    Raises BrokerUnreachable.
    """
    written = _ends(settings, topic, partitions, {"isolation.level": "read_uncommitted"})
    while True:
        shown = stable_ends(settings, topic, partitions)
        if all(shown[partition] >= end for partition, end in written.items()):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def _ends(settings: Settings, topic: str, partitions: Collection[int], differently: Properties) -> dict[int, int]:
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader") | differently)
    try:
        return {partition: bounds_of(settings, consumer, topic, partition)[1] for partition in partitions}
    finally:
        consumer.close()
