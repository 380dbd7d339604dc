"""Dead letters sent again: records back to where they came from, and the markers that say so.

    fence others ─► read the markers ─► plan ─► in the order of the lanes, by the batch: records, then their markers

With transactions a batch's records and markers are one transaction. Without, records are acknowledged before their
markers are written: a dead letter whose record is there without its marker exists only then, after a kill between the
two. It is sent again, with the same bytes and the same record id (D3). None has a marker that was not sent.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple, Self

from processor.dead_letters.outcome import Circumstances, Outcome
from processor.dead_letters.plan import RedrivePlan, choose_dead_letters, plan_redrive
from processor.dead_letters.reading import read_dead_letters
from processor.dead_letters.redriven import read_redrive_markers
from processor.dead_letters.selection import RedriveMarkers, Selection
from processor.foundation.errors import CommandError
from processor.foundation.fault_points import fault_point
from processor.foundation.settings import Settings
from processor.foundation.settings_processing import TopicNames
from processor.kafka.connection import Properties
from processor.kafka.dead_letter_batches import ZSTD_LEVEL
from processor.kafka.errors import WriteFailed
from processor.kafka.producers import MAX_REQUEST_BYTES
from processor.kafka.transactions import FencedWriter, OutgoingRecord, WriterFenced
from schemas.dead_letter import StoredDeadLetter
from schemas.kafka import ProducerRecord
from schemas.times import format_time
from schemas.wire.dead_letters_redriven import RedriveMarker, encode_redrive_marker

BATCH_LETTERS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
_AS_LARGE_AS_DEAD_LETTERS: Final[Properties] = {
    "message.max.bytes": MAX_REQUEST_BYTES,
    "compression.type": "zstd",
    "compression.level": ZSTD_LEVEL,
}
"""As dead letters are written: what a topic takes, it says itself, and those that it does not take are left
(`Outcome.TOPIC_TOO_NARROW`).
"""
_AGAIN: Final = "  start it again: what was sent is marked, the rest is sent then"

Report = Callable[[int, int], None]
"""(dead letters sent, bytes of their values): both since the beginning."""


class RedriveFenced(CommandError):
    """Another redrive has taken over."""

    def __init__(self) -> None:
        super().__init__(
            "another `dead-letters redrive` was started: it goes on, this one has stopped\n  nothing is lost; only one"
            " runs at a time"
        )


class RedrivenDeadLetter(NamedTuple):
    """A dead letter, the marker that says it was sent again, and the partition that it goes to."""

    letter: StoredDeadLetter
    marker: RedriveMarker
    partition: int


class Redriver:
    """A writer of what is sent again; from its beginning to its end nobody else redrives (with transactions).

    Raises WriteFailed, RedriveFenced.
    """

    def __init__(self, settings: Settings) -> None:
        self._markers_topic = settings.topics.redriven
        self._writer = FencedWriter(settings, "redrive", client=_AS_LARGE_AS_DEAD_LETTERS)

    def __enter__(self) -> Self:
        with _errors_of_a_redrive():
            self._writer.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, redriven: Sequence[RedrivenDeadLetter]) -> None:
        """Send these, in this order, and mark them; when it returns both are durable.

        When it raises, what was sent may be unmarked.
        """
        with _errors_of_a_redrive():
            self._writer.write(
                [_original_record(each) for each in redriven],
                [self._marker_record(each) for each in redriven],
                on_sent=partial(fault_point, "redriven_sent"),
            )

    def _marker_record(self, redriven: RedrivenDeadLetter) -> OutgoingRecord:
        record = encode_redrive_marker(redriven.letter, redriven.marker)
        return OutgoingRecord(self._markers_topic, record, name=redriven.letter.position)


def plan_only(
    settings: Settings, selected: Selection, now: Circumstances, on_problem: Callable[[str], None]
) -> RedrivePlan:
    """Return what `redrive` would do, and send nothing."""
    return _plan(settings, selected, now, read_redrive_markers(settings), on_problem)


def redrive(
    settings: Settings,
    selected: Selection,
    now: Circumstances,
    on_problem: Callable[[str], None],
    reporting: Callable[[int], AbstractContextManager[Report]],
) -> RedrivePlan:
    """Send the selected dead letters again, in the order of their lanes, and mark them. Home of G8.

    `reporting` is opened with the number of those that are to be sent. Raises WriteFailed, RedriveFenced, and as
    `read_topic` does.
    """
    with Redriver(settings) as redriver:  # before the markers are read: from here on nobody else writes any
        markers = read_redrive_markers(settings)
        plan = _plan(settings, selected, now, markers, on_problem)
        if not (number := plan.count_outcomes(Outcome.REDRIVE)):
            return plan
        there = (letter for letter in read_dead_letters(settings, selected, _ignore) if plan.covers(letter))
        with reporting(number) as report:
            in_order = plan.put_in_order(choose_dead_letters(there, markers, now))
            _send(redriver, _with_markers(in_order, settings.topics, now), report)
    return plan


def origin_topic(letter: StoredDeadLetter, names: TopicNames) -> str:
    """Return the topic that a dead letter came from, and goes back to."""
    return names.exports if letter.is_of_delivery else names.profile_events


def _plan(
    settings: Settings,
    selected: Selection,
    now: Circumstances,
    markers: RedriveMarkers,
    on_problem: Callable[[str], None],
) -> RedrivePlan:
    return plan_redrive(read_dead_letters(settings, selected, on_problem), markers, now)


def _with_markers(
    letters: Iterable[StoredDeadLetter], names: TopicNames, now: Circumstances
) -> Iterator[RedrivenDeadLetter]:
    for letter in letters:
        partition = now.partition_of(letter)
        assert partition is not None  # as when its outcome was found
        yield RedrivenDeadLetter(
            letter, RedriveMarker(format_time(int(time.time())), origin_topic(letter, names)), partition
        )


def _send(redriver: Redriver, redriven: Iterable[RedrivenDeadLetter], report: Report) -> None:
    batch: list[RedrivenDeadLetter] = []
    done = size = total_size = 0
    for each in redriven:
        batch.append(each)
        size += len(each.letter.was.value or b"")
        if len(batch) >= BATCH_LETTERS or size >= BATCH_BYTES:
            redriver.write(batch)
            done, total_size = done + len(batch), total_size + size
            report(done, total_size)
            batch, size = [], 0
    if batch:
        redriver.write(batch)


def _original_record(redriven: RedrivenDeadLetter) -> OutgoingRecord:
    letter = redriven.letter
    record = ProducerRecord(letter.was.key, letter.was.value, list(letter.headers), letter.source_timestamp)
    return OutgoingRecord(redriven.marker.topic, record, redriven.partition, letter.position)


@contextmanager
def _errors_of_a_redrive() -> Iterator[None]:
    try:
        yield
    except WriterFenced:
        raise RedriveFenced from None
    except WriteFailed as failed:
        raise WriteFailed([*failed.faults, _AGAIN]) from None


def _ignore(_: str) -> None:
    """Ignore a problem that the plan has told."""
