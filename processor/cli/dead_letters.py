"""`profile-exporter dead-letters`: list, inspect and send again what could not be used or delivered (I4, G8)."""

from typing import Any, Final

import click
import orjson

from processor.cli.control_plane import require_topics
from processor.cli.dead_letter_options import build_selection, selecting
from processor.cli.redrive import redrive
from processor.cli.views.dead_letter_views import COLUMNS, counts_table, fields_table, row, summary_object, whole_object
from processor.cli.views.tables import Table, print_table
from processor.dead_letters.counts import DeadLetterCounts
from processor.dead_letters.reading import read_dead_letters
from processor.dead_letters.redriven import read_redrive_markers
from processor.foundation.errors import UsageError
from processor.foundation.settings import read_settings
from processor.kafka.reading import read_at
from schemas.kafka import BadRecord
from schemas.wire.dead_letters import decode_dead_letter

SHOWN_DEAD_LETTERS: Final = 100


@click.group("dead-letters")
def dead_letters() -> None:
    """List, inspect and send again what could not be used or delivered.

    A dead letter is named by its partition and offset on the topic dead-letters: PARTITION:OFFSET.
    """


@dead_letters.command("list")
@selecting
@click.option("--waiting", is_flag=True, help="Only dead letters that were not sent again. [default: all]")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    show_default=f"{SHOWN_DEAD_LETTERS}; with --json all",
    help="Dead letters shown, at most.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line, one a dead letter. [default: tables]"
)
def list_dead_letters(waiting: bool, limit: int | None, as_json: bool, **chosen: Any) -> None:
    """Show dead letters in the order of each partition, and how many there are by flow and reason.

    Counts are of all that the options select, also of those that are not shown. Reads topics only.
    """
    settings, selected = read_settings(), build_selection(**chosen)
    require_topics(settings, (settings.topics.dead_letters, settings.topics.redriven))
    markers = read_redrive_markers(settings)
    most = limit if limit is not None else None if as_json else SHOWN_DEAD_LETTERS
    counts, rows, shown = DeadLetterCounts(), list[list[str]](), 0
    for dead_letter in read_dead_letters(settings, selected, _warn):
        marker = markers.get(dead_letter.fingerprint)
        if waiting and marker is not None:
            continue
        counts.add_dead_letter(dead_letter, markers)
        if most is not None and shown >= most:
            continue
        shown += 1
        if as_json:
            click.echo(orjson.dumps(summary_object(dead_letter, marker)))
        else:
            rows.append(row(dead_letter, marker))
    if not as_json:
        left = counts.letters.total() - shown
        print_table(Table("dead letters", COLUMNS, rows, "none" if not left else "none shown"))
        if left:
            click.echo(f"and {left:,} more; --limit 0 shows counts only, --json writes all")
        print_table(counts_table("by flow and reason", counts))


@dead_letters.command("show")
@click.argument("dead_letter", metavar="DEAD-LETTER")
@click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object, the value in it. [default: a table, then the value]"
)
@click.option("--raw", is_flag=True, help="Write the value alone, byte for byte. [default: a table, then the value]")
def show_dead_letter(dead_letter: str, as_json: bool, raw: bool) -> None:
    """Show a dead letter whole: DEAD-LETTER is PARTITION:OFFSET, as `list` names it."""
    partition, _, offset = dead_letter.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise UsageError(f"{dead_letter} names no dead letter: a name is PARTITION:OFFSET, as 3:17")
    settings = read_settings()
    require_topics(settings, (settings.topics.dead_letters, settings.topics.redriven))
    record = read_at(settings, settings.topics.dead_letters, int(partition), int(offset))
    if record is None:
        raise UsageError(
            f"there is no dead letter {dead_letter}; `profile-exporter dead-letters list` names those that are there"
        )
    try:
        found = decode_dead_letter(record)
    except BadRecord as bad:
        raise UsageError(str(bad)) from None
    if raw:
        click.get_binary_stream("stdout").write(found.was.value or b"")
        return
    marker = read_redrive_markers(settings).get(found.fingerprint)
    if as_json:
        click.echo(orjson.dumps(whole_object(found, marker)))
        return
    print_table(fields_table(found, marker))
    click.echo("value: null" if found.was.value is None else f"value:\n{found.was.value.decode(errors='replace')}")


dead_letters.add_command(redrive)


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)
