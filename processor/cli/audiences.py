"""`profile-exporter audiences`: what is known of audiences, looked at and changed."""

from typing import Any

import click
import orjson

from processor.cli.apply import apply_audiences
from processor.cli.control import change, read_state
from processor.cli.tables import Table, show
from processor.cli.texts import yaml_of
from processor.control.native import NoSuchAudience, delete_audience
from processor.control.state import ControlState, Kept, Topic
from processor.errors import UsageError
from processor.kafka.catalog_records import plain
from processor.settings import read_settings
from schemas.audience import Audience, AudienceKey


@click.group("audiences")
def audiences() -> None:
    """Look at the audiences that somebody described, and change what is known of them.

    An audience is named NAMESPACE/ID, as ups/aud-delorean; a NAMESPACE holds no /.
    """


@audiences.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, one an audience. [default: a table]")
def list_audiences(as_json: bool) -> None:
    """Show the audiences, and how many flows map each."""
    state = _state()
    mapped: dict[AudienceKey, int] = {}
    for kept_flow in state.flows.values():
        for mapping in kept_flow.item.audiences:
            mapped[mapping.key] = mapped.get(mapping.key, 0) + 1
    rows = []
    for key, kept in sorted(state.audiences.items()):
        if as_json:
            click.echo(orjson.dumps(_as_stored(kept) | {"flows": mapped.get(key, 0)}))
        rows.append(["/".join(key), kept.item.name or "", kept.item.merge_policy_id, kept.item.origin or "", str(mapped.get(key, 0))])
    if not as_json:
        show(Table("audiences", ["audience", "name", "merge policy", "origin", "flows"], rows))


@audiences.command("show")
@click.argument("audience")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, with etag and times. [default: as FILE has it]")
def show_audience(audience: str, as_json: bool) -> None:
    """Show AUDIENCE as a file would have it."""
    kept = _chosen(_state(), audience)
    click.echo(orjson.dumps(_as_stored(kept)) if as_json else yaml_of(plain(kept.item)), nl=as_json)


@audiences.command("delete")
@click.argument("audience")
@click.option("--yes", is_flag=True, help="Do not ask. [default: ask]")
def remove_audience(audience: str, yes: bool) -> None:
    """Forget what is known of AUDIENCE. Memberships in it, and flows that map it, go on as they are (M1)."""
    key = _chosen(_state(), audience).item.key
    if not yes:
        click.confirm(f"delete what is known of audience {audience}?", abort=True)
    change(read_settings(), lambda draft: delete_audience(draft, key))
    click.echo(f"remove audience {audience}")


audiences.add_command(apply_audiences)


def key_of(name: str) -> AudienceKey:
    """Namespace and id; raises UsageError."""
    namespace, slash, audience_id = name.partition("/")
    if not (namespace and slash and audience_id):
        raise UsageError(f"{name}: an audience is named NAMESPACE/ID, as ups/aud-delorean")
    return namespace, audience_id


def _state() -> ControlState:
    state = read_state(read_settings())
    for (topic, _), text in state.unreadable.items():
        if topic is Topic.AUDIENCES:
            click.echo(f"warning: {text}", err=True)
    return state


def _chosen(state: ControlState, name: str) -> Kept[Audience]:
    key = key_of(name)
    if key not in state.audiences:
        raise NoSuchAudience(key)
    return state.audiences[key]


def _as_stored(kept: Kept[Audience]) -> dict[str, Any]:
    return {"audience": plain(kept.item), "etag": kept.etag, "createdAt": kept.created_at, "updatedAt": kept.updated_at}
