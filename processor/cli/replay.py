"""`profile-exporter replay`: fold and decide with no broker and no AWS (contract 4b)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from processor.configuration import read_configuration
from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits, Step
from processor.event_log import dead_letter_line, read_events, record_line
from processor.pipeline.counts import Counts
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
    counts, lines = Counts(), 0
    for line in read_events(events):
        lines += 1
        _feed(run, line, output, letters, counts)
    click.echo("\n".join([f"replayed {lines} events, {len(run.profiles)} profiles remain", *_told(counts)]), err=True)


def _feed(run: Replay, line: SourceRecord | DeadLetter, output: BinaryIO, letters: BinaryIO, counts: Counts) -> None:
    step = Step(None, dead_letter=line) if isinstance(line, DeadLetter) else run.feed(line)
    counts.note(step)
    for record in step.records:
        output.write(record_line(record))
    if step.dead_letter is not None:
        letters.write(dead_letter_line(step.dead_letter))


def _told(counts: Counts) -> Iterator[str]:
    told = Counter({f"dead letters: {reason}": count for reason, count in counts.dead_letters.items()})
    told.update({f"skipped: {reason}": count for reason, count in counts.skipped_events.items()})
    for flow_id, flow in counts.flows.items():
        told.update({f"skipped: {reason}": count for reason, count in flow.skipped.items()})
        told[f"records of {flow_id}"] = flow.exported
    return (f"  {name}: {count}" for name, count in sorted(told.items()) if count)
