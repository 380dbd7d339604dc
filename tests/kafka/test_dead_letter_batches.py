"""Dead letters as batches: what fits, and what a topic that is too narrow says (contract I4, G2); the canary of
aiokafka's BatchBuilder.
"""

import os
from collections.abc import AsyncIterator
from functools import partial
from random import Random

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from processor.delivery.ports import ExportDeadLetter
from processor.kafka.dead_letter_batches import batch_bytes, dead_letter_batch, fits_alone
from processor.kafka.errors import RecordTooLarge
from processor.kafka.producers import SharedProducer
from processor.kafka.reading import read_topic
from processor.worker.adapters.dead_letters import TopicDeadLetters
from processor.worker.adapters.origins import explain_refusal
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.kafka import ProducerRecord
from tests.kit.installation import Installation
from tests.kit.topics import create_topic

MIB = 1024 * 1024


def letter(value: bytes) -> ProducerRecord:
    return ProducerRecord(b"k", value, [("reason", b"bad_shape")])


@pytest.mark.parametrize(
    "value", [b"", b"x" * 100, Random(1).randbytes(300_000), b"x" * (3 * MIB)], ids=["empty", "small", "random", "even"]
)
def test_a_letter_fits_where_its_batch_as_kafka_counts_it_is_no_larger_than_the_topic_takes(value: bytes) -> None:
    size = batch_bytes(letter(value))

    assert fits_alone(letter(value), size)
    assert not fits_alone(letter(value), size - 1)


async def test_a_producer_makes_its_batches_of_the_class_that_letters_lean_on() -> None:
    """Canary: letters are batches as its own, with another compression."""
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", compression_type="snappy")
    own = producer.create_batch()

    assert type(own) is type(dead_letter_batch(is_transactional=False)) is BatchBuilder
    for batch in (own, dead_letter_batch(is_transactional=True)):
        batch.append(timestamp=1, key=b"k", value=b"v" * 10_000, headers=[])
        assert (batch.record_count(), batch.size() > 10_000, len(batch._build()) < 1_000) == (1, True, True)
    await producer.stop()


@pytest.fixture
async def producer(installation: Installation) -> AsyncIterator[SharedProducer]:
    shared = SharedProducer(installation.settings, partial(explain_refusal, "profile-events"))
    await shared.start()
    yield shared
    await shared.stop()


def make_dead_letter(value: bytes, offset: int) -> ExportDeadLetter:
    letter = DeadLetter("exports", 0, offset, b"k", value, DeadLetterReason.RECORD_TOO_LARGE, "", None)
    return ExportDeadLetter(letter, (), 1)


async def test_g2_a_record_that_kinesis_does_not_take_becomes_a_letter_however_large_it_is_uncompressed(
    installation: Installation, kafka: str, producer: SharedProducer
) -> None:
    topic, large = create_topic(kafka, max_message_bytes=str(2 * MIB)), b'{"name":"x"}' * 400_000

    await TopicDeadLetters(producer, topic).put(
        [make_dead_letter(b"1", 6), make_dead_letter(large, 7), make_dead_letter(b"2", 8)]
    )

    assert [record.value for record in read_topic(installation.settings, topic)] == [b"1", large, b"2"]


async def test_i4_a_letter_of_delivery_that_its_topic_does_not_take_names_the_record_and_the_remedy(
    kafka: str, producer: SharedProducer
) -> None:
    topic = create_topic(kafka, max_message_bytes=str(MIB))

    with pytest.raises(RecordTooLarge) as refused:
        await TopicDeadLetters(producer, topic).put([make_dead_letter(os.urandom(2 * MIB), 7)])

    assert "what came of exports[0] offset 7" in str(refused.value)
    assert f"raise max.message.bytes of {topic}" in str(refused.value)
    assert "SKIP_TO" not in str(refused.value), "it is about profile events"
