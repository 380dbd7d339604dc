"""Messages of confluent-kafka as records of ours, and the errors that come in their place."""

from typing import Final

from confluent_kafka import KafkaError, Message

from processor.kafka.errors import ReadDenied, ReadFailed
from schemas.kafka import ReadRecord

NO_PARTITION: Final = -1
_ABOUT_THE_CONNECTION: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)


def next_position(message: Message) -> tuple[int, int]:
    """Return a message's partition, and the offset after it; (NO_PARTITION, 0) for what the client mends itself.

    Raises ReadFailed, and ReadDenied where we may not read the topic.
    """
    error, partition, offset = message.error(), message.partition(), message.offset()
    if error is not None and error.code() in _ABOUT_THE_CONNECTION:
        return NO_PARTITION, 0
    if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise ReadFailed(
            f"{message.topic()}[{partition}]: records were removed before they were read (retention, or deleted"
            " records); try again"
        )
    if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise ReadDenied(
            f"{message.topic()}[{partition}]: {error.str()}: allow this principal the operation Read on it"
        )
    if partition is None or offset is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
        raise ReadFailed(
            f"{message.topic()}[{partition}]: {error.str() if error is not None else 'a record without a place'}"
        )
    return partition, offset + (error is None)


def as_record(message: Message) -> ReadRecord:
    """Return a message that is no error as a record, bytes as they were."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, timestamp = message.timestamp()
    headers = tuple((name, _bytes(value)) for name, value in _header_pairs(message))
    return ReadRecord(topic, partition, offset, timestamp if kind else None, message.key(), message.value(), headers)


def _header_pairs(message: Message) -> list[tuple[str, str | bytes | None]]:
    headers = message.headers()
    return list(headers.items()) if isinstance(headers, dict) else list(headers or ())


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
