"""`profile-exporter apply FILE`: flows and audiences put into force (contract M2, M4, 4b)."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import click

from processor.cli.destinations import examine_flows, summary
from processor.cli.plan import Action, Write, activated, plan
from processor.cli.tell import Level
from processor.configuration import read_configuration
from processor.errors import CommandError
from processor.kafka.admin import Admin
from processor.kafka.reading import read_compacted
from processor.kafka.topics import topic_specs
from processor.kafka.writing import Writer
from processor.settings import Settings, read_settings
from schemas.flow import Flow


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing. [default: change]")
@click.option("--prune", is_flag=True, help="Remove the flows and audiences that FILE does not name. [default: keep them]")
@click.option("--strict", is_flag=True, help="Put nothing into force while a flow would not be let in. [default: warn, and go on]")
@click.option("--no-check", is_flag=True, help="Do not ask the destinations. [default: ask]")
def apply(file: Path, dry_run: bool, prune: bool, strict: bool, no_check: bool) -> None:
    """Put the flows and audiences of FILE into force.

    FILE (YAML or JSON) is checked whole first, and all its faults are told at once. Only what differs is written; every
    changed flow gets a new etag. Secrets stay ${ENV_NAME}. It returns when the broker has acknowledged everything.

    Before that, destinations that become active (a flow that is new, enabled again or delivers elsewhere) are asked as
    `flows check` does, with the credentials of this machine, which need not be the worker's: so what is wrong is told as
    a warning, and stops nothing. A flow that is not let in pauses in the worker, loses nothing, and goes on when the
    cause is gone. With --strict the command ends with exit code 1 instead, and nothing is written.
    """
    configuration = read_configuration(file)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings = read_settings()
    names = settings.topics
    Admin(settings).require([spec for spec in topic_specs(settings) if spec.name in (names.flows, names.audiences)])
    flows, audiences = read_compacted(settings, names.flows), read_compacted(settings, names.audiences)
    writes = plan(configuration, flows, audiences, prune=prune, new_etag=lambda: uuid4().hex)
    if not no_check:
        _preflight(activated(configuration.flows, writes, flows), strict=strict)
    for write in writes:
        if write.action is not Action.UNCHANGED:
            click.echo(f"{write.action} {write.kind} {write.name}")
    if not dry_run:
        _write(settings, [write for write in writes if write.writes])
    click.echo(_summary(writes, "nothing was changed: --dry-run" if dry_run else "in force"))


def _preflight(flows: Iterable[Flow], *, strict: bool) -> None:
    failed = 0
    for examined in examine_flows(flows, os.environ):
        failed += examined.failed
        for level, text, remedy in summary(examined):
            if level is not Level.OK:
                click.echo(f"warning: {text}\n  → {remedy}" if remedy else f"warning: {text}", err=True)
    if failed and strict:
        raise CommandError(f"{failed} flow{'s' if failed > 1 else ''} would not be let in, see above; nothing was changed: --strict")


def _write(settings: Settings, writes: list[Write]) -> None:
    topics = {"flow": settings.topics.flows, "audience": settings.topics.audiences}
    with Writer(settings) as writer:
        for write in writes:
            writer.write(topics[write.kind], write.key, write.value, name=f"{write.kind} {write.name}")


def _summary(writes: list[Write], end: str) -> str:
    counts = Counter(write.action for write in writes)
    return f"{', '.join(f'{action}: {counts[action]}' for action in Action if counts[action]) or 'nothing in the file'}; {end}"
