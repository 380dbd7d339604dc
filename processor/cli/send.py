"""`profile-exporter send FILE`: events out of files onto the topic of profile events (contract 4b's forms)."""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import click

from processor.cli.progress import progress
from processor.errors import CommandError
from processor.event_log import read_events
from processor.kafka.admin import Admin
from processor.kafka.topics import topic_specs
from processor.kafka.writing import Writer
from processor.settings import Settings, read_settings
from schemas.dead_letter import DeadLetter
from schemas.event import SourceRecord

_MAX_TIMESTAMP: Final = 2**63 - 1


@click.command()
@click.argument("file", type=click.File("rb"))
def send(file: BinaryIO) -> None:
    """Send the events of FILE to the topic of profile events.

    FILE (JSON lines; - is stdin) holds CloudEvents, Kafka records or what kcat -J prints. Key, value and timestamp are
    kept; topic, partition and offset of a line are not; a null value is a tombstone. The events themselves are not
    checked: a bad one becomes a dead letter in the worker. A line that is none of the three forms is named and left
    out, the rest is sent, and the command ends with exit code 1. It returns when the broker has acknowledged everything.
    """
    settings = read_settings()
    topic = settings.topics.profile_events
    Admin(settings).require([spec for spec in topic_specs(settings) if spec.name == topic])
    left_out = _send(settings, topic, file)
    if left_out:
        raise CommandError(f"{left_out} line{'s were' if left_out > 1 else ' was'} not sent, see above")


class _Lines:
    """The lines of a file, counted as they are read."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.number = 0
        self.bytes_read = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.number += 1
            self.bytes_read += len(line)
            yield line


def _send(settings: Settings, topic: str, file: BinaryIO) -> int:
    """Send all; how many lines could not be read as events."""
    writer = Writer(settings)
    try:
        with writer:
            return _write_all(writer, topic, file)
    finally:
        click.echo(f"sent {writer.acknowledged} events to {topic}", err=True)


def _write_all(writer: Writer, topic: str, file: BinaryIO) -> int:
    lines, left_out, handed_over = _Lines(file), 0, 0
    with progress("sending", _size(file)) as report:
        for record in read_events(lines):
            if fault := _fault(record):
                left_out += 1
                click.echo(f"line {lines.number}: {fault}", err=True)
            else:
                handed_over += 1
                writer.write(topic, record.key, record.value, name=f"line {lines.number}", timestamp=_timestamp(record))
            report(handed_over, lines.bytes_read)
    return left_out


def _fault(record: SourceRecord | DeadLetter) -> str | None:
    if isinstance(record, DeadLetter):
        return f"{record.reason}: {record.explanation}"
    if record.timestamp is not None and not 0 < record.timestamp <= _MAX_TIMESTAMP:
        return f"timestamp {record.timestamp} cannot be kept: Kafka takes 1 to {_MAX_TIMESTAMP} milliseconds"
    return None


def _timestamp(record: SourceRecord | DeadLetter) -> int | None:
    return record.timestamp if isinstance(record, SourceRecord) else None


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
