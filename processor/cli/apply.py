"""`profile-exporter apply FILE`: flows and audiences put into force (contract M2, M4, 4b)."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from processor.cli.control import change, read_state
from processor.cli.destinations import examine_flows, summary
from processor.cli.plan import Action, Step, activated, carry_out, plan
from processor.cli.tell import Level
from processor.configuration import Configuration, read_configuration
from processor.control.draft import Draft
from processor.errors import CommandError
from processor.secrets import Secrets, secrets_of
from processor.settings import read_settings
from schemas.flow import Flow


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing. [default: change]")
@click.option("--prune", is_flag=True, help="Remove the flows and audiences that FILE does not name. [default: keep them]")
@click.option("--strict", is_flag=True, help="Put nothing into force while a flow would not be let in. [default: warn, and go on]")
@click.option("--no-check", is_flag=True, help="Do not ask the destinations. [default: ask]")
def apply(file: Path, dry_run: bool, prune: bool, strict: bool, no_check: bool) -> None:
    """Put the flows and audiences of FILE into force.

    FILE (YAML or JSON) is checked whole first, and all its faults are told at once. Only what differs is written, all of it
    in one transaction or nothing; every changed flow gets a new etag. Secrets stay ${ENV_NAME}. It returns when the broker
    has acknowledged everything.

    Before that, destinations that become active (a flow that is new, enabled again or delivers elsewhere) are asked as
    `flows check` does, with the credentials of this machine, which need not be the worker's: so what is wrong is told as
    a warning, and stops nothing. A flow that is not let in pauses in the worker, loses nothing, and goes on when the
    cause is gone. With --strict the command ends with exit code 1 instead, and nothing is written.
    """
    configuration = read_configuration(file)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings = read_settings()
    steps = plan(configuration, read_state(settings), prune=prune)
    if not no_check:
        _preflight(activated(steps), secrets_of(settings), strict=strict)
    if not dry_run and any(step.writes for step in steps):
        steps = change(settings, lambda draft: _put_into_force(draft, configuration, prune))
    for step in steps:
        if step.action is not Action.UNCHANGED:
            click.echo(f"{step.action} {step.kind} {step.name}")
    click.echo(_summary(steps, "nothing was changed: --dry-run" if dry_run else "in force"))


def _put_into_force(draft: Draft, configuration: Configuration, prune: bool) -> list[Step]:
    """By the state of this moment, which somebody may have changed since the destinations were asked."""
    steps = plan(configuration, draft.state, prune=prune)
    carry_out(draft, steps)
    return steps


def _preflight(flows: Iterable[Flow], secrets: Secrets, *, strict: bool) -> None:
    failed = 0
    for examined in examine_flows(flows, os.environ, secrets):
        failed += examined.failed
        for level, text, remedy in summary(examined):
            if level is not Level.OK:
                click.echo(f"warning: {text}\n  → {remedy}" if remedy else f"warning: {text}", err=True)
    if failed and strict:
        raise CommandError(f"{failed} flow{'s' if failed > 1 else ''} would not be let in, see above; nothing was changed: --strict")


def _summary(steps: list[Step], end: str) -> str:
    counts = Counter(step.action for step in steps)
    return f"{', '.join(f'{action}: {counts[action]}' for action in Action if counts[action]) or 'nothing in the file'}; {end}"
