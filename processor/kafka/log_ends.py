"""The start and the end of partitions' logs: up to what is committed, and up to what is written.

A broker acknowledges a commit before it has written the markers that show its records, of one topic a moment earlier
than of another.
"""

import time
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from processor.foundation.settings import Settings
from processor.kafka.connection import Properties, consumer_config
from processor.kafka.errors import BrokerUnreachable, ReadFailed

Answer = TypeVar("Answer")

ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_BETWEEN_TRIES_SECONDS: Final = 0.1
_PASSES: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What a broker says while a topic, or a group's coordinator, is being set up."""


def log_bounds(settings: Settings, consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Return the log start and the log end offset (the last stable one); raises BrokerUnreachable."""
    place = TopicPartition(topic, partition)
    bounds = ask_broker(settings, lambda: consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS))
    if bounds is None:
        raise BrokerUnreachable(settings, f"it does not say where {topic}[{partition}] ends")
    start, end = bounds
    return start, end


def partitions_of(settings: Settings, consumer: Consumer, topic: str) -> list[int]:
    """Return the partitions of a topic; raises BrokerUnreachable, and ReadFailed where there is no such topic."""
    topics = ask_broker(settings, lambda: consumer.list_topics(timeout=ANSWER_SECONDS)).topics
    if topic not in topics:
        raise ReadFailed(f"there is no topic {topic}; run `profile-exporter init`")
    return sorted(topics[topic].partitions)


def stable_ends(settings: Settings, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """Return the last stable offset of each partition: what comes later is not shown yet.

    Raises BrokerUnreachable.
    """
    return _ends(settings, topic, partitions, {})


def wait_until_shown(settings: Settings, topic: str, partitions: Collection[int], deadline: float) -> bool:
    """Return whether all that is written now can be read before `deadline` of the monotonic clock.

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


def ask_broker(settings: Settings, ask: Callable[[], Answer]) -> Answer:
    """Return the broker's answer, asked again for 10 s while it sets things up; raises BrokerUnreachable."""
    asking = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_delay(ANSWER_SECONDS),
        wait=wait_fixed(_BETWEEN_TRIES_SECONDS),
        reraise=True,
    )
    try:
        return asking(ask)
    except KafkaException as error:
        raise BrokerUnreachable(settings, error.args[0].str()) from None


def _passes(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _PASSES


def _ends(settings: Settings, topic: str, partitions: Collection[int], differently: Properties) -> dict[int, int]:
    consumer = Consumer(consumer_config(settings, f"{settings.app_id}-reader") | differently)
    try:
        return {partition: log_bounds(settings, consumer, topic, partition)[1] for partition in partitions}
    finally:
        consumer.close()
