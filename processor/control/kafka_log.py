"""The log of the control plane on Kafka: one transaction a change, over its four topics.

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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import uuid4

from processor.catalog.reading import ALL, topic_names
from processor.catalog.state import ControlRecord, ControlState, Topic, TopicRecord
from processor.control.own_records import OwnRecords
from processor.control.ports import Overtaken, Superseded
from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.kafka.connection import Properties
from processor.kafka.errors import ReadFailed, WriteFailed
from processor.kafka.follower import TopicFollower
from processor.kafka.transactions import ABORT_SECONDS, ANSWER_SECONDS, FencedWriter, OutgoingRecord, WriterFenced
from schemas.kafka import ReadRecord
from schemas.wire.connections import encode_accepted, encode_writer

LOOK_SECONDS: Final = 0.2  # how late an API sees what a command wrote
_CLAIM_TRIES: Final = 10


class Patience(NamedTuple):
    """The longest waits of a control log for Kafka: for an answer, for an abort, and the age of a state that it shows.

    A state may be older than a commit takes.
    """

    answer_seconds: float = ANSWER_SECONDS
    abort_seconds: float = ABORT_SECONDS
    stale_seconds: float = 5.0


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
    """The control log on Kafka, from `with` to its end; thread-safe.

    `is_api`: it claims the topics, and stops when another API does. `client`: properties of librdkafka beside ours.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        is_api: bool = False,
        client: Properties | None = None,
        patience: Patience = Patience(),  # noqa: B008  # immutable
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._topics = topic_names(settings.topics)
        self._kinds = {self._topics[topic]: topic for topic in ALL}
        self._is_api = is_api
        self._name = uuid4().hex
        self._claimed = False
        self._lock = threading.RLock()
        self._state = ControlState()
        self._looked_at = float("-inf")
        self._ours = OwnRecords(ALL)
        self._must_begin = True
        own = client or {}
        self._writer = FencedWriter(
            settings,
            "control",
            client={"linger.ms": 0} | own,  # a change is flushed at once
            answer_seconds=patience.answer_seconds,
            abort_seconds=patience.abort_seconds,
        )
        self._follower = TopicFollower(
            settings, *self._kinds, purpose="control", client=own, stall_seconds=patience.answer_seconds
        )

    def __enter__(self) -> Self:
        """Fence, read to the end, and claim the topics where it is an API's."""
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
        self._follower.close()
        self._writer.close()

    def state(self) -> ControlState:
        """Return the state of at most 5 s ago, with everything that this log committed; waits for no commit.

        Raises ReadFailed where Kafka has not answered for so long.
        """
        if time.monotonic() - self._looked_at >= LOOK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._read_to_end()
            finally:
                self._lock.release()
        if time.monotonic() - self._looked_at > self._patience.stale_seconds:
            raise ReadFailed(f"Kafka has not answered for {self._patience.stale_seconds:.0f} s")
        return self._state

    def require_unsuperseded(self) -> None:
        """Raise Superseded where another API has taken over."""
        state = self.state()
        if self._claimed and state.writer != self._name:
            raise Superseded

    def commit(self, records: Sequence[ControlRecord]) -> None:
        """Write all of these, or none (`ControlLog.commit`)."""
        with self._lock:
            self.require_unsuperseded()
            if (
                self._must_begin
            ):  # nobody knows what became of the last change: it is settled, and read, before this one
                self._begin_again()
                raise Overtaken
            try:
                self._write(records)
            except Overtaken:
                self._read_to_end()
                self.require_unsuperseded()
                self._begin_again()
                raise
            except BaseException:
                self._must_begin = True
                raise
            if self._writer.is_transactional:
                ours = [(topic, record) for topic, record in records if topic in ALL]
                self._state = self._state.after(ours)
                self._ours.add(ours)

    def _begin_again(self) -> None:
        """Fence all others, settle what we left open, then read what was committed."""
        self._must_begin = True
        with _overtaken_where_fenced():
            self._writer.begin()
        self._read_to_end()
        self._must_begin = False

    def _first_records(self) -> list[ControlRecord]:
        """Return what is to be written at the beginning; raises TopicTruncated."""
        records: list[ControlRecord] = []
        now_ms = int(time.time() * 1000)
        starts = {topic: self._follower.log_start(name, 0) for name, topic in self._kinds.items()}
        for topic, start in starts.items():
            gap = Gap(self._topics[topic], 0, self._state.accepted.get(topic, 0), start)
            if gap.next > gap.first:
                if not self._settings.accepted.cover(gap):
                    raise TopicTruncated(gap)
                records = [(Topic.CONNECTIONS, encode_accepted(starts)._replace(timestamp=now_ms))]
        if self._is_api:
            records.append((Topic.CONNECTIONS, encode_writer(self._name, now_ms)._replace(timestamp=now_ms)))
        return records

    def _write(self, records: Sequence[ControlRecord]) -> None:
        with _overtaken_where_fenced():
            self._writer.write([OutgoingRecord(self._topics[topic], record) for topic, record in records])
        if not self._writer.is_transactional:
            self._read_to_end()

    def _wait_until_shown(self) -> None:
        """Wait until whoever looks finds what was written: a broker shows it a moment after it acknowledged it."""
        deadline = time.monotonic() + self._patience.stale_seconds
        while self._ours and time.monotonic() < deadline:
            list(self._written_by_others(self._follower.poll()))

    def _read_to_end(self) -> None:
        """Put into the state what others wrote, up to the log ends of now; raises ReadFailed."""
        looked_at = time.monotonic()
        read: list[TopicRecord] = []
        try:
            read.extend(self._written_by_others(self._follower.iterate()))
        finally:  # where it fails, the follower has passed these
            if read:
                self._state = self._state.after(read)
        self._looked_at = looked_at

    def _written_by_others(self, records: Iterable[ReadRecord]) -> Iterator[TopicRecord]:
        for record in records:
            topic = self._kinds[record.topic]
            if not self._ours.read(topic, record):
                yield topic, record


@contextmanager
def _overtaken_where_fenced() -> Iterator[None]:
    try:
        yield
    except WriterFenced:
        raise Overtaken from None
