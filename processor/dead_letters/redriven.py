"""The topic `dead-letters-redriven`: which letters were sent again.

Compacted, a record a letter, written with what was sent.

key    the letter's fingerprint
value  {"time": "<C8>", "topic": "<where it went>", "letter": [<partition>, <offset>]}
"""

from typing import Any

import orjson

from processor.dead_letters.letter import Letter
from processor.dead_letters.selection import Mark
from processor.foundation.settings import Settings
from processor.kafka.reading import read_compacted


def read_marks(settings: Settings) -> dict[str, Mark]:
    """By fingerprint."""
    marks = {}
    for key, value in read_compacted(settings, settings.topics.redriven).items():
        fields: Any = orjson.loads(value)
        marks[key.decode()] = Mark(fields["time"], fields["topic"])
    return marks


def mark_record(letter: Letter, mark: Mark) -> tuple[bytes, bytes]:
    """Key and value."""
    return letter.fingerprint.encode(), orjson.dumps(
        {"time": mark.time, "topic": mark.topic, "letter": [letter.partition, letter.offset]}
    )
