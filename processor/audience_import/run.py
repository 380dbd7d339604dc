"""One import, from the file to the last event."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

from processor.audience_import.events import NAMESPACE, Import, exited, realized
from processor.audience_import.layout import Dialect
from processor.audience_import.members import Members
from processor.audience_import.rejected import SPOILT, Fault, Reason, Rejected, Rejections
from processor.audience_import.rows import Member, ReadOptions, Rows
from processor.control.draft import Draft
from processor.control.state import ControlState
from processor.errors import CommandError, UsageError
from processor.kafka.memberships import ends_of_events, events_not_applied, membership_changes
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions, profile_partitions
from processor.kafka.writing import Writer
from processor.settings import Settings
from schemas.audience import Audience
from schemas.times import format_time

Item = TypeVar("Item")
Change = Callable[[Callable[[Draft], None]], None]
"""Changes flows and audiences, as ControlPlane.change does."""
Report = Callable[[str, int, int], None]
"""(what is done, rows or events, bytes of the file read)."""

WAIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.5
_BATCH: Final = 10_000
_MOST_FAULTS: Final = 20


class Request(NamedTuple):
    """What is to be imported. `exits`: None, only where the audience was described before, and no row is rejected."""

    audience_id: str
    name: str | None = None
    ttl_days: int = 30
    exits: bool | None = None
    dry_run: bool = False
    reading: ReadOptions = ReadOptions()


class Imported(NamedTuple):
    """What became of it. `entered`, `exited`: events that were sent, or would have been.

    `known`: how many of those who entered were profiles before, by what the workers have applied. `rejected_rows`: how many for each reason,
    and the first of each.
    """

    name: str
    dialect: Dialect
    entered: int
    known: int
    exited: int
    duplicates: int
    rejected_rows: Rejections
    ignored_columns: list[str]
    warnings: list[str]

    @property
    def rejected(self) -> int:
        """How many rows name no member."""
        return self.rejected_rows.total()


def import_audience(
    settings: Settings, change: Change, state: Callable[[], ControlState], path: Path, request: Request, rejected: Path | None, report: Report
) -> Imported:
    """Read, describe the audience, send.

    `state`: which audiences are described now; `rejected`: where rejected rows go, line, reason, explanation and row; made only where there are
    some.

    With PARTITIONER=none a row whose profile is on two partitions, or on none yet, is rejected (I12).

    Raises UsageError for a file that cannot be used, CommandError where workers are too far behind to know who was a member or where nobody
    knows where to write, WriteFailed.
    """
    with profile_partitions(settings, report=lambda records: report("looking up", records, 0)) as partitions, Members() as members:
        rows = Rows(path, request.reading, _why_not(partitions))
        accepted, refused = _read(rows, members, rejected, report)
        entering = members.count_named()
        if not entering:
            raise UsageError(_nobody(rows, refused))
        exits = (NAMESPACE, request.audience_id) in state().audiences if request.exits is None else request.exits
        if exits and refused.total() and request.exits is None:
            raise UsageError(
                f"{path}: {refused.total()} rows are rejected, and whoever is named in them would leave the audience; nothing was sent; "
                f"{_as_read(rows, refused)}\n  mend them, or say --exits (they leave) or --no-exits (nobody does)"
            )
        if exits:
            _wait_for_workers(settings)
        _compare(settings, request.audience_id, members, report, exits=exits)
        known, leaving = members.count_known(), members.count_gone()
        _require_places(partitions, members.gone())
        of = Import(f"import-{uuid4().hex}", request.audience_id, int(time.time()), request.ttl_days)
        if not request.dry_run:
            change(lambda draft: _describe(draft, request, of))
            _send(settings, of, members, partitions, report)
    return Imported(of.name, rows.dialect, entering, known, leaving, accepted - entering, refused, rows.ignored, rows.warnings)


def _nobody(rows: Rows, refused: Rejections) -> str:
    told = "".join(f"\n  {line}" for line in refused.lines())
    taken = "\n  --any-id takes ids that only look spoilt" if any(reason in SPOILT for reason in refused.by_reason) else ""
    what = f"no row of it can be used ({refused.total()} are rejected); nothing was sent, and nobody leaves the audience"
    return f"{rows.path}: {what}; {_as_read(rows, refused)}{told}{taken}"


def _as_read(rows: Rows, refused: Rejections) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in refused.as_json().items())
    return f"it was read as {rows.dialect}" + (f"; rejected for {counts}" if counts else "")


def _read(rows: Rows, members: Members, rejected: Path | None, report: Report) -> tuple[int, Rejections]:
    """Count the rows that name a member, and those that are rejected."""
    accepted, refused = 0, Rejections()
    with ExitStack() as stack:
        write = None
        for batch in _batches(rows, _BATCH):
            good = [row for row in batch if isinstance(row, Member)]
            bad = [row for row in batch if isinstance(row, Rejected)]
            members.name(good)
            accepted += len(good)
            for row in bad:
                refused.count(row)
            if bad and rejected is not None:
                write = write or _open_rejected(rejected, stack)
                write(bad)
            report("reading", accepted + refused.total(), rows.bytes_read)
    return accepted, refused


def _open_rejected(path: Path, stack: ExitStack) -> Callable[[Iterable[Rejected]], None]:
    """Begin the file of rejected rows; returns what writes some into it."""
    try:
        file = stack.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
    except OSError as error:
        raise UsageError(f"{path}: rejected rows cannot be written there: {error.strerror}\n  name another file with --rejected") from None
    writer = csv.writer(file)
    writer.writerow(Rejected._fields)
    return writer.writerows


def _wait_for_workers(settings: Settings) -> None:
    """Wait until the changelog knows everybody who entered; raises CommandError where the workers are too far behind."""
    deadline, ends = time.monotonic() + WAIT_SECONDS, ends_of_events(settings)
    while behind := events_not_applied(settings, ends):
        if time.monotonic() > deadline:
            raise CommandError(
                f"the workers have not applied {behind} events: who is a member is not known, so who leaves is not either; nothing was sent\n"
                "  start workers and try again, or leave the exits out (--no-exits)"
            )
        time.sleep(_POLL_SECONDS)


def _compare(settings: Settings, audience_id: str, members: Members, report: Report, *, exits: bool) -> None:
    """Note who is a profile, and (for `exits`) who is a member: one scan of the changelog for both."""
    seen = 0
    for batch in _batches(membership_changes(settings, (NAMESPACE, audience_id)), _BATCH):
        members.note(batch if exits else ((profile_id, None if is_member is None else False) for profile_id, is_member in batch))
        seen += len(batch)
        report("comparing", seen, 0)


def _describe(draft: Draft, request: Request, of: Import) -> None:
    kept, now = draft.state.audiences.get((NAMESPACE, request.audience_id)), format_time(of.at)
    new = {"namespace": NAMESPACE, "id": request.audience_id, "origin": NAMESPACE, "createdAt": now}
    before = kept.item if kept is not None else Audience.model_validate(new)
    draft.put_audience(before.model_copy(update={"name": request.name or before.name, "updated_at": now}))


def _why_not(partitions: ProfilePartitions) -> Callable[[str], Fault | None]:
    """Tell why nobody knows where to write a profile's events; None where it is known."""

    def why_not(profile_id: str) -> Fault | None:
        try:
            partitions.choose(profile_id.encode())
        except NotOnePartition as why:
            return Fault(Reason.NO_PARTITION, str(why))
        return None

    return why_not


def _require_places(partitions: ProfilePartitions, leaving: Iterable[str]) -> None:
    """Raise CommandError where nobody knows where to write that somebody leaves."""
    why_not = _why_not(partitions)
    faults = list(islice((f"  {profile_id}: {why.explanation}" for profile_id in leaving if (why := why_not(profile_id)) is not None), _MOST_FAULTS))
    if faults:
        told = "nobody knows where to write that these leave the audience; nothing was sent"
        raise CommandError("\n".join([told, *faults, "  mend that, or leave the exits out (--no-exits)"]))


def _send(settings: Settings, of: Import, members: Members, partitions: ProfilePartitions, report: Report) -> None:
    sent = 0
    with Writer(settings) as writer:
        for profile_ids, event in ((members.named(), realized), (members.gone(), exited)):
            for profile_id in profile_ids:
                key, value, name = profile_id.encode(), event(of, profile_id), f"profile {profile_id}"
                writer.write(settings.topics.profile_events, key, value, name=name, timestamp=of.at * 1000, partition=partitions.choose(key))
                sent += 1
                report("sending", sent, 0)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
