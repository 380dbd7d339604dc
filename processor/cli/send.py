"""`profile-exporter send FILE`: events out of files onto the topic of profile events (contract 4b's forms)."""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import click

from processor.cli.progress import progress
from processor.cli.topic_config import read_topic_config
from processor.core.profile_id import read_profile_id
from processor.core.unusable import Unusable
from processor.errors import CommandError
from processor.event_log import lines_of, read_events
from processor.kafka.admin import Admin
from processor.kafka.timestamps import TimestampBounds, timestamp_bounds
from processor.kafka.topics import topic_specs
from processor.kafka.writing import Writer
from processor.settings import Settings, read_settings
from schemas.dead_letter import DeadLetter
from schemas.event import SourceRecord

_MOST_WARNINGS: Final = 20


@click.command()
@click.argument("file", type=click.File("rb"))
def send(file: BinaryIO) -> None:
    """Send the events of FILE to the topic of profile events.

    FILE (JSON lines; - is stdin) holds CloudEvents, Kafka records or what kcat -J prints. Key, value, headers and
    timestamp are kept; topic, partition and offset of a line are not; a null value is a tombstone. The events themselves
    are not checked: a bad one becomes a dead letter in the worker, and one whose key is no profile id is warned of. A line
    that is none of the three forms, too large, or of a time that the topic does not take is named and left out, the rest
    is sent, and the command ends with exit code 1. A file in UTF-16, or a compressed one, is refused (exit code 2).
    It warns of events that are older than the topic keeps. It returns when the broker has acknowledged everything.
    """
    settings, lines = read_settings(), _Lines(lines_of(file), _size(file))
    topic = settings.topics.profile_events
    admin = Admin(settings)
    admin.require([spec for spec in topic_specs(settings) if spec.name == topic])
    bounds = timestamp_bounds(read_topic_config(admin, topic), int(time.time() * 1000))
    tally = _Tally()
    _send(settings, topic, bounds, lines, tally)
    if tally.bad_keys > _MOST_WARNINGS:
        click.echo(f"warning: {tally.bad_keys - _MOST_WARNINGS} more have a key that is no profile id", err=True)
    if tally.old:
        click.echo(f"warning: {tally.old} of them are older than {topic} keeps events: Kafka may remove them before a worker reads them", err=True)
    if tally.left_out:
        raise CommandError(f"{tally.left_out} line{'s were' if tally.left_out > 1 else ' was'} not sent, see above")


@dataclass
class _Tally:
    """How many events were handed over, how many of them have a key that is no profile id, how many are older than the topic's retention,
    and how many lines were left out.
    """

    handed_over: int = 0
    bad_keys: int = 0
    old: int = 0
    left_out: int = 0


class _Lines:
    """The lines of a file, counted as they are read. `size_bytes` of the whole file; None: a pipe."""

    def __init__(self, lines: Iterable[bytes], size_bytes: int | None) -> None:
        self._lines = lines
        self.size_bytes = size_bytes
        self.number = 0
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.number += 1
            self.bytes_read += len(line)
            yield line


def _send(settings: Settings, topic: str, bounds: TimestampBounds, lines: _Lines, tally: _Tally) -> None:
    writer = Writer(settings)
    try:
        with writer:
            _write_all(writer, topic, bounds, lines, tally)
    finally:
        click.echo(f"sent {writer.acknowledged} events to {topic}", err=True)


def _write_all(writer: Writer, topic: str, bounds: TimestampBounds, lines: _Lines, tally: _Tally) -> None:
    with progress("sending", lines.size_bytes) as report:
        for record in read_events(lines):
            if fault := _fault(record, bounds):
                tally.left_out += 1
                click.echo(f"line {lines.number}: {fault}", err=True)
            elif isinstance(record, SourceRecord):
                _warn_of_key(record, lines.number, tally)
                tally.handed_over += 1
                tally.old += record.timestamp is not None and record.timestamp < bounds.kept_from
                name = f"line {lines.number}"
                writer.write(topic, record.key, record.value, name=name, timestamp=record.timestamp, headers=[*record.headers])
            report(tally.handed_over, lines.bytes_read)


def _fault(record: SourceRecord | DeadLetter, bounds: TimestampBounds) -> str | None:
    if isinstance(record, DeadLetter):
        return f"{record.reason}: {record.explanation}"
    if record.timestamp is not None and record.timestamp not in bounds:
        return f"timestamp {record.timestamp} cannot be kept: the topic takes {bounds.earliest} to {bounds.latest} (milliseconds)"
    return None


def _warn_of_key(record: SourceRecord, number: int, tally: _Tally) -> None:
    if record.key is None:
        return
    try:
        read_profile_id(record.key)
    except Unusable as unusable:
        tally.bad_keys += 1
        if tally.bad_keys <= _MOST_WARNINGS:
            click.echo(f"warning: line {number}: {unusable.explanation}: the worker will put it aside", err=True)


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
