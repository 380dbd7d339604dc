"""The topic `dead-letters`: records that could not be used or delivered, each as it was (contract I4, G4, G9).

    key, value   those of the record that it was
    headers      those that the record had, then DeadLetterHeader: UTF-8 text, numbers decimal

`time` is empty where the record had no timestamp; dead letters of delivery from before lack the header then.
"""

from collections.abc import Mapping
from typing import Final

from schemas.dead_letter import OF_DELIVERY, DeadLetter, DeadLetterReason, StoredDeadLetter
from schemas.kafka import BadRecord, ConsumerRecord, Headers, ProducerHeaders, ProducerRecord, RecordPosition
from schemas.times import normal_time
from schemas.wire.exports import ExportHeaders, decode_export_headers

_NO_EXPORT: Final = ExportHeaders(None, None, None, None)


class DeadLetterHeader:
    """Names of our headers of a record on `dead-letters`."""

    TOPIC: Final = "topic"  # the first of them
    PARTITION: Final = "partition"
    OFFSET: Final = "offset"
    REASON: Final = "reason"
    EXPLANATION: Final = "explanation"
    TIME: Final = "time"
    ATTEMPTS: Final = "attempts"  # of delivery: how often the record was sent


def encode_dead_letter(
    letter: DeadLetter, before: Headers, timestamp: int | None = None, attempts: int | None = None
) -> ProducerRecord:
    """Return the record for `dead-letters`: key, value and headers as they were, then those of I4.

    `before`: the headers that the record had; an event of binary mode is nothing without them. `timestamp` of the new
    record, in milliseconds; None, or negative: the moment when it is written. `attempts`: how often delivery sent it;
    None: it is no dead letter of delivery.
    """
    headers: ProducerHeaders = [
        *before,
        (DeadLetterHeader.TOPIC, letter.topic.encode()),
        (DeadLetterHeader.PARTITION, b"%d" % letter.partition),
        (DeadLetterHeader.OFFSET, b"%d" % letter.offset),
        (DeadLetterHeader.REASON, letter.reason.encode()),
        (DeadLetterHeader.EXPLANATION, letter.explanation.encode(errors="replace")),
        (DeadLetterHeader.TIME, (letter.time or "").encode()),
    ]
    if attempts is not None:
        headers.append((DeadLetterHeader.ATTEMPTS, b"%d" % attempts))
    stamp = timestamp if timestamp is not None and timestamp >= 0 else None
    return ProducerRecord(letter.key, letter.value, headers, stamp)


def decode_dead_letter(record: ConsumerRecord) -> StoredDeadLetter:
    """Return the dead letter of a record; raise BadRecord."""
    before, own = _split(record)
    texts = _texts(own)
    time = texts.get(DeadLetterHeader.TIME) or None
    try:
        was = DeadLetter(
            texts[DeadLetterHeader.TOPIC],
            int(texts[DeadLetterHeader.PARTITION]),
            int(texts[DeadLetterHeader.OFFSET]),
            record.key,
            record.value,
            DeadLetterReason(texts[DeadLetterHeader.REASON]),
            texts.get(DeadLetterHeader.EXPLANATION, ""),
            time and normal_time(time),
        )
        attempts = int(texts[DeadLetterHeader.ATTEMPTS]) if DeadLetterHeader.ATTEMPTS in texts else None
        # headers of an event are its producer's, whatever they are called
        export = decode_export_headers(before) if was.reason in OF_DELIVERY else _NO_EXPORT
        order = was.offset if export.source_offset is None else int(export.source_offset)
    except KeyError as missing:
        raise _bad(record, f"it has no header {missing.args[0]}") from None
    except ValueError as error:
        raise _bad(record, str(error)) from None
    return StoredDeadLetter(
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        was=was,
        headers=before,
        flow_id=export.flow_id,
        record_id=export.record_id,
        attempts=attempts,
        order=order,
    )


def decode_dead_letter_source(headers: Headers) -> RecordPosition | None:
    """Return the position of the record that a dead letter was; None: the headers are not of a dead letter."""
    texts = _texts(headers)
    if DeadLetterHeader.OFFSET not in texts:
        return None
    return RecordPosition(
        texts[DeadLetterHeader.TOPIC],
        int(texts[DeadLetterHeader.PARTITION]),
        int(texts[DeadLetterHeader.OFFSET]),
    )


def _split(record: ConsumerRecord) -> tuple[Headers, Headers]:
    """Return the headers that the record had before, and ours, which begin with the last `topic`."""
    starts = [index for index, (name, _) in enumerate(record.headers) if name == DeadLetterHeader.TOPIC]
    if not starts:
        raise _bad(record, f"it has no header {DeadLetterHeader.TOPIC}")
    return record.headers[: starts[-1]], record.headers[starts[-1] :]


def _texts(headers: Headers) -> Mapping[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


def _bad(record: ConsumerRecord, why: str) -> BadRecord:
    return BadRecord(f"{record.topic} {record.partition}:{record.offset} is no dead letter of ours: {why}")
