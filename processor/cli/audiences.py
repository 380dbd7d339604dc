"""`profile-exporter audiences`: show and change what is known of audiences, and import their members (M1)."""

from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson

from processor.audience_import.request import ImportRequest, ImportResult
from processor.audience_import.rows import ReadOptions
from processor.audience_import.run import import_audience
from processor.catalog.state import ControlState, Kept, Topic
from processor.cli.apply import apply_audiences, print_steps
from processor.cli.control_plane import as_stored, change, read_and_warn, read_state, require_import_topics
from processor.cli.views.progress import progress
from processor.cli.views.tables import Table, print_table
from processor.cli.views.yaml_text import write_yaml
from processor.control.apply_plan import Action, Step
from processor.control.native import NoSuchAudience, delete_audience
from processor.foundation.errors import UsageError
from processor.foundation.settings import read_settings
from schemas.audience import Audience, AudienceKey
from schemas.model import dump_model


@click.group("audiences")
def audiences() -> None:
    """Look at the audiences that somebody described, and change what is known of them.

    An audience is named NAMESPACE/ID, as ups/aud-delorean; a NAMESPACE holds no /.
    """


@audiences.command("list")
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line, one an audience. [default: a table]"
)
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
            click.echo(orjson.dumps(as_stored("audience", kept) | {"flows": mapped.get(key, 0)}))
        rows.append(
            [
                "/".join(key),
                kept.item.name or "",
                kept.item.merge_policy_id,
                kept.item.origin or "",
                str(mapped.get(key, 0)),
            ]
        )
    if not as_json:
        print_table(Table("audiences", ["audience", "name", "merge policy", "origin", "flows"], rows))


@audiences.command("show")
@click.argument("audience")
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object, with etag and times. [default: as FILE has it]"
)
def show_audience(audience: str, as_json: bool) -> None:
    """Show AUDIENCE as a file would have it."""
    kept = _chosen(_state(), audience)
    click.echo(orjson.dumps(as_stored("audience", kept)) if as_json else write_yaml(dump_model(kept.item)), nl=as_json)


@audiences.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("audience_id")
@click.option("--name", default=None, help="What the audience is called. [default: as before]")
@click.option(
    "--ttl-days", type=click.IntRange(1, 90), default=30, show_default=True, help="Days that memberships last."
)
@click.option(
    "--encoding",
    default=None,
    help="How FILE is written, as windows-1252. [default: UTF-8, or UTF-16 with a byte order mark]",
)
@click.option("--delimiter", default=None, help="One character between columns; tab is a name of it. [default: found]")
@click.option(
    "--escape",
    default=None,
    help="One character before a quote or a delimiter of a value, as a backslash. [default: quotes stand twice]",
)
@click.option(
    "--id-column",
    default=None,
    help="The column of the members' profile ids. [default: profileId, else namespace and id]",
)
@click.option(
    "--any-id",
    is_flag=True,
    help="Take ids that look as if a spreadsheet or an export had spoilt them. [default: reject them]",
)
@click.option(
    "--rejected",
    type=click.Path(path_type=Path),
    default=None,
    help="Where rejected rows go. [default: FILE.rejected.csv]",
)
@click.option(
    "--exits/--no-exits",
    default=None,
    help="Whether who is not in FILE leaves the audience. [default: where it was described before]",
)
@click.option("--dry-run", is_flag=True, help="Read and compare, and send nothing. [default: send]")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: lines for people]")
def import_file(  # an option each
    file: Path,
    audience_id: str,
    encoding: str | None,
    delimiter: str | None,
    escape: str | None,
    id_column: str | None,
    any_id: bool,
    rejected: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Make the profiles in FILE the members of the audience CustomerAudienceUpload/AUDIENCE_ID.

    FILE is a CSV with a header, of up to 10 million rows and more; its column profileId names the members, or its
    columns namespace and id do by an identity, which exactly one profile must have (where a row has both, profileId
    wins; see IDENTITY_INDEX). An encoding that is not sure is never guessed: name it with --encoding. Rows that cannot
    be used are left out and written to a file with line, reason and explanation, as are ids that a spreadsheet or an
    export spoilt. Everybody in FILE enters the audience, for --ttl-days; when the audience was imported before,
    everybody who is a member and not in FILE leaves it: workers must have processed every event for that (lag 0), since
    only then it is known who is a member; they need not run. How many in FILE are profiles already is read from the
    changelog. The events go to the topic of profile events. An import that was interrupted is begun again: what was
    sent changes nothing the second time.
    """
    settings = read_settings()
    require_import_topics(settings)
    rejected = rejected or file.with_name(f"{file.name}.rejected.csv")
    request = ImportRequest(audience_id, **chosen, reading=ReadOptions(encoding, delimiter, escape, id_column, any_id))
    with progress("importing", file.stat().st_size if file.exists() else None) as show:
        state, report = partial(read_state, settings), lambda _, rows, read: show(rows, read)
        done = import_audience(settings, partial(change, settings), state, file, request, rejected, report)
    if as_json:
        click.echo(orjson.dumps(_as_json(done)))
        return
    end = "nothing was sent: --dry-run" if request.dry_run else f"sent to {settings.topics.profile_events}"
    _print_result(done, file, rejected, end)


def _print_result(done: ImportResult, file: Path, rejected: Path, end: str) -> None:
    for column in done.ignored_columns:
        click.echo(f"warning: the column {column} is not used", err=True)
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.rejected:
        click.echo(f"warning: {done.rejected} rows cannot be used, see {rejected}", err=True)
        for line in done.rejected_rows.lines():
            click.echo(f"  {line}", err=True)
    click.echo(f"{file} was read as {done.dialect}")
    click.echo(
        f"{done.entered} members, {done.known} of them known before, {done.exited} leave, {done.duplicates} rows stood"
        f" twice, {done.rejected} rows are rejected; {end}"
    )


def _as_json(done: ImportResult) -> dict[str, Any]:
    shown = done._asdict() | {
        "dialect": done.dialect._asdict(),
        "rejected": done.rejected,
        "rejected_for": done.rejected_rows.as_json(),
    }
    del shown["rejected_rows"]
    return shown


@audiences.command("delete")
@click.argument("audience")
@click.option("--yes", is_flag=True, help="Do not ask. [default: ask]")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: a line for people]")
def remove_audience(audience: str, yes: bool, as_json: bool) -> None:
    """Forget what is known of AUDIENCE. Memberships in it, and flows that map it, go on as they are (M1)."""
    described = _chosen(_state(), audience).item
    if not yes:
        click.confirm(f"delete what is known of audience {audience}?", abort=True, err=True)
    change(read_settings(), lambda draft: delete_audience(draft, described.key))
    print_steps([Step("audience", audience, Action.REMOVE, None, described)], "", as_json=as_json)


audiences.add_command(apply_audiences)


def parse_audience_name(name: str) -> AudienceKey:
    """Return namespace and id of a name; raise UsageError."""
    namespace, slash, audience_id = name.partition("/")
    if not (namespace and slash and audience_id):
        raise UsageError(f"{name}: an audience is named NAMESPACE/ID, as ups/aud-delorean")
    return namespace, audience_id


def _state() -> ControlState:
    return read_and_warn(read_settings(), Topic.AUDIENCES)


def _chosen(state: ControlState, name: str) -> Kept[Audience]:
    key = parse_audience_name(name)
    if key not in state.audiences:
        raise NoSuchAudience(key)
    return state.audiences[key]
