"""`profile-exporter flows`: the flows in force, and whether they would be let in where they deliver."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import click
import orjson

from processor.cli.destinations import Examined, details, examine_flows
from processor.cli.tell import not_in_place, tell
from processor.delivery.preflight import place
from processor.errors import CommandError, UsageError
from processor.kafka.admin import Admin
from processor.kafka.catalog_records import BadCatalogRecord, read_flow
from processor.kafka.reading import read_compacted
from processor.kafka.topics import topic_specs
from processor.secrets import secrets_of
from processor.settings import Settings, read_settings
from schemas.flow import Flow


@click.group("flows")
def flows() -> None:
    """Look at the flows in force; `profile-exporter apply FILE` changes them."""


@flows.command("check")
@click.argument("flow", required=False)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, one a flow. [default: lines for people]")
def check_flows(flow: str | None, as_json: bool) -> None:
    """Check whether FLOW (all, where none is named) would be let in at its destination.

    Is there a Kinesis that knows the credentials, is the stream there and active, and is each of kinesis:ListStreams,
    kinesis:PutRecord and kinesis:PutRecords allowed? Nothing else is asked, and nothing is written that a consumer would
    see. Credentials are looked up here as a worker would: run it where the worker runs. A disabled flow is checked alike.
    Exit codes: 0 all is well or cannot be told, 1 something FAILED, 2 there is no such flow, or wrong settings.
    """
    settings = read_settings()
    Admin(settings).require([spec for spec in topic_specs(settings) if spec.name == settings.topics.flows])
    in_force, failed = _flows(settings), 0
    chosen = list(in_force.values()) if flow is None else [_chosen(in_force, flow)]
    for examined in examine_flows(chosen, os.environ, secrets_of(settings)):
        failed += examined.failed if as_json else _told(examined)
        if as_json:
            click.echo(orjson.dumps(_as_object(examined)))
    if not chosen and not as_json:
        click.echo("there are no flows; put some into force with `profile-exporter apply FILE`")
    if failed:
        raise CommandError(not_in_place(failed))


def _told(examined: Examined) -> int:
    flow = examined.flow
    click.echo(f"flow {flow.id}{'' if flow.enabled else ' (disabled)'}: {place(flow.destination)}")
    return tell(details(examined))


def _as_object(examined: Examined) -> dict[str, Any]:
    flow = examined.flow
    destination = flow.destination.model_dump(by_alias=True, include={"stream", "region", "endpoint_url"})
    return {"flow": flow.id, "state": flow.state, "destination": destination, "answers": [answer._asdict() for answer in examined.answers]}


def _flows(settings: Settings) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for key, value in read_compacted(settings, settings.topics.flows).items():
        try:
            flow = read_flow(key, value).flow
        except BadCatalogRecord as bad:
            click.echo(f"warning: {bad}", err=True)
        else:
            found[flow.id] = flow
    return found


def _chosen(in_force: Mapping[str, Flow], name: str) -> Flow:
    if name in in_force:
        return in_force[name]
    near = get_close_matches(name, in_force, n=1)
    raise UsageError(f"there is no flow {name}" + (f"; did you mean {near[0]}?" if near else "; `profile-exporter status` lists those in force"))
