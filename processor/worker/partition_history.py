"""The history of partitions on `audit-events`: who decides from which offset on, and what was passed over.

    taken_over   at each takeover: program version and settings that decide, and where each partition begins
    skipped      what SKIP_TO or ACCEPT_GAPS lets a worker pass over

It is written before it takes hold. Nobody can find these out later: another version may write other bytes, and a fold
of the log that does not know what was passed over gives a state that no worker ever had. They are written outside of
transactions, so that none that is open holds back whoever reads the topic.

Where one cannot be written, the takeover fails and the worker stops, before it goes on past anything: the next owner
finds the same, and writes it. So an event may be there twice, and one of a worker that lost the partition at that
moment may be there too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Protocol, TypeVar

import structlog

from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.producers import NotWritten
from processor.worker.start_positions import Skipped, Start
from schemas.kafka import ProducerRecord
from schemas.wire.audit_events import Author, DecidingSettings, encode_skip, encode_takeover

Place = TypeVar("Place", bound=tuple[str, int])
"""Topic and partition."""

_log = structlog.get_logger(__name__)


class NotRecorded(CommandError):
    """An error that ends the worker: what it is about to do could not be written down."""

    def __init__(self, topic: str, error: NotWritten) -> None:
        super().__init__(
            f"a takeover, or what is passed over, could not be written to {topic}, "
            f"and nothing is processed that nobody could explain later: {error}\n"
            f"  workers need the right to write to {topic}; where the broker was away, the next start writes it"
        )


class Writing(Protocol):
    """The part of SharedProducer that is used here."""

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        """Write (partition, record) pairs; returns when all are acknowledged. Raises NotWritten."""


class PartitionHistory:
    """The part of one worker, called `worker`, in the history of its partitions. `wall_clock`: seconds since 1970."""

    def __init__(
        self, producer: Writing, settings: Settings, worker: str, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._producer, self._wall_clock = producer, wall_clock
        self._topic, self._events = settings.topics.audit_events, settings.topics.profile_events
        self._author = Author(worker, "worker")
        self._deciding = DecidingSettings(
            version("profile-exporter"), settings.max_document_bytes, settings.dedup_window, settings.membership_expiry
        )

    async def record_starts(self, starts: Mapping[Place, Start]) -> None:
        """Write where partitions begin, and what each passes over, before any of them does; durable when it returns.

        Raises NotRecorded.
        """
        skips = {tp: start.skipped for tp, start in starts.items() if start.skipped is not None}
        first_offsets = {
            partition: start.position for (topic, partition), start in starts.items() if topic == self._events
        }
        records = [self._skip(tp, skipped) for tp, skipped in skips.items()]
        if first_offsets:
            records.append(encode_takeover(self._author, self._now_ms, first_offsets, self._deciding))
        await self._write(records)

    async def record_skip(self, tp: tuple[str, int], skipped: Skipped) -> None:
        """Write what a partition passes over while it is read; durable when it returns. Raises NotRecorded."""
        await self._write([self._skip(tp, skipped)])

    def _skip(self, tp: tuple[str, int], skipped: Skipped) -> ProducerRecord:
        topic, partition = tp
        _log.warning(
            "offsets_skipped", topic=topic, partition=partition, first=skipped.first, next=skipped.next, why=skipped.why
        )
        return encode_skip(self._author, self._now_ms, tp, skipped.first, skipped.next - 1, skipped.why)

    @property
    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)

    async def _write(self, records: Sequence[ProducerRecord]) -> None:
        if not records:
            return
        try:
            await self._producer.write(self._topic, [(0, record) for record in records])
        except NotWritten as error:
            raise NotRecorded(self._topic, error) from error
