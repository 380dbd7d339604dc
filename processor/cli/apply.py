"""`profile-exporter apply FILE`: flows and audiences put into force (contract M2, M4, 4b)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import click
import orjson

from processor.catalog.state import ControlState
from processor.cli.control_plane import change, read_state
from processor.cli.destinations import warn_of
from processor.cli.views.job_views import print_jobs
from processor.control.apply_plan import Action, Step, activated, carry_out, plan
from processor.control.draft import Draft
from processor.control.recording import Unnamed, find_unnamed_candidates, record_etags
from processor.control.unnamed_etags import UnnamedEtags
from processor.delivery.kinesis.endpoints import endpoint_rules
from processor.files.configuration import Configuration, read_configuration
from processor.foundation.env_file import ENVIRONMENT
from processor.foundation.errors import CommandError
from processor.foundation.secrets import secrets_of
from processor.foundation.settings import Settings, read_settings
from processor.kafka.errors import ReadDenied
from schemas.flow import Flow
from schemas.job import Job

_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line, one a change. [default: lines for people]"
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing. [default: change]")
_STRICT = click.option(
    "--strict",
    is_flag=True,
    help="Put nothing into force while a flow would not be authorized. [default: warn, and go on]",
)
_NO_CHECK = click.option("--no-check", is_flag=True, help="Do not ask the destinations. [default: ask]")
BOTH: Final = frozenset({"flow", "audience"})


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_DRY_RUN
@click.option(
    "--prune", is_flag=True, help="Remove the flows and audiences that FILE does not name. [default: keep them]"
)
@_STRICT
@_NO_CHECK
@_JSON
def apply(file: Path, dry_run: bool, prune: bool, strict: bool, no_check: bool, as_json: bool) -> None:
    """Put the flows and audiences of FILE into force.

    FILE (YAML or JSON) is checked whole first, and all its faults are reported at once. Only what differs is written,
    all of it in one transaction or nothing; every changed flow gets a new etag. Secrets stay ${ENV_NAME}. It returns
    when the broker has acknowledged everything.

    Before that, destinations that become active (a flow that is new, enabled again or delivers elsewhere) are asked as
    `flows check` does, with the credentials of this machine, which need not be the worker's: so what is wrong is a
    warning, and stops nothing. A flow that is not authorized pauses in the worker, loses nothing, and goes on when the
    cause is gone. With --strict the command ends with exit code 1 instead, and nothing is written.
    """
    put_into_force(file, BOTH, ApplyOptions(dry_run, prune, strict, no_check, as_json))


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@_DRY_RUN
@click.option("--prune", is_flag=True, help="Remove the flows that FILE does not name. [default: keep them]")
@_STRICT
@_NO_CHECK
@_JSON
def apply_flows(file: Path, dry_run: bool, prune: bool, strict: bool, no_check: bool, as_json: bool) -> None:
    """Put the flows of FILE into force, not its audiences; otherwise as `profile-exporter apply`."""
    put_into_force(file, frozenset({"flow"}), ApplyOptions(dry_run, prune, strict, no_check, as_json))


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@_DRY_RUN
@click.option("--prune", is_flag=True, help="Remove the audiences that FILE does not name. [default: keep them]")
@_JSON
def apply_audiences(file: Path, dry_run: bool, prune: bool, as_json: bool) -> None:
    """Put the audiences of FILE into force, not its flows; otherwise as `profile-exporter apply`."""
    put_into_force(
        file, frozenset({"audience"}), ApplyOptions(dry_run, prune, strict=False, no_check=True, as_json=as_json)
    )


class ApplyOptions(NamedTuple):
    """The options of `apply`."""

    dry_run: bool
    prune: bool
    strict: bool
    no_check: bool
    as_json: bool


def put_into_force(file: Path, kinds: Collection[str], options: ApplyOptions) -> None:
    """Plan, ask the destinations, write, and print the steps and the jobs that they start."""
    configuration = read_configuration(file)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings = read_settings()
    planned = partial(_planned, configuration, kinds, options.prune)
    unnamed = UnnamedEtags(settings, _warn_of_denied)
    state = read_state(settings)
    steps = planned(state)
    if not options.no_check:
        _preflight(activated(steps), settings, strict=options.strict)
    jobs: list[Job] = []
    if not options.dry_run and (any(step.writes for step in steps) or unnamed(find_unnamed_candidates(state))):
        steps, jobs = change(settings, lambda draft: (_carried_out(draft, planned, unnamed), draft.started_jobs))
    print_steps(
        steps, "nothing was changed: --dry-run" if options.dry_run else "in force", jobs, as_json=options.as_json
    )


def print_steps(steps: list[Step], end: str, jobs: Iterable[Job] = (), *, as_json: bool) -> None:
    """Print a line for each change and each job it starts; then how many steps each action has, and `end`."""
    if as_json:
        for step in steps:
            click.echo(orjson.dumps({"action": step.action, "kind": step.kind, "name": step.name}))
        return
    for step in steps:
        if step.action is not Action.UNCHANGED:
            click.echo(f"{step.action} {step.kind} {step.name}")
    print_jobs(jobs)
    if end:
        click.echo(_summary(steps, end))


def _planned(configuration: Configuration, kinds: Collection[str], prune: bool, state: ControlState) -> list[Step]:
    return [step for step in plan(configuration, state, prune=prune) if step.kind in kinds]


def _carried_out(draft: Draft, planned: Callable[[ControlState], list[Step]], unnamed: Unnamed) -> list[Step]:
    """Carry out the plan by the state of now, which may have changed since the destinations were asked."""
    record_etags(draft, unnamed)
    steps = planned(draft.state)
    carry_out(draft, steps)
    return steps


def _warn_of_denied(denied: ReadDenied) -> None:
    text = (
        "flows that were put into force by an earlier version are not recorded, so their etags in exports may lead"
        f" nowhere: {denied}"
    )
    click.echo(f"warning: {text}", err=True)


def _preflight(flows: Iterable[Flow], settings: Settings, *, strict: bool) -> None:
    failed = warn_of(flows, ENVIRONMENT, secrets_of(settings), endpoint_rules(settings.endpoint_hosts))
    if failed and strict:
        raise CommandError(
            f"{failed} flow{'s' if failed > 1 else ''} would not be authorized, see above;"
            " nothing was changed: --strict"
        )


def _summary(steps: list[Step], end: str) -> str:
    counts = Counter(step.action for step in steps)
    return (
        f"{', '.join(f'{action}: {counts[action]}' for action in Action if counts[action]) or 'nothing in the file'};"
        f" {end}"
    )
