"""`profile-exporter profiles`: delete single profiles, as privacy requests name them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any, Final
from uuid import uuid4

import click
import orjson

from processor.cli.control_plane import require_topics
from processor.cli.profile_ids import read_ids
from processor.cli.status import read_statuses
from processor.cli.views.progress import progress
from processor.cli.views.tables import Table, print_table
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.settings import Settings, read_settings
from processor.foundation.settings_environment import env_name
from processor.kafka.errors import BrokerUnreachable, ReadFailed
from processor.privacy.deletion import Request, delete_profiles
from processor.privacy.receipt import Applied, Receipt, Row
from schemas.times import format_time

WAIT_SECONDS: Final = 60
STDIN: Final = "-"
_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True)
_SHOWN_IDS: Final = 3
_COLUMNS: Final = ["profile", "event", "place", "time", "profile was", "its row", "records"]
_ROWS: Final = {
    Row.TOMBSTONE: "a tombstone",
    Row.NONE: "none",
    Row.NEW: "a new one, of later events",
    Row.KEPT: "THE OLD ONE",
    Row.INDEXED: "INDEX ROWS ARE LEFT",
}


@click.group("profiles")
def profiles() -> None:
    """Delete profiles, as privacy requests ask for it."""


@profiles.command("delete")
@click.argument("profile_ids", metavar="ID...", nargs=-1)
@click.option("--file", type=_FILE, default=None, help="Ids, one a line; - is stdin. [default: none]")
@click.option("--yes", is_flag=True, help="Do not ask. [default: ask]")
@click.option(
    "--partition",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Delete what is there. [default: where the profile belongs]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option("--no-wait", is_flag=True, help="End when the events are written. [default: wait until they are applied]")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, one a profile. [default: tables]")
def delete(
    profile_ids: tuple[str, ...],
    file: str | None,
    yes: bool,
    partition: int | None,
    timeout: float,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Delete the profiles ID..., and show a receipt for each.

    An event profile.deleted is written for each. When a worker has applied it, the flows in whose audiences the profile
    was have one last record on exports, and its state is gone (contract F3): from memory and reads at once, from the
    files of RocksDB and of the changelog when they are compacted. Where else its data are, and for how long:
    docs/operations.md, "Privacy requests".

    The event goes to the partition where PARTITIONER puts the profile. With PARTITIONER=none it goes where the profile
    is, which takes a look at the whole changelog; a profile on two partitions is refused: --partition deletes one half,
    and then the other.

    The receipt names the event and its offset, whether the profile was known, what the changelog holds of it now, and
    the records that left. An id is taken as it stands in the file. What no key may be is refused (contract I11):
    control characters, white space at either end, and what a JSON serializer makes of an id.

    Exit codes: 0 all are deleted, or were not known; 1 not applied in time (they are written, and will be), or not
    written;
    2 wrong usage or settings.
    """
    with click.open_file(file, "rb") if file is not None else nullcontext(()) as lines:
        ids = read_ids(profile_ids, lines, "stdin" if file == STDIN else file or "")
    settings = read_settings()
    _require_partition(settings, partition)
    names = settings.topics
    require_topics(settings, (names.profile_events, names.changelog, names.exports))
    if not yes:
        _confirm(ids, file)
    request = Request(ids, format_time(int(time.time())), None if no_wait else timeout, partition)
    with progress("reading the changelog:", None) as report:
        receipts = delete_profiles(settings, request, lambda: str(uuid4()), lambda records: report(records, 0))
    if partition is None:
        _warn_of_misplaced(settings)
    _print_receipts(receipts, as_json=as_json)
    if not no_wait:
        _require_all_done(receipts, timeout)


def _require_partition(settings: Settings, partition: int | None) -> None:
    if partition is not None and partition >= settings.partitions:
        raise UsageError(f"there is no partition {partition}: {env_name('partitions')} is {settings.partitions}")


def _print_receipts(receipts: Sequence[Receipt], *, as_json: bool) -> None:
    if as_json:
        for receipt in receipts:
            click.echo(orjson.dumps(_as_object(receipt)))
    else:
        for table in _tables(receipts):
            print_table(table)


