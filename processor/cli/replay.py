"""`profile-exporter replay`: fold and decide with no broker and no AWS (contract 4b)."""

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import click

from processor.configuration import read_configuration
from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits
from processor.event_log import dead_letter_line, read_events, record_line
from processor.settings import read_settings
from schemas.dead_letter import DeadLetter
from schemas.event import SourceRecord


@click.command()
@click.argument("events", type=click.File("rb"))
@click.option("--flows", required=True, type=click.Path(path_type=Path), help="YAML or JSON file of flows and audiences.")
@click.option("--output", type=click.File("wb", lazy=False), default="-", show_default="stdout", help="Where records go, one JSON line each.")
@click.option("--dead-letters", type=click.File("wb", lazy=False), default=None, show_default="stderr", help="Where dead letters go.")
def replay(events: BinaryIO, flows: Path, output: BinaryIO, dead_letters: BinaryIO | None) -> None:
    """Fold EVENTS (JSON lines; - is stdin) and write the records a worker would send.

    Never stops at a bad event; ends with a summary on stderr. Of the settings it knows MAX_DOCUMENT_BYTES and DEDUP_WINDOW,
    so that it decides as a worker with the same settings.
    """
    settings = read_settings()
    configuration = read_configuration(flows)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    letters = dead_letters or click.get_binary_stream("stderr")
    limits = Limits(max_document_bytes=settings.max_document_bytes, dedup_window=settings.dedup_window)
    run = Replay(Catalog.of(configuration.flows, configuration.audiences), limits)
    counts: Counter[str] = Counter()
    for line in read_events(events):
        _feed(run, line, output, letters, counts)
    click.echo(_summary(run, counts), err=True)


def _feed(run: Replay, line: SourceRecord | DeadLetter, output: BinaryIO, letters: BinaryIO, counts: Counter[str]) -> None:
    counts["events"] += 1
    if isinstance(line, DeadLetter):
        step_letter: DeadLetter | None = line
    else:
        result = run.feed(line)
        step_letter = result.dead_letter
        for record in result.records:
            output.write(record_line(record))
            counts[f"records of {record.flow_id}"] += 1
        counts.update(f"skipped: {reason}" for _, reason in result.skipped)
        if result.skipped_event is not None:
            counts[f"skipped: {result.skipped_event}"] += 1
    if step_letter is not None:
        letters.write(dead_letter_line(step_letter))
        counts[f"dead letters: {step_letter.reason}"] += 1


def _summary(run: Replay, counts: Counter[str]) -> str:
    rest = [f"  {name}: {count}" for name, count in sorted(counts.items()) if name != "events"]
    return "\n".join([f"replayed {counts['events']} events, {len(run.profiles)} profiles remain", *rest])
