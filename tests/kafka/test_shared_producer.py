"""What the broker says of a record that it stamps itself, and of one that it does not."""

import time

from processor.kafka.shared_producer import SharedProducer
from processor.pipeline.ports import KafkaRecord
from tests.kit.installation import Installation
from tests.kit.topics import create_topic

SECONDS = 60.0


async def test_the_time_of_a_record_is_told_where_the_topic_is_stamped_by_the_broker(installation: Installation, kafka: str) -> None:
    installation.init()
    producer = SharedProducer(installation.settings)
    await producer.start()

    by_the_broker = await producer.write_stamped(installation.topics.worker_status, KafkaRecord(b"worker", b"{}", timestamp=1))
    by_us = await producer.write_stamped(create_topic(kafka), KafkaRecord(b"worker", b"{}", timestamp=1))
    await producer.stop()

    assert by_the_broker is not None
    assert abs(by_the_broker - time.time()) < SECONDS
    assert by_us is None
