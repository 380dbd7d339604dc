"""A record of the topic `dead-letters`, read: what it was, why it is there, and what tells it from all others."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from schemas.dead_letter import OF_DELIVERY, DeadLetter, DeadLetterHeader, DeadLetterReason
from schemas.export import ExportHeader
from schemas.kafka import ConsumerRecord, Headers
from schemas.times import normal_time, parse_time

_FINGERPRINT_BYTES = 16


class BadLetter(ValueError):
    """The record was not written by this product, or is broken; the text says where it stands and what is missing."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`partition` and `offset` are its place on `dead-letters`; those of the record it was are in `was`.

    `headers` are those that the record had before (contract G8), `attempts` how often it was sent; None: it is no
    letter of delivery. `timestamp` is the letter's own. `order`: letters of one lane leave by it, the offset of the
    profile event that they come from.
    """

    partition: int
    offset: int
    timestamp: int | None
    was: DeadLetter
    headers: Headers
    flow_id: str | None
    record_id: str | None
    attempts: int | None
    order: int

    @property
    def place(self) -> str:
        """For people, and for `dead-letters show`."""
        return f"{self.partition}:{self.offset}"

    @property
    def is_of_delivery(self) -> bool:
        """Whether it was a record of `exports`; else it was a profile event."""
        return self.was.reason in OF_DELIVERY

    @property
    def source_timestamp(self) -> int | None:
        """Kafka's timestamp of the record that it was, in milliseconds; of a record of `exports` as exactly as
        `was.time` is.
        """
        return parse_time(self.was.time) * 1000 if self.is_of_delivery and self.was.time is not None else self.timestamp

    @property
    def lane(self) -> tuple[int, bytes | None, str | None]:
        """Letters with equal lanes are sent again by their `order`: one profile and flow, or one profile's events."""
        return self.partition, self.was.key, self.flow_id

    @property
    def fingerprint(self) -> str:
        """The same for every copy of a letter (a crash may repeat one), and for nothing else: hexadecimal digits."""
        was = self.was
        parts = (
            was.topic.encode(),
            b"%d" % was.partition,
            b"%d" % was.offset,
            (was.time or "").encode(),
            was.key,
            was.value,
        )
        digest = blake2b(digest_size=_FINGERPRINT_BYTES)
        for part in parts:
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
        return digest.hexdigest()


def read_letter(record: ConsumerRecord) -> Letter:
    """The letter; raises BadLetter."""
    before, own = _split(record)
    texts, kept = _texts(own), _texts(before)
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
        order = int(kept.get(ExportHeader.SOURCE_OFFSET, was.offset)) if was.reason in OF_DELIVERY else was.offset
    except KeyError as missing:
        raise _bad(record, f"it has no header {missing.args[0]}") from None
    except ValueError as error:
        raise _bad(record, str(error)) from None
    of_export = (
        kept if was.reason in OF_DELIVERY else {}
    )  # headers of an event are its producer's, whatever they are called
    flow_id, record_id = of_export.get(ExportHeader.FLOW_ID), of_export.get(ExportHeader.RECORD_ID)
    return Letter(record.partition, record.offset, record.timestamp, was, before, flow_id, record_id, attempts, order)


def _split(record: ConsumerRecord) -> tuple[Headers, Headers]:
    """The headers that the record had before, and ours, which begin with the last `topic`."""
    starts = [index for index, (name, _) in enumerate(record.headers) if name == DeadLetterHeader.TOPIC]
    if not starts:
        raise _bad(record, f"it has no header {DeadLetterHeader.TOPIC}")
    return record.headers[: starts[-1]], record.headers[starts[-1] :]


def _texts(headers: Headers) -> Mapping[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


def _bad(record: ConsumerRecord, why: str) -> BadLetter:
    return BadLetter(f"{record.topic} {record.partition}:{record.offset} is no dead letter of ours: {why}")
