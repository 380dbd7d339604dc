"""A writer that fences all others of its purpose: whoever begins last is the only one, and has settled what they left.

                  transactional (exactly_once)                       plain (at_least_once)
    begin         fences every other writer of the purpose           nothing
    write         one transaction, whatever the number of steps      each step acknowledged before the next is sent

Every writer of a purpose has the same transactional id, `APP_ID-PURPOSE`. Without transactions nothing fences: one
writer at a time is the operator's duty.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer

from processor.foundation.settings import Settings
from processor.foundation.settings_processing import ProcessingGuarantee
from processor.kafka.connection import Properties, producer_config, transactional_config
from processor.kafka.errors import WriteFailed
from processor.kafka.queueing import enqueue
from schemas.kafka import ProducerRecord

Answer = TypeVar("Answer")

ANSWER_SECONDS: Final = 20.0
"""Also of a transaction: so long, at most, one whose writer was killed holds back the readers of its topics."""
ABORT_SECONDS: Final = 5.0
MOST_FAULTS: Final = 20
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_TXN_STATE,  # the coordinator settles our transaction for another one
    }
)


class WriterFenced(Exception):
    """Another writer of the same purpose has begun: nothing of what was to be written is there."""


class OutgoingRecord(NamedTuple):
    """A record and where it goes; `name` stands for it in an error."""

    topic: str
    record: ProducerRecord
    partition: int = 0
    name: str = ""


class FencedWriter:
    """A writer of one purpose; `begin` comes first, and again after a failure, whose outcome nobody knows.

    `client`: properties of librdkafka beside ours. Raises WriterFenced; WriteFailed for everything else.
    """

    def __init__(
        self,
        settings: Settings,
        purpose: str,
        *,
        client: Properties | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        abort_seconds: float = ABORT_SECONDS,
    ) -> None:
        self.is_transactional = settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
        self._answer_seconds, self._abort_seconds = answer_seconds, abort_seconds
        self._faults: list[str] = []
        self._producer: Producer | None = None
        self._properties: dict[str, Any] = producer_config(settings) | {
            "message.timeout.ms": int(answer_seconds * 1000)
        }
        self._properties |= client or {}
        if self.is_transactional:
            self._properties |= transactional_config(settings, purpose, answer_seconds)

    def begin(self) -> None:
        """Fence every other writer of the purpose, and settle what it, or we, left open."""
        self._producer = None
        self._producer = producer = Producer(self._properties)
        if self.is_transactional:
            self._ask(lambda: producer.init_transactions(self._answer_seconds))

    def write(self, *steps: Iterable[OutgoingRecord], on_sent: Callable[[], None] = lambda: None) -> None:
        """Write the records of all steps, in their order; when this returns they are durable.

        `on_sent` is called once in the middle: before the commit, or, without transactions, after the first step.
        """
        if self.is_transactional:
            self._write_transaction(steps, on_sent)
            return
        for number, step in enumerate(steps):
            self._send(step)
            if not number:
                on_sent()

    def close(self) -> None:
        """Drop what waits in the queue; what an open transaction holds is settled by whoever begins next."""
        if self._producer is not None:
            self._producer.purge()

    @property
    def _begun(self) -> Producer:
        assert self._producer is not None, "begin first"
        return self._producer

    def _write_transaction(self, steps: Sequence[Iterable[OutgoingRecord]], on_sent: Callable[[], None]) -> None:
        self._ask(self._begun.begin_transaction)
        try:
            self._send(record for step in steps for record in step)
            on_sent()
            self._ask(lambda: self._begun.commit_transaction(self._answer_seconds))
        except BaseException:
            with suppress(KafkaException):  # where it is fenced there is nothing to abort
                self._begun.abort_transaction(self._abort_seconds)
            raise

    def _send(self, records: Iterable[OutgoingRecord]) -> None:
        """Send records and wait until they are acknowledged."""
        self._faults.clear()
        for record in records:
            self._ask(partial(self._enqueue, record))
        left = self._ask(lambda: self._begun.flush(self._answer_seconds))
        if left:
            self._faults.append(f"  {left} records were not acknowledged")
        self._raise_faults()

    def _enqueue(self, outgoing: OutgoingRecord) -> None:
        record = outgoing.record
        told: dict[str, Any] = (
            {} if self.is_transactional else {"on_delivery": partial(self._note_fault, outgoing.name)}
        )  # a transaction that lacks a record fails itself
        enqueue(
            self._begun,
            outgoing.topic,
            record.value,
            record.key,
            self._raise_faults,
            partition=outgoing.partition,
            timestamp=record.timestamp or 0,  # librdkafka's 0 is now
            headers=record.headers,
            **told,
        )

    def _note_fault(self, name: str, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._faults.append(f"  {name}: {error.str()}" if name else f"  {error.str()}")

    def _raise_faults(self) -> None:
        if self._faults:
            rest = len(self._faults) - MOST_FAULTS
            raise WriteFailed(self._faults if rest <= 0 else [*self._faults[:MOST_FAULTS], f"  and {rest} more"])

    def _ask(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() in _FENCED:
                raise WriterFenced from None
            raise WriteFailed([f"  {reason.str()}"]) from None
