"""Record batches for `dead-letters`, where unusable events stand whole, however well they were compressed (I4).

Kafka bounds a batch as it is compressed (`max.message.bytes`), so an event of megabytes may stand on profile-events.
Dead letters are compressed with zstd, which comes close to what any producer reached; snappy, as rows have it, would
make many times as much of the same event.

The module leans on aiokafka's BatchBuilder, which its producer makes with a compression of its own (canary:
tests/kafka/test_dead_letter_batches.py).
"""

from typing import Final

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from processor.kafka.limits import BATCH_BYTES
from schemas.kafka import ProducerRecord

ZSTD_LEVEL: Final = 3
"""Which aiokafka takes, and Kafka itself by default."""
_HEADER_BYTES: Final = 61  # of a batch (KIP-98)
_RECORD_BYTES: Final = 64  # of a record and of a header, beside what they hold: lengths, at most about


def dead_letter_batch(*, is_transactional: bool) -> BatchBuilder:
    """Make an empty batch, as the client's `create_batch` does."""
    return BatchBuilder(BATCH_BYTES, DefaultRecordBatch.CODEC_ZSTD, is_transactional=is_transactional)


def fits_alone(letter: ProducerRecord, limit_bytes: int) -> bool:
    """Return whether a topic of this `max.message.bytes` takes the dead letter in a batch of its own."""
    return _most_bytes(letter) <= limit_bytes or batch_bytes(letter) <= limit_bytes


def batch_bytes(letter: ProducerRecord) -> int:
    """Return the size of the dead letter's batch as Kafka counts it."""
    batch = dead_letter_batch(is_transactional=False)
    batch.append(timestamp=letter.timestamp or 0, key=letter.key, value=letter.value, headers=letter.headers)
    return len(batch._build())


def _most_bytes(letter: ProducerRecord) -> int:
    """Return a size never below that of the batch, where nothing of it can be compressed."""
    headers = sum(len(name) + len(value or b"") + _RECORD_BYTES for name, value in letter.headers)
    size = _HEADER_BYTES + _RECORD_BYTES + len(letter.key or b"") + len(letter.value or b"") + headers
    return size + size // 8192  # zstd adds 3 bytes to 128 KiB of what it cannot compress
