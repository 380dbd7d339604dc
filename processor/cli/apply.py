"""`profile-exporter apply FILE`: flows and audiences put into force (contract M2, M4, 4b)."""

from collections import Counter
from pathlib import Path
from uuid import uuid4

import click

from processor.cli.plan import Action, Write, plan
from processor.configuration import Configuration, read_configuration
from processor.kafka.admin import Admin
from processor.kafka.reading import read_compacted
from processor.kafka.topics import topic_specs
from processor.kafka.writing import Writer
from processor.settings import Settings, read_settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing. [default: change]")
@click.option("--prune", is_flag=True, help="Remove the flows and audiences that FILE does not name. [default: keep them]")
def apply(file: Path, dry_run: bool, prune: bool) -> None:
    """Put the flows and audiences of FILE into force.

    FILE (YAML or JSON) is checked whole first, and all its faults are told at once. Only what differs is written; every
    changed flow gets a new etag. Secrets stay ${ENV_NAME}. It returns when the broker has acknowledged everything.
    """
    configuration = read_configuration(file)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings = read_settings()
    writes = _plan(settings, configuration, prune=prune)
    for write in writes:
        if write.action is not Action.UNCHANGED:
            click.echo(f"{write.action} {write.kind} {write.name}")
    if not dry_run:
        _write(settings, [write for write in writes if write.writes])
    click.echo(_summary(writes, "nothing was changed: --dry-run" if dry_run else "in force"))


def _plan(settings: Settings, configuration: Configuration, *, prune: bool) -> list[Write]:
    names = settings.topics
    Admin(settings).require([spec for spec in topic_specs(settings) if spec.name in (names.flows, names.audiences)])
    flows, audiences = read_compacted(settings, names.flows), read_compacted(settings, names.audiences)
    return plan(configuration, flows, audiences, prune=prune, new_etag=lambda: uuid4().hex)


def _write(settings: Settings, writes: list[Write]) -> None:
    topics = {"flow": settings.topics.flows, "audience": settings.topics.audiences}
    with Writer(settings) as writer:
        for write in writes:
            writer.write(topics[write.kind], write.key, write.value, name=f"{write.kind} {write.name}")


def _summary(writes: list[Write], end: str) -> str:
    counts = Counter(write.action for write in writes)
    return f"{', '.join(f'{action}: {counts[action]}' for action in Action if counts[action]) or 'nothing in the file'}; {end}"
