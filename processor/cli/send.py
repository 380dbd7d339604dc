"""`profile-exporter send FILE`: write the events of files (contract 4b's forms) to the topic of profile events."""

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import click

from processor.cli.topic_config import read_topic_config
from processor.cli.views.progress import LINE_SECONDS, Report, progress
from processor.core.parse import without_marks
from processor.core.profile_id import read_profile_id
from processor.core.unusable import Unusable
from processor.files.event_log import read_events, read_lines
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings, read_settings
from processor.kafka.admin import Admin
from processor.kafka.profile_partitions import NotOnePartition, profile_partitions
from processor.kafka.timestamps import TimestampBounds, timestamp_bounds
from processor.kafka.topics import topic_specs
from processor.kafka.writer import Writer
from schemas.dead_letter import DeadLetter
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner

PartitionOf = Callable[[ReadRecord | DeadLetter, bytes], int | None]
"""Returns the partition for (record, the line it was read from)."""
_MOST_WARNINGS: Final = 20


@click.command()
@click.argument("file", type=click.File("rb"))
def send(file: BinaryIO) -> None:
    """Send the events of FILE to the topic of profile events.

    FILE (JSON lines; - is stdin) holds CloudEvents, Kafka records or what kcat -J prints. Key, value, headers and
    timestamp are kept; topic, partition and offset of a line are not: an event goes where PARTITIONER puts its key; a
    null value is a tombstone. With PARTITIONER=none it goes where its profile is, which takes a look at the whole
    changelog, and one of a new profile to the partition that its line names. A line without one, or of a profile on two
    partitions, is left out.

    The events themselves are not checked: a bad one becomes a dead letter in the worker, and one whose key is no
    profile id is warned of. A line that is none of the three forms, too large, or of a time that the topic does not
    take is named and left out, the rest is sent, and the command ends with exit code 1. A file in UTF-16, or a
    compressed one, is refused (exit code 2). It warns of events that are older than the topic keeps. It returns when
    the broker has acknowledged everything.
    """
    send_file(read_settings(), file)


def send_file(settings: Settings, file: BinaryIO, line_seconds: float = LINE_SECONDS) -> None:
    """Send the events of a file, and show every `line_seconds` how far it is; raise CommandError for lines left out."""
    lines = _Lines(read_lines(file), _size(file))
    topic = settings.topics.profile_events
    admin = Admin(settings)
    admin.require([spec for spec in topic_specs(settings) if spec.name == topic])
    bounds = timestamp_bounds(read_topic_config(admin, topic), int(time.time() * 1000))
    counts = _Counts()
    _send(settings, topic, bounds, lines, counts, line_seconds)
    if counts.bad_keys > _MOST_WARNINGS:
        click.echo(f"warning: {counts.bad_keys - _MOST_WARNINGS} more have a key that is no profile id", err=True)
    if counts.old:
        click.echo(
            f"warning: {counts.old} of them are older than {topic} keeps events: Kafka may remove them before a worker"
            " reads them",
            err=True,
        )
    if counts.left_out:
        raise CommandError(f"{counts.left_out} line{'s were' if counts.left_out > 1 else ' was'} not sent, see above")


@dataclass
class _Counts:
    """The numbers of events written, of them with a bad key or older than the retention, and of lines left out."""

    written: int = 0
    bad_keys: int = 0
    old: int = 0
    left_out: int = 0


class _Lines:
    """The lines of a file, counted as they are read; `size_bytes` of the whole file is None for a pipe."""

    def __init__(self, lines: Iterable[bytes], size_bytes: int | None) -> None:
        self._lines = lines
        self.size_bytes = size_bytes
        self.number = 0
        self.bytes_read = 0
        self.last = b""

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.number += 1
            self.bytes_read += len(line)
            self.last = line
            yield line


def _send(
    settings: Settings, topic: str, bounds: TimestampBounds, lines: _Lines, counts: _Counts, line_seconds: float
) -> None:
    writer = Writer(settings)
    progress_shown = progress("sending", lines.size_bytes, line_seconds=line_seconds)
    try:
        with _partitioning(settings) as partition_of, writer, progress_shown as report:
            _write_all(writer, topic, bounds, lines, counts, partition_of, report)
    finally:
        click.echo(f"sent {writer.acknowledged} events to {topic}", err=True)


def _write_all(
    writer: Writer,
    topic: str,
    bounds: TimestampBounds,
    lines: _Lines,
    counts: _Counts,
    partition_of: PartitionOf,
    report: Report,
) -> None:
    for record in read_events(lines):
        try:
            if fault := _fault(record, bounds):
                raise _LeftOut(fault)
            partition = partition_of(record, lines.last)
        except (_LeftOut, NotOnePartition) as why:
            counts.left_out += 1
            click.echo(f"line {lines.number}: {why}", err=True)
        else:
            assert isinstance(record, ReadRecord)  # the others have a fault
            _warn_of_key(record, lines.number, counts)
            counts.written += 1
            counts.old += record.timestamp is not None and record.timestamp < bounds.kept_from
            _write(writer, topic, record, lines.number, partition)
        report(counts.written, lines.bytes_read)


def _write(writer: Writer, topic: str, record: ReadRecord, number: int, partition: int | None) -> None:
    writer.write(
        topic,
        record.key,
        record.value,
        name=f"line {number}",
        timestamp=record.timestamp,
        headers=[*record.headers],
        partition=partition,
    )


class _LeftOut(Exception):
    """An error: a line is not sent, for the reason in the text."""


@contextmanager
def _partitioning(settings: Settings) -> Iterator[PartitionOf]:
    """Yield what chooses the partition of a record; None leaves it to the producer's own partitioner (I12)."""
    if settings.partitioner is not Partitioner.NONE:
        yield lambda _record, _line: None
        return
    with (
        progress("reading the changelog:", None) as report,
        profile_partitions(settings, report=lambda records: report(records, 0)) as partitions,
    ):

        def partition_of(record: ReadRecord | DeadLetter, line: bytes) -> int | None:
            named = record.partition if record.partition < settings.partitions and _names_partition(line) else None
            return partitions.choose(record.key, named) if record.key else None

        yield partition_of


def _names_partition(line: bytes) -> bool:
    """Return whether a line that was read has a partition of its own; a bare event has none."""
    parsed = json.loads(without_marks(line))  # orjson refuses the numbers that make an event a dead letter (I13)
    return "partition" in parsed and "specversion" not in parsed


def _fault(record: ReadRecord | DeadLetter, bounds: TimestampBounds) -> str | None:
    if isinstance(record, DeadLetter):
        return f"{record.reason}: {record.explanation}"
    if record.timestamp is not None and record.timestamp not in bounds:
        return (
            f"timestamp {record.timestamp} cannot be kept: the topic takes {bounds.earliest} to {bounds.latest}"
            " (milliseconds)"
        )
    return None


def _warn_of_key(record: ReadRecord, number: int, counts: _Counts) -> None:
    if record.key is None:
        return
    try:
        read_profile_id(record.key)
    except Unusable as unusable:
        counts.bad_keys += 1
        if counts.bad_keys <= _MOST_WARNINGS:
            click.echo(f"warning: line {number}: {unusable.explanation}: the worker will dead-letter it", err=True)


def _size(file: BinaryIO) -> int | None:
    """Return the bytes of a regular file; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
