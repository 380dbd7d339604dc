"""The event that a written record comes from, for the text of an error: nobody knows it by the bytes that it led to."""

from contextlib import suppress
from typing import NamedTuple

from processor.kafka.batches import RecordFields, Refusal
from schemas.kafka import ProducerHeaders
from schemas.wire.dead_letters import decode_dead_letter_source
from schemas.wire.exports import decode_export_source
from schemas.wire.profiles_changelog import PROFILE, UnreadableRow, decode_row


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
    """Return the origin of an export, a dead letter or a row of `partition`, or None where it has none.

    The events stand on the topic `events`.
    """
    source = decode_dead_letter_source(headers) or decode_export_source(headers)
    if source is not None:
        return Origin(*source)
    with suppress(UnreadableRow):
        if key is not None and key.startswith(PROFILE) and value is not None:
            return Origin(events, partition, decode_row(value).offset)
    return None


def explain_refusal(events: str, partition: int, first: RecordFields, last: RecordFields) -> Refusal:
    """Say what a refused batch of `partition` holds (`kafka.batches.Explain`); `events` is the topic of the events."""
    began, ended = (_origin_in(events, partition, record) for record in (first, last))
    skip_to = (ended.partition, ended.offset + 1) if ended is not None and ended.topic == events else None
    if began is None or ended is None:
        return Refusal(f"a record of partition {partition}", skip_to)
    return Refusal(f"what came of {began}" if began == ended else f"what came of {began} to {ended.offset}", skip_to)


def _origin_in(events: str, partition: int, record: RecordFields) -> Origin | None:
    key, value, headers, _ = record
    return origin_of(key, value, headers, events, partition)
