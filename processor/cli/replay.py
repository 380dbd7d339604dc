"""`profile-exporter replay`: fold and decide with no broker and no AWS (contract 4b)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.replay import Replay
from processor.core.step import Limits, Step
from processor.files.configuration import read_configuration
from processor.files.event_log import encode_dead_letter_line, encode_record_line, read_events, read_lines
from processor.files.history import BEGINNING, Effective, FileHistory, RecordHistory
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.settings import read_settings
from schemas.dead_letter import DeadLetter
from schemas.kafka import BadRecord, ReadRecord
from schemas.times import BadTimeError, normal_time


@click.command()
@click.argument("events", type=click.File("rb"))
@click.option(
    "--flows",
    "files",
    multiple=True,
    metavar="[TIME=]FILE",
    help="YAML or JSON file of flows and audiences, in force from TIME on.",
)
@click.option(
    "--output",
    type=click.File("wb", lazy=False),
    default="-",
    show_default="stdout",
    help="Where records go, one JSON line each.",
)
@click.option(
    "--dead-letters",
    type=click.File("wb", lazy=False),
    default=None,
    show_default="stderr",
    help="Where dead letters go.",
)
def replay(events: BinaryIO, files: tuple[str, ...], output: BinaryIO, dead_letters: BinaryIO | None) -> None:
    """Fold EVENTS (JSON lines; - is stdin) and write the records a worker would send.

    State is kept for each topic, partition and key (I12); events that are bare are all of one partition.

    Flows may change on the way: with several --flows, each in force from its TIME (2026-01-11T23:37:33Z) on, that of a
    record being when it was written, else when its event happened; or by records of the topics `flows` and `audiences`
    among EVENTS. A change sends what it sends in a worker (backfill, catch-up, exits), at once.

    A Kafka record may have headers, an object or a list of pairs, and a line of kcat has them as kcat prints them:
    CloudEvents' binary mode is read from them. A file in UTF-16, or a compressed one, is refused (exit code 2).

    Never stops at a bad event; ends with a summary on stderr. Of the settings it knows MAX_DOCUMENT_BYTES, DEDUP_WINDOW
    and TOPIC_PREFIX, so that it decides as a worker with the same settings.
    """
    settings = read_settings()
    limits = Limits(max_document_bytes=settings.max_document_bytes, dedup_window=settings.dedup_window)
    lines = read_lines(events)
    history = (
        FileHistory([_effective(text) for text in files]),
        RecordHistory(settings.topics.flows, settings.topics.audiences),
    )
    rejected = dead_letters or click.get_binary_stream("stderr")
    run = _ReplayRun(Replay(Catalog.of((), ()), limits), history, output, rejected)
    with _written_whole(output, rejected):
        for line in read_events(lines):
            run.feed(line)
        run.end()
    if not (files or run.has_flows):
        raise UsageError("no flows: give a file with --flows, or records of the topic `flows` among the events")
    click.echo(
        "\n".join(
            [f"replayed {run.lines} events, {len(run.replay.profiles)} profiles remain", *_count_lines(run.counts)]
        ),
        err=True,
    )


@contextmanager
def _written_whole(*files: BinaryIO) -> Iterator[None]:
    """Have the files written to their end; raise CommandError where one takes no more.

    Who reads a pipe may have enough (BrokenPipeError).
    """
    try:
        yield
        for file in files:
            file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        for file in files:
            if file is click.get_binary_stream("stderr"):
                continue  # which shows it
            with suppress(OSError):
                file.close()  # or it is flushed once more where the process ends, and nobody hears of it
        raise CommandError(
            f"not everything could be written: {error.strerror}\n  look at the disk of --output and --dead-letters"
        ) from None


def _effective(text: str) -> Effective:
    since, separator, path = text.partition("=")
    if separator and (time := _time(since)) is not None:
        configuration = read_configuration(Path(path))
    else:
        time, configuration = BEGINNING, read_configuration(Path(text))
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    return Effective(time, configuration.flows, configuration.audiences)


def _time(text: str) -> str | None:
    try:
        return normal_time(text)
    except BadTimeError:
        return None


class _ReplayRun:
    """A replay without Kafka: lines in, records and dead letters out. Home of 4b."""

    def __init__(
        self, replay: Replay, history: tuple[FileHistory, RecordHistory], output: BinaryIO, dead_letters: BinaryIO
    ) -> None:
        self.replay, self._output, self._dead_letters = replay, output, dead_letters
        self._files, self._records = history
        self.counts, self.lines, self.has_flows = Counts(), 0, False

    def feed(self, line: ReadRecord | DeadLetter) -> None:
        """Decide one line of the events."""
        if isinstance(line, DeadLetter):
            self.lines += 1
            self._write(Step(None, dead_letter=line))
            return
        if self._records.read_record(line):
            self.has_flows = True
            return
        self._change(self._due(line))
        self.lines += 1
        self._write(self.replay.feed(line))

    def end(self) -> None:
        """Put into force what takes effect after the last event."""
        self._change(self._due(None))

    def _due(self, line: ReadRecord | None) -> list[Catalog]:
        try:
            return [*self._files.take_due(line), *self._records.take_due()]
        except BadRecord as bad:
            raise UsageError(f"the last record of a flow, a job or an audience cannot be read: {bad}") from None

    def _change(self, catalogs: Iterable[Catalog]) -> None:
        for catalog in catalogs:
            for record in self.replay.change(catalog):
                self.counts.count_job_record(record)
                self._output.write(encode_record_line(record))

    def _write(self, step: Step) -> None:
        self.counts.count_step(step)
        for record in step.records:
            self._output.write(encode_record_line(record))
        if step.dead_letter is not None:
            self._dead_letters.write(encode_dead_letter_line(step.dead_letter))


def _count_lines(counts: Counts) -> Iterator[str]:
    counted = Counter({f"dead letters: {reason}": count for reason, count in counts.dead_letters.items()})
    counted.update({f"skipped: {reason}": count for reason, count in counts.skipped_events.items()})
    for flow_id, flow in counts.flows.items():
        counted.update({f"skipped: {reason}": count for reason, count in flow.skipped.items()})
        counted[f"records of {flow_id}"] = flow.exported
    return (f"  {name}: {count}" for name, count in sorted(counted.items()) if count)
