"""What the broker says of a record that it stamps itself, and of one that it does not."""

import os
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.coordination import FindCoordinatorRequest

from processor.kafka.errors import RecordTooLarge
from processor.kafka.producers import NotWritten, SharedProducer, new_producer
from schemas.kafka import ProducerRecord
from tests.kit.installation import Installation
from tests.kit.topics import create_topic

SECONDS = 60.0


async def test_the_time_of_a_record_is_told_where_the_topic_is_stamped_by_the_broker(
    installation: Installation, kafka: str
) -> None:
    installation.init()
    producer = SharedProducer(installation.settings)
    await producer.start()

    by_the_broker = await producer.write_stamped(
        installation.topics.worker_status, ProducerRecord(b"worker", b"{}", timestamp=1)
    )
    by_us = await producer.write_stamped(create_topic(kafka), ProducerRecord(b"worker", b"{}", timestamp=1))
    await producer.stop()

    assert by_the_broker is not None
    assert abs(by_the_broker - time.time()) < SECONDS
    assert by_us is None


async def test_a_record_that_its_topic_does_not_take_stops_for_the_operator_and_a_report_is_only_left_out(
    installation: Installation, kafka: str
) -> None:
    """A row of `delivery-positions` that is not written would be written again by every owner, for ever."""
    topic, large = create_topic(kafka, max_message_bytes="1000"), ProducerRecord(b"worker", os.urandom(10_000))
    producer = SharedProducer(installation.settings)
    await producer.start()

    with pytest.raises(RecordTooLarge, match=f"raise max.message.bytes of {topic}"):
        await producer.write(topic, [(0, large)])
    with pytest.raises(NotWritten):
        await producer.write_stamped(topic, large)
    await producer.stop()


async def test_a_connection_that_closes_while_a_coordinator_is_looked_up_does_not_end_a_producer(
    installation: Installation,
) -> None:
    """aiokafka's sender ended with it, and the worker with the sender, where a broker was restarted."""
    producer = new_producer(installation.settings, f"{installation.settings.app_id}-lookups")
    send, lost = producer.client.send, 0

    async def send_on_lost_connections(node: int, request: Any, **rest: Any) -> Any:
        nonlocal lost
        if isinstance(request, FindCoordinatorRequest) and lost < 2:
            lost += 1
            raise KafkaConnectionError("closed")
        return await send(node, request, **rest)

    producer.client.send = send_on_lost_connections
    await producer.start()
    await producer.stop()

    assert lost == 2
