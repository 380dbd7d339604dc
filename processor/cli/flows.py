"""`profile-exporter flows`: show and change the flows in force, and check whether they would be authorized."""

from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import orjson

from processor.catalog.state import ControlState, Kept, Topic
from processor.cli.apply import apply_flows, print_steps
from processor.cli.control_plane import as_stored, change, read_and_warn
from processor.cli.destinations import Examined, details, examine_flows, warn_of
from processor.cli.views.check_report import count_not_in_place, print_findings
from processor.cli.views.job_views import print_jobs
from processor.cli.views.tables import Table, print_table
from processor.cli.views.yaml_text import diff_yaml, write_yaml
from processor.control.apply_plan import Action, Step, plan
from processor.control.draft import Draft
from processor.control.native import NoSuchFlow, abandon_flow, delete_flow, set_flow_state
from processor.delivery.kinesis.endpoints import endpoint_rules
from processor.files.configuration import read_configuration
from processor.foundation.env_file import ENVIRONMENT
from processor.foundation.errors import CommandError
from processor.foundation.secrets import secrets_of
from processor.foundation.settings import read_settings
from schemas.destination import mask_secrets
from schemas.flow import Flow, FlowState
from schemas.job import Job
from schemas.model import dump_model

DIFFERENT: Final = 1
as_object = click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: a line for people]")


@click.group("flows")
def flows() -> None:
    """Look at the flows in force, and change them while workers run."""


@flows.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, one a flow. [default: a table]")
def list_flows(as_json: bool) -> None:
    """Show the flows in force, by id."""
    state = _state()
    rows = []
    for flow_id, kept in sorted(state.flows.items()):
        flow = kept.item
        if as_json:
            click.echo(orjson.dumps(as_stored("flow", kept)))
        mapped = [f"{len(flow.audiences)}", f"{len(flow.attributes)}"]
        rows.append([flow_id, flow.name, flow.state.value, flow.destination.in_words, *mapped, kept.etag[:8]])
    if not as_json:
        columns = ["flow", "name", "state", "destination", "audiences", "attributes", "etag"]
        print_table(Table("flows", columns, rows, "none; put some into force with `profile-exporter apply FILE`"))


@flows.command("show")
@click.argument("flow")
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object, with etag and times. [default: as FILE has it]"
)
def show_flow(flow: str, as_json: bool) -> None:
    """Show FLOW as a file would have it. A secret that is stored encrypted is masked."""
    kept = _chosen(_state(), flow)
    click.echo(
        orjson.dumps(as_stored("flow", kept)) if as_json else write_yaml(mask_secrets(dump_model(kept.item))),
        nl=as_json,
    )


@flows.command("diff")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write one JSON object a line, one a flow or audience. [default: lines for people]",
)
def diff_flows(file: Path, as_json: bool) -> None:
    """Show what `profile-exporter apply FILE` would change, and how.

    Exit codes: 0 nothing, 1 something, 2 FILE has faults, or wrong settings.
    """
    steps = plan(read_configuration(file), _state(), prune=False)
    if as_json:
        for step in steps:
            sides = {"before": _plain(step.before), "after": _plain(step.item)}
            click.echo(orjson.dumps({"action": step.action, "kind": step.kind, "name": step.name, **sides}))
    else:
        for step in steps:
            if step.writes:
                click.echo(f"{step.action} {step.kind} {step.name}")
                for line in diff_yaml(_plain(step.before), _plain(step.item)):
                    click.echo(f"    {line}")
    if any(step.writes for step in steps):
        raise SystemExit(DIFFERENT)
    if not as_json:
        print_steps(steps, "nothing differs", as_json=False)


@flows.command("enable")
@click.argument("flow")
@click.option(
    "--strict", is_flag=True, help="Leave it disabled while it would not be authorized. [default: warn, and go on]"
)
@as_object
def enable_flow(flow: str, strict: bool, as_json: bool) -> None:
    """Enable FLOW: it sends from the next event on that a worker decides."""
    _set_state(flow, FlowState.ENABLED, strict=strict, as_json=as_json)


@flows.command("disable")
@click.argument("flow")
@as_object
def disable_flow(flow: str, as_json: bool) -> None:
    """Disable FLOW: nothing of later events leaves; what was exported before still does."""
    _set_state(flow, FlowState.DISABLED, strict=False, as_json=as_json)