def _confirm(ids: Sequence[str], file: str | None) -> None:
    if file == STDIN:
        raise UsageError("the ids come from stdin, so nobody can be asked: say --yes; nothing was written")
    named = ", ".join(ids[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")
    click.confirm(
        f"delete {len(ids)} profile{'s' if len(ids) > 1 else ''} ({named}), which cannot be undone?",
        abort=True,
        err=True,
    )


def _warn_of_misplaced(settings: Settings) -> None:
    """Warn that a receipt is of one partition alone, where workers have seen keys on others (I12)."""
    misplaced = 0
    with suppress(ReadFailed, BrokerUnreachable):  # whoever may not read worker-status has the receipts all the same
        misplaced = sum(status.misplaced for status in read_statuses(settings, []))
    if misplaced:
        text = (
            f"workers have read {misplaced:,} events elsewhere than their keys belong: a profile may be on another"
            " partition, or half of it"
        )
        click.echo(f"warning: {text}; see `profile-exporter check`, and --partition", err=True)


def _as_object(receipt: Receipt) -> dict[str, Any]:
    """Return a line of --json.

    `known`, `row`, `records` are null while the event is not applied; `records` also where they are not shown yet.
    """
    deletion, applied = receipt
    written = {
        "profile": deletion.profile,
        "eventId": deletion.event_id,
        "topic": deletion.topic,
        "partition": deletion.partition,
        "offset": deletion.offset,
        "time": deletion.time,
        "applied": applied is not None,
    }
    if applied is None:
        return written | {"known": None, "row": None, "records": None}
    records = (
        None
        if applied.records is None
        else [{"flow": each.flow, "recordId": each.record_id} for each in applied.records]
    )
    return written | {"known": applied.known, "row": applied.row, "records": records}


def _tables(receipts: Sequence[Receipt]) -> Iterator[Table]:
    yield Table("deleted profiles", _COLUMNS, [_line(each) for each in receipts])
    records = [
        [deletion.profile, *each]
        for deletion, applied in receipts
        if applied is not None
        for each in applied.records or ()
    ]
    yield Table("last records", ["profile", "flow", "record id"], records)


def _line(receipt: Receipt) -> list[str]:
    deletion, applied = receipt
    written = [
        deletion.profile,
        deletion.event_id,
        f"{deletion.topic} {deletion.partition}:{deletion.offset}",
        deletion.time,
    ]
    if applied is None:
        return [*written, "not looked up", "not applied yet", ""]
    records = "not shown yet" if applied.records is None else str(len(applied.records))
    return [*written, "known" if applied.known else "not known", _ROWS[applied.row], records]


def _require_all_done(receipts: Sequence[Receipt], timeout: float) -> None:
    """Raise CommandError that explains what is not done, and why nothing is lost."""
    of = Counter("waiting" if done is None else _what_is_wrong(done) for _, done in receipts)
    faults = []
    if waiting := of["waiting"]:
        faults.append(
            f"{waiting} of {len(receipts)} deletions {'are' if waiting > 1 else 'is'} written, and not applied after"
            f" {timeout:g} s\n  nothing is lost, and it need not be said again: workers apply it in its turn, once they"
            " run; `profile-exporter status` shows their lag"
        )
    if of["hidden"]:
        faults.append(
            "the deletions are applied, and which records left is not shown yet: a transaction stays open on exports"
        )
    if of["kept"]:
        faults.append(
            "the event was passed over, and the profile is there still, see THE OLD ONE above: the worker's log"
            " says why"
        )
    if of["indexed"]:
        faults.append(
            "the profiles are gone, and rows of the index of identities still name some, see INDEX ROWS ARE LEFT above:"
            " a worker of an older version left them\n  a worker of this version takes them away by itself when it has"
            " the partition; give the ids again then"
        )
    if faults:
        raise CommandError("\n".join(faults))


def _what_is_wrong(applied: Applied) -> str:
    if applied.row in (Row.KEPT, Row.INDEXED):
        return applied.row.value
    return "hidden" if applied.records is None else ""
