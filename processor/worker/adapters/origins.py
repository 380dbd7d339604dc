"""Where a record that is written comes from, for the text of an error: nobody finds an event by the bytes that it led
to.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from schemas.dead_letter import DeadLetterHeader
from schemas.export import ExportHeader
from schemas.kafka import ProducerHeaders
from schemas.wire.profiles_changelog import PROFILE, UnreadableRow, decode_row

_LETTER = (DeadLetterHeader.TOPIC, DeadLetterHeader.PARTITION, DeadLetterHeader.OFFSET)
_EXPORT = (ExportHeader.SOURCE_TOPIC, ExportHeader.SOURCE_PARTITION, ExportHeader.SOURCE_OFFSET)


class Origin(NamedTuple):
    """The record that was read."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] offset {self.offset}"


def origin_of(
    key: bytes | None, value: bytes | None, headers: ProducerHeaders, events: str, partition: int
) -> Origin | None:
    """The origin of an export, a dead letter or a row of `partition` whose events stand on the topic `events`; None: it
    has none.
    """
    named = {name: (text or b"").decode(errors="replace") for name, text in headers}
    for names in (_LETTER, _EXPORT):
        if names[-1] in named:
            return _named(named, names)
    with suppress(UnreadableRow):
        if key is not None and key.startswith(PROFILE) and value is not None:
            return Origin(events, partition, decode_row(value).offset)
    return None


def _named(headers: Mapping[str, str], names: tuple[str, str, str]) -> Origin:
    topic, partition, offset = (headers[name] for name in names)
    return Origin(topic, int(partition), int(offset))
