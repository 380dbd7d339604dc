"""The topic `dead-letters-redriven`: which dead letters were sent again.

Compacted, a record a letter, written with what was sent.

key    the letter's fingerprint
value  {"time": "<C8>", "topic": "<where it went>", "letter": [<partition>, <offset>]}
"""

from typing import Any

import orjson

from processor.dead_letters.letter import Letter
from processor.dead_letters.selection import RedriveMarker
from processor.foundation.settings import Settings
from processor.kafka.reading import read_compacted


def read_redrive_markers(settings: Settings) -> dict[str, RedriveMarker]:
    """Read the redrive markers, by the dead letter's fingerprint; raises as `read_compacted` does."""
    markers = {}
    for key, value in read_compacted(settings, settings.topics.redriven).items():
        fields: Any = orjson.loads(value)
        markers[key.decode()] = RedriveMarker(fields["time"], fields["topic"])
    return markers


def encode_redrive_marker(letter: Letter, marker: RedriveMarker) -> tuple[bytes, bytes]:
    """Return the key and the value of a redrive marker's record."""
    return letter.fingerprint.encode(), orjson.dumps(
        {"time": marker.time, "topic": marker.topic, "letter": [letter.partition, letter.offset]}
    )
