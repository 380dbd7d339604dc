"""Dead letters sent again: records back to where they came from, and the marks that say so.

                  transactional (exactly_once)                  plain (at_least_once)
    begin         fences a redrive that runs, or was killed     nothing
    write         one transaction: records and marks            records acknowledged, then marks

So a letter whose record is there without its mark exists only without transactions, after a kill between the two: it is
sent again, with the same bytes and the same record id (D3). None is marked that was not sent.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer

from processor.foundation.errors import CommandError
from processor.foundation.fault_points import fault_point
from processor.foundation.settings import ProcessingGuarantee, Settings
from processor.kafka.connection import FENCED, Properties, producer_config, transactional_config
from processor.kafka.dead_letter_batches import ZSTD_LEVEL
from processor.kafka.errors import WriteFailed
from processor.kafka.producers import MAX_REQUEST_BYTES
from processor.kafka.queueing import enqueue
from processor.kafka.reading import read_compacted
from schemas.dead_letter import StoredDeadLetter
from schemas.wire.dead_letters_redriven import RedriveMarker, decode_redrive_marker, encode_redrive_marker

Answer = TypeVar("Answer")

ACKNOWLEDGE_SECONDS: Final = (
    20.0  # also the transaction's: so long, at most, one that was killed holds back the readers of its topics
)
ABORT_SECONDS: Final = 5.0
_AS_LARGE_AS_LETTERS: Final[Properties] = {
    "message.max.bytes": MAX_REQUEST_BYTES,
    "compression.type": "zstd",
    "compression.level": ZSTD_LEVEL,
}
"""As dead letters are written: what a topic takes, it says itself, and letters that it does not take are left
(`Fate.TOPIC_TOO_NARROW`).
"""
_MOST_FAULTS: Final = 5
_AGAIN: Final = "  start it again: what was sent is marked, the rest is sent then"


class RedriveFenced(CommandError):
    """Another redrive has taken over."""

    def __init__(self) -> None:
        super().__init__(
            "another `dead-letters redrive` was started: it goes on, this one has stopped\n  nothing is lost; only one"
            " runs at a time"
        )


class Sent(NamedTuple):
    """A letter, the mark that says it was sent again, and the partition that it goes to."""

    letter: StoredDeadLetter
    mark: RedriveMarker
    partition: int


class Redriver:
    """From its beginning to its end nobody else redrives (with transactions). Raises WriteFailed, RedriveFenced."""

    def __init__(self, settings: Settings) -> None:
        self._marks = settings.topics.redriven
        self._transactional = settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
        self._faults: list[str] = []
        properties = (
            producer_config(settings) | _AS_LARGE_AS_LETTERS | {"message.timeout.ms": int(ACKNOWLEDGE_SECONDS * 1000)}
        )
        if self._transactional:
            properties |= transactional_config(settings, "redrive", ACKNOWLEDGE_SECONDS)
        self._producer = Producer(properties)

    def __enter__(self) -> Self:
        if self._transactional:
            self._asked(lambda: self._producer.init_transactions(ACKNOWLEDGE_SECONDS))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()
        if kind is not None and self._transactional:
            with suppress(KafkaException):  # none was open, or it is settled by the next redrive
                self._producer.abort_transaction(ABORT_SECONDS)

    def write(self, sent: list[Sent]) -> None:
        """Send these, in this order, and mark them; when it returns both are durable.

        When it raises, what was sent may be unmarked.
        """
        if not self._transactional:
            self._records(sent)
            self._flush()
            fault_point("redriven_sent")
            self._mark(sent)
            self._flush()
            return
        self._asked(self._producer.begin_transaction)
        self._records(sent)
        self._mark(sent)
        self._flush()
        fault_point("redriven_sent")
        self._asked(lambda: self._producer.commit_transaction(ACKNOWLEDGE_SECONDS))

    def _records(self, sent: list[Sent]) -> None:
        for letter, mark, partition in sent:
            again = {
                "partition": partition,
                "timestamp": letter.source_timestamp or 0,
                "headers": letter.headers,
            }  # librdkafka's 0 is now
            self._produce(letter.place, mark.topic, letter.was.key, letter.was.value, **again)

    def _mark(self, sent: list[Sent]) -> None:
        for letter, mark, _ in sent:
            record = encode_redrive_marker(letter, mark)
            self._produce(letter.place, self._marks, record.key, record.value)

    def _produce(self, name: str, topic: str, key: bytes | None, value: bytes | None, **more: Any) -> None:
        def note(error: KafkaError | None, _: object) -> None:
            if error is not None:
                self._faults.append(f"  {name}: {error.str()}")

        told: dict[str, Any] = (
            {} if self._transactional else {"on_delivery": note}
        )  # a transaction with a record that failed does not commit
        headers = list(more.pop("headers", ()))
        self._asked(lambda: enqueue(self._producer, topic, value, key, headers=headers, **told, **more))

    def _flush(self) -> None:
        left = self._asked(lambda: self._producer.flush(ACKNOWLEDGE_SECONDS))
        faults = self._faults[:_MOST_FAULTS]
        faults += [f"  {left} records were not acknowledged"] if left else []
        if faults:
            raise WriteFailed([*faults, _AGAIN])

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except KafkaException as error:
            raise self._told(error) from None

    def _told(self, error: KafkaException) -> CommandError:
        reason: KafkaError = error.args[0]
        if reason.code() in FENCED:
            return RedriveFenced()
        return WriteFailed([f"  {reason.str()}", _AGAIN])


def read_redrive_markers(settings: Settings) -> dict[str, RedriveMarker]:
    """Return when and where dead letters were sent again, by fingerprint."""
    return dict(
        decode_redrive_marker(key, value) for key, value in read_compacted(settings, settings.topics.redriven).items()
    )
