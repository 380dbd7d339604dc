"""Records out to Kafka: acknowledged by every replica, or refused by name.

    with Writer(settings) as writer:
        writer.write(topic, key, value, name="line 3")
    # here everything is acknowledged; otherwise WriteFailed was raised

A record that is too large does not stop the others; anything else stops the next `write`. Both are in the error's
`faults`, under the record's name. The trap: for one wrong timestamp the broker refuses the record's whole batch, its
neighbours too.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.foundation.settings import Settings
from processor.kafka.connection import producer_config
from processor.kafka.errors import WriteFailed
from processor.kafka.queueing import enqueue

ACKNOWLEDGE_SECONDS: Final = 30.0
_ITS_OWN_FAULT: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE}
)  # a batch of several records is 1 MB at most (batch.size)
_WAKE_SECONDS: Final = (
    0.5  # a connection that is there when librdkafka asks for its producer id saves it a pause of half a second
)
_LATE_SECONDS: Final = 5.0  # librdkafka looks once a second for what was not acknowledged in time
_MOST_FAULTS: Final = 20
_ANY: Final = -1  # RD_KAFKA_PARTITION_UA: the partitioner says
Headers = list[tuple[str, str | bytes | None]]
OnPlace = Callable[[int, int], None]
"""(partition, offset): where a record that is acknowledged stands."""


class Writer:
    """A producer for the length of a `with`; `acknowledged` counts what the broker has."""

    def __init__(self, settings: Settings, acknowledge_seconds: float = ACKNOWLEDGE_SECONDS) -> None:
        self._seconds = acknowledge_seconds
        self._producer = Producer(producer_config(settings) | {"message.timeout.ms": int(acknowledge_seconds * 1000)})
        self._faults: list[str] = []
        self._hopeless = False
        self.acknowledged = 0

    def write(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        name: str,
        timestamp: int | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        on_place: OnPlace | None = None,
    ) -> None:
        """Hand one record over; waits while the queue is full. `value` None is a tombstone.

        `timestamp` in milliseconds; None is now, and so is 0 to librdkafka. `partition` None: that of the key
        (PARTITIONER). `on_place` is called at the latest by `flush`. Raises WriteFailed once a record failed for
        another reason than its size.
        """
        self._stop_when_hopeless()
        try:
            enqueue(
                self._producer,
                topic,
                value,
                key,
                self._stop_when_hopeless,
                headers=headers or [],
                timestamp=timestamp or 0,
                partition=_ANY if partition is None else partition,
                on_delivery=lambda error, message: self._note(name, error, message, on_place),
            )
        except KafkaException as error:  # refused before it was queued
            self._note(name, error.args[0])
            return
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until everything is acknowledged or refused; raises WriteFailed with what was not acknowledged."""
        left = self._producer.flush(self._seconds + _LATE_SECONDS)
        if left:
            self._faults.append(f"  {left} records were not acknowledged")
        if self._faults:
            self._fail()

    def __enter__(self) -> Self:
        with suppress(KafkaException):  # where nobody answers, `flush` says so
            self._producer.list_topics(timeout=_WAKE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()

    def _note(
        self, name: str, error: KafkaError | None, message: Message | None = None, on_place: OnPlace | None = None
    ) -> None:
        if error is None:
            self.acknowledged += 1
            if on_place is not None and message is not None:
                on_place(_known(message.partition()), _known(message.offset()))
            return
        self._hopeless = self._hopeless or error.code() not in _ITS_OWN_FAULT
        self._faults.append(f"  {name}: {error.str()}")

    def _stop_when_hopeless(self) -> None:
        if self._hopeless:
            self._fail()

    def _fail(self) -> None:
        rest = len(self._faults) - _MOST_FAULTS
        raise WriteFailed(self._faults if rest <= 0 else [*self._faults[:_MOST_FAULTS], f"  and {rest} more"])


def _known(number: int | None) -> int:
    assert number is not None  # of a record that was acknowledged by every replica
    return number
