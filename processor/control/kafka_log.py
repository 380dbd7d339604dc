"""The log of the control plane on Kafka: `flows`, `audiences`, `connections` and `audit-events`, one transaction a
change.

              newest API ─ claims the topics by a record ─► older APIs are superseded: they stop
    fence ─► read to the end ─► decide ─► one transaction ─► the state, with it
      ▲                                        │ fenced: somebody else wrote, or is about to
      └────────────────────────────────────────┘ Overtaken: decide again by what is there now

What was committed is in the state at once, without being read: nobody can have written in between without fencing us.
When it is read later, it is passed over, so that the state never goes back. Without transactions somebody may have:
then the state is what the topics say, in their order, and a commit reads them to their end.

Every writer has the same transactional id, so whoever begins fences all others, and has read what they had committed
before it decides: no change is lost, whoever makes it. A command comes and goes; an API that was fenced by one goes on.
An API that was fenced by an API stops.

Brokers without transactions (at_least_once): nothing fences, one API at a time is the operator's duty.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from processor.catalog.state import ControlRecord, ControlState, Topic, TopicRecord
from processor.control.own_records import OwnRecords
from processor.control.ports import Overtaken, Superseded
from processor.foundation.gaps import Gap
from processor.foundation.settings import ProcessingGuarantee, Settings, env_name
from processor.kafka.connection import FENCED, Properties, consumer_config, producer_config, transactional_config
from processor.kafka.errors import ReadFailed, WriteFailed
from processor.kafka.queueing import enqueue
from processor.kafka.reading import bounds_of
from schemas.kafka import ReadRecord
from schemas.wire.connections import encode_accepted, encode_writer

Answer = TypeVar("Answer")

ANSWER_SECONDS: Final = (
    20.0  # also the transaction's: so long, at most, one that was killed holds back the readers of its topics
)
LOOK_SECONDS: Final = 0.2  # how late an API sees what a command wrote
STALE_SECONDS: Final = 5.0  # of a state that is still shown; longer than a commit takes
_ABORT_SECONDS: Final = 5.0
_CLAIM_TRIES: Final = 10
_POLL_SECONDS: Final = 0.02
_MOST_FAULTS: Final = 20
_READ: Final = (Topic.FLOWS, Topic.AUDIENCES, Topic.CONNECTIONS)
_OVERTAKEN: Final = FENCED | {KafkaError.INVALID_TXN_STATE}


class TopicTruncated(ReadFailed):
    """Records were removed from a topic that must keep the last one of each key."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(
            f"{gap.topic}: its first {gap.next} offsets were removed (retention, or deleted records): flows, audiences"
            f" or connections may be lost\n  set its cleanup.policy to compact; {env_name('accept_gaps')}={gap.name}"
            " goes on once with what is left: then look at\n  `profile-exporter flows list`, and put your file into"
            " force again"
        )


