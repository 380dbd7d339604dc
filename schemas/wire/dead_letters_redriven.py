"""The compacted topic `dead-letters-redriven`: which dead letters were sent again, a record for each.

    key    the dead letter's fingerprint
    value  {"time": "<C8>", "topic": "<where it went>", "letter": [<partition>, <offset>]}

A record is written in the transaction that sends the letter.
"""

from typing import Any, NamedTuple

import orjson

from schemas.dead_letter import StoredDeadLetter
from schemas.kafka import ProducerRecord


class RedriveMarker(NamedTuple):
    """A dead letter was sent again: when (C8), and to which topic."""

    time: str
    topic: str


def encode_redrive_marker(letter: StoredDeadLetter, marker: RedriveMarker) -> ProducerRecord:
    """Return the record that says that a dead letter was sent again."""
    value = {"time": marker.time, "topic": marker.topic, "letter": [letter.partition, letter.offset]}
    return ProducerRecord(letter.fingerprint.encode(), orjson.dumps(value))


def decode_redrive_marker(key: bytes, value: bytes) -> tuple[str, RedriveMarker]:
    """Return the fingerprint of a dead letter, and when and where it was sent again."""
    fields: Any = orjson.loads(value)
    return key.decode(), RedriveMarker(fields["time"], fields["topic"])
