"""A record into librdkafka's queue, with a wait where the queue is full.

The queue holds 100,000 messages or 1 GiB (`queue.buffering.max.*`).
"""

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Producer

_POLL_SECONDS: Final = 0.1


def enqueue(
    producer: Producer,
    topic: str,
    value: bytes | None,
    key: bytes | None,
    while_full: Callable[[], object] = lambda: None,
    **more: Any,
) -> None:
    """Hand one record over, and wait while the queue is full; `more`: further arguments of `Producer.produce`.

    Raises as that does. `while_full` is called at each look for room: what it raises ends the wait. Without it the wait
    ends as well: where nobody answers, `message.timeout.ms` makes room, and ends a transaction.
    """
    while True:
        try:
            producer.produce(topic, value, key, **more)
            return
        except BufferError:
            producer.poll(_POLL_SECONDS)
            while_full()