class KafkaControlLog:
    """From `with` to its end; thread-safe. `is_api`: claims the topics, and stops when another API does.

    `client`: properties of librdkafka beside ours.
    """

    def __init__(self, settings: Settings, *, is_api: bool = False, client: Properties | None = None) -> None:
        names = settings.topics
        self._settings = settings
        self._topics = {
            Topic.FLOWS: names.flows,
            Topic.AUDIENCES: names.audiences,
            Topic.CONNECTIONS: names.connections,
        }
        self._audit_topic = names.audit_events
        self._kinds = {name: topic for topic, name in self._topics.items()}
        self._is_api = is_api
        self._client = client or {}
        self._transactional = settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
        self._name = uuid4().hex
        self._claimed = False
        self._lock = threading.RLock()
        self._state = ControlState()
        self._looked_at = float("-inf")
        self._positions: dict[str, int] = dict.fromkeys(self._kinds, 0)
        self._ours = OwnRecords(_READ)
        self._producer: Producer | None = None
        self._faults: list[str] = []
        self._consumer = Consumer(consumer_config(settings, f"{settings.app_id}-control") | self._client)
        self._asker = Consumer(
            consumer_config(settings, f"{settings.app_id}-control")
        )  # the other one's connection answers after its fetch: 50 ms

    def __enter__(self) -> Self:
        """Fence, read to the end, and claim the topics where it is an API's."""
        self._consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in self._kinds])
        for _ in range(_CLAIM_TRIES):
            self._begin_again()
            first = self._first_records()
            if not first:
                return self
            with suppress(Overtaken):
                self.commit(first)
                self._claimed = self._is_api
                return self
        raise WriteFailed([f"  others wrote {_CLAIM_TRIES} times while this was starting"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._is_api:
            self._wait_until_shown()
        self._consumer.close()
        self._asker.close()
        if self._producer is not None:
            self._producer.purge()

    def state(self) -> ControlState:
        """As it was at most STALE_SECONDS ago, and everything that this log committed; whoever only reads waits for no
        commit.

        Raises ReadFailed where Kafka has not answered for so long.
        """
        if time.monotonic() - self._looked_at >= LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._read_to_end()
            finally:
                self._lock.release()
        if time.monotonic() - self._looked_at > STALE_SECONDS:
            raise ReadFailed(f"Kafka has not answered for {STALE_SECONDS:.0f} s")
        return self._state

    def require_unsuperseded(self) -> None:
        """Raise Superseded where another API has taken over."""
        state = self.state()
        if self._claimed and state.writer != self._name:
            raise Superseded

    def commit(self, records: Sequence[ControlRecord]) -> None:
        """As ControlLog says."""
        with self._lock:
            self.require_unsuperseded()
            if (
                self._producer is None
            ):  # after a failure, whose outcome nobody knows: what it left is settled, and read, before the next change
                self._begin_again()
                raise Overtaken
            try:
                self._write(records)
                if not self._transactional:
                    self._read_to_end()
            except Overtaken:
                self._read_to_end()
                self.require_unsuperseded()
                self._begin_again()
                raise
            except BaseException:
                self._producer = None
                raise
            if self._transactional:
                ours = [(topic, record) for topic, record in records if topic in _READ]
                self._state = self._state.after(ours)
                self._ours.add(ours)

    def _first_records(self) -> list[ControlRecord]:
        """What is to be said at the beginning. Raises TopicTruncated."""
        records: list[ControlRecord] = []
        now_ms = int(time.time() * 1000)
        begins = {topic: self._bounds(name)[0] for name, topic in self._kinds.items()}
        for topic, begin in begins.items():
            gap = Gap(self._topics[topic], 0, self._state.accepted.get(topic, 0), begin)
            if gap.next > gap.first:
                if not self._settings.accepted.cover(gap):
                    raise TopicTruncated(gap)
                records = [(Topic.CONNECTIONS, encode_accepted(begins)._replace(timestamp=now_ms))]
        if self._is_api:
            records.append((Topic.CONNECTIONS, encode_writer(self._name, now_ms)._replace(timestamp=now_ms)))
        return records

    # writing --------------------------------------------------------------------------------------------------------

    def _begin_again(self) -> None:
        """Fence all others, settle what we left open, then read what was committed."""
        self._producer = None
        properties: dict[str, Any] = (
            producer_config(self._settings) | {"message.timeout.ms": int(ANSWER_SECONDS * 1000)} | self._client
        )
        if self._transactional:
            properties |= transactional_config(self._settings, "control", ANSWER_SECONDS) | {"linger.ms": 0}
        producer = Producer(properties)
        if self._transactional:
            self._asked(lambda: producer.init_transactions(ANSWER_SECONDS))
        self._read_to_end()
        self._producer = producer

    @property
    def _used(self) -> Producer:
        assert self._producer is not None, "use it as a context"
        return self._producer

    def _write(self, records: Sequence[ControlRecord]) -> None:
        if not self._transactional:
            self._produce(records)
            self._flush()
            return
        self._asked(self._used.begin_transaction)
        try:
            self._produce(records)
            self._flush()
            self._asked(lambda: self._used.commit_transaction(ANSWER_SECONDS))
        except BaseException:
            with suppress(
                KafkaException
            ):  # where it is fenced there is nothing to abort; otherwise the next writer's beginning settles it
                self._used.abort_transaction(_ABORT_SECONDS)
            raise

    def _produce(self, records: Sequence[ControlRecord]) -> None:
        told: dict[str, Any] = (
            {} if self._transactional else {"on_delivery": self._note_fault}
        )  # a transaction that lacks a record fails itself
        self._faults.clear()
        for topic, (key, value, _, timestamp) in records:
            name = self._topics.get(topic, self._audit_topic)
            self._asked(
                partial(
                    enqueue,
                    self._used,
                    name,
                    value,
                    key,
                    self._raise_faults,
                    partition=0,
                    timestamp=timestamp or 0,
                    **told,
                )
            )

    def _flush(self) -> None:
        left = self._asked(lambda: self._used.flush(ANSWER_SECONDS))
        if left:
            self._faults.append(f"  {left} records were not acknowledged")
        self._raise_faults()

    def _raise_faults(self) -> None:
        if self._faults:
            rest = len(self._faults) - _MOST_FAULTS
            raise WriteFailed(self._faults if rest <= 0 else [*self._faults[:_MOST_FAULTS], f"  and {rest} more"])

    def _note_fault(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._faults.append(f"  {error.str()}")

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() in _OVERTAKEN:
                raise Overtaken from None
            raise WriteFailed([f"  {reason.str()}"]) from None

    # reading --------------------------------------------------------------------------------------------------------

    def _bounds(self, name: str) -> tuple[int, int]:
        return bounds_of(self._settings, self._asker, name, 0)

    def _wait_until_shown(self) -> None:
        """Whoever looks after a command finds what it wrote: a broker shows it a moment after it acknowledged the
        commit.
        """
        deadline = time.monotonic() + STALE_SECONDS
        while self._ours and time.monotonic() < deadline:
            self._read([])

    def _read_to_end(self) -> None:
        """Up to the ends of now."""
        looked_at = time.monotonic()
        ends = {name: self._bounds(name)[1] for name in self._kinds}
        read: list[TopicRecord] = []
        try:
            while any(self._positions[name] < end for name, end in ends.items()):
                if time.monotonic() - looked_at > ANSWER_SECONDS:
                    raise ReadFailed(
                        f"flows, audiences or connections could not be read to their end in {ANSWER_SECONDS:.0f} s"
                    )
                self._read(read)
        finally:  # where it fails, the positions have passed these
            if read:
                self._state = self._state.after(read)
        self._looked_at = looked_at

    def _read(self, found: list[TopicRecord]) -> None:
        """Add to `found` what others wrote, also where it raises ReadFailed."""
        first = self._consumer.poll(
            _POLL_SECONDS
        )  # `consume` alone would wait until it has as many as it was asked for
        for message in [] if first is None else [first, *self._consumer.consume(1000, 0)]:
            name, offset, error = message.topic(), message.offset(), message.error()
            if name is None or offset is None or name not in self._kinds:
                continue  # about the connection, which librdkafka mends itself
            if error is None:
                self._positions[name] = offset + 1
                topic, key, value = self._kinds[name], _bytes(message.key()), message.value()
                said = None if value is None else _bytes(value)
                record = ReadRecord(name, 0, offset, message.timestamp()[1], key, said)
                if not self._ours.read(topic, record):
                    found.append((topic, record))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._positions[name] = max(
                    self._positions[name], offset
                )  # markers and what is compacted away lie behind the last record
            else:
                raise ReadFailed(f"{name}: {error.str()}")


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