@flows.command("delete")
@click.argument("flow")
@click.option("--yes", is_flag=True, help="Do not ask. [default: ask]")
@as_object
def remove_flow(flow: str, yes: bool, as_json: bool) -> None:
    """Delete FLOW. Its records that still wait become dead letters `flow_deleted`.

    With `emitExitOnUnmap` they and the last exits are still delivered, for 30 days at least; delete FLOW once more to
    abandon them.
    """
    settings, state = read_settings(), _state()
    leaving = state.leaving.get(flow)
    item = _chosen(state, flow).item if leaving is None else leaving.flow
    if not yes:
        question = (
            f"delete flow {flow}?"
            if leaving is None
            else f"flow {flow} is deleted: abandon what it still has to deliver?"
        )
        click.confirm(question, abort=True, err=True)
    jobs = change(settings, partial(_deleted, flow, leaving is not None))
    print_steps([Step("flow", flow, Action.REMOVE, None, item)], "", jobs, as_json=as_json)


flows.add_command(apply_flows)


@flows.command("check")
@click.argument("flow", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line, one a flow. [default: lines for people]"
)
def check_flows(flow: str | None, as_json: bool) -> None:
    """Check whether FLOW (all, where none is named) would be authorized at its destination.

    Is there a Kinesis that knows the credentials, is the stream there and active, and is each of kinesis:ListStreams,
    kinesis:PutRecord and kinesis:PutRecords allowed? Nothing else is asked, and nothing is written that a consumer
    would see. Credentials are looked up here as a worker would: run it where the worker runs. A disabled flow is
    checked alike. Exit codes: 0 all is well or not known, 1 something FAILED, 2 there is no such flow, or wrong
    settings.
    """
    state, failed = _state(), 0
    chosen = [kept.item for kept in state.flows.values()] if flow is None else [_chosen(state, flow).item]
    settings = read_settings()
    for examined in examine_flows(chosen, ENVIRONMENT, secrets_of(settings), endpoint_rules(settings.endpoint_hosts)):
        failed += examined.failed if as_json else _print_examined(examined)
        if as_json:
            click.echo(orjson.dumps(_as_object(examined)))
    if not chosen and not as_json:
        click.echo("there are no flows; put some into force with `profile-exporter apply FILE`")
    if failed:
        raise CommandError(count_not_in_place(failed))


def _deleted(flow: str, abandon: bool, draft: Draft) -> list[Job]:
    (abandon_flow if abandon else delete_flow)(draft, flow)
    return draft.started_jobs


def _set_state(flow: str, wanted: FlowState, *, strict: bool, as_json: bool) -> None:
    settings = read_settings()
    before = _chosen(_state(), flow)
    if wanted is FlowState.ENABLED and not before.item.enabled:
        _warn_of_destination(before.item, strict=strict)
    after, jobs = change(settings, lambda draft: (set_flow_state(draft, flow, wanted), draft.started_jobs))
    if as_json:
        click.echo(orjson.dumps(as_stored("flow", after)))
        return
    click.echo(f"flow {flow} is {wanted.value}" + (" already" if after.etag == before.etag else ""))
    print_jobs(jobs)


def _warn_of_destination(flow: Flow, *, strict: bool) -> None:
    enabled = flow.model_copy(update={"state": FlowState.ENABLED})
    settings = read_settings()
    if warn_of([enabled], ENVIRONMENT, secrets_of(settings), endpoint_rules(settings.endpoint_hosts)) and strict:
        raise CommandError(f"flow {flow.id} would not be authorized, see above; it stays disabled: --strict")


def _print_examined(examined: Examined) -> int:
    flow = examined.flow
    click.echo(f"flow {flow.id}{'' if flow.enabled else ' (disabled)'}: {flow.destination.in_words}")
    return print_findings(details(examined))


def _as_object(examined: Examined) -> dict[str, Any]:
    flow = examined.flow
    destination = flow.destination.model_dump(by_alias=True, include={"stream", "region", "stream_arn", "endpoint_url"})
    return {
        "flow": flow.id,
        "state": flow.state,
        "destination": destination,
        "answers": [
            {
                "question": question,
                "verdict": outcome,
                "text": text,
                "remedy": remedy,
            }  # `verdict`: for programs
            for question, outcome, text, remedy in examined.answers
        ],
    }


def _state() -> ControlState:
    return read_and_warn(read_settings(), Topic.FLOWS)


def _plain(item: Any) -> Any:
    return None if item is None else mask_secrets(dump_model(item))


def _chosen(state: ControlState, name: str) -> Kept[Flow]:
    if name in state.flows:
        return state.flows[name]
    raise NoSuchFlow(name, state.flows)
