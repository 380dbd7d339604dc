"""One import, from the file to the last event."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar
from uuid import uuid4

from processor.audience_import.events import NAMESPACE, Import, exited, realized
from processor.audience_import.identities import Found, Identities, Identity
from processor.audience_import.identity_index import SETTING
from processor.audience_import.layout import Dialect
from processor.audience_import.members import Members
from processor.audience_import.membership_changes import ends_of_events, events_not_applied, membership_changes
from processor.audience_import.rejected import SPOILT, Fault, Reason, Rejected, Rejections
from processor.audience_import.rows import Member, ReadOptions, Rows
from processor.catalog.state import ControlState
from processor.control.draft import Draft
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.settings import Settings
from processor.kafka.log_ends import wait_until_shown
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions, profile_partitions
from processor.kafka.writer import Writer
from schemas.audience import Audience
from schemas.times import format_time

Item = TypeVar("Item")
Change = Callable[[Callable[[Draft], None]], None]
"""Changes flows and audiences, as ControlPlane.change does."""
Report = Callable[[str, int, int], None]
"""(what is done, rows or events, bytes of the file read)."""

WAIT_SECONDS: Final = 60.0
_SHOWN_SECONDS: Final = 10.0
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

    `known`: how many of those who entered were profiles before, by what the workers have applied. `rejected_rows`: how
    many for each reason, and the first of each.
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
    settings: Settings,
    change: Change,
    state: Callable[[], ControlState],
    path: Path,
    request: Request,
    rejected: Path | None,
    report: Report,
) -> Imported:
    """Read, describe the audience, send.

    `state`: which audiences are described now; `rejected`: where rejected rows go, line, reason, explanation and row;
    made only where there are some.

    With PARTITIONER=none a row whose profile is on two partitions, or on none yet, is rejected (I12).

    Raises UsageError for a file that cannot be used, CommandError where workers are too far behind to know who was a
    member, where the index of identities is not whole or where nobody knows where to write, WriteFailed.
    """
    with (
        profile_partitions(settings, report=lambda records: report("looking up", records, 0)) as partitions,
        Members() as members,
        Identities() as identities,
        _RejectedRows(rejected) as refused,
    ):
        rows = Rows(path, request.reading, _why_not(partitions))
        accepted = _read(rows, members, identities, refused, report)
        _require_index(settings, path, identities)
        exits = (NAMESPACE, request.audience_id) in state().audiences if request.exits is None else request.exits
        if identities.asked:
            _require_nobody_leaves_by_mistake(request, exits, rows, refused)
            _read_changelog(settings, request.audience_id, members, identities, report, exits=exits)
            accepted += _find(members, identities, partitions, refused)
        entering = members.count_named()
        if not entering:
            raise UsageError(_nobody(rows, refused.count))
        _require_nobody_leaves_by_mistake(request, exits, rows, refused)
        if not identities.asked:
            _read_changelog(settings, request.audience_id, members, identities, report, exits=exits)
        known, leaving = members.count_known(), members.count_gone()
        _require_places(partitions, members.gone())
        of = Import(f"import-{uuid4().hex}", request.audience_id, int(time.time()), request.ttl_days)
        if not request.dry_run:
            change(lambda draft: _describe(draft, request, of))
            _send(settings, of, members, partitions, report)
    return Imported(
        of.name, rows.dialect, entering, known, leaving, accepted - entering, refused.count, rows.ignored, rows.warnings
    )


class _RejectedRows:
    """Rows that name no member, until the end of a `with`: counted, and written to a file that is made when there is
    one.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = ExitStack()
        self._write: Callable[[Iterable[Rejected]], None] | None = None
        self.count = Rejections()

    def add(self, rows: Sequence[Rejected]) -> None:
        """These are rejected. Raises UsageError where they cannot be written."""
        for row in rows:
            self.count.count(row)
        if rows and self._path is not None:
            self._write = self._write or _open_rejected(self._path, self._stack)
            self._write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _require_nobody_leaves_by_mistake(request: Request, exits: bool, rows: Rows, refused: _RejectedRows) -> None:
    if exits and refused.count.total() and request.exits is None:
        raise UsageError(
            f"{rows.path}: {refused.count.total()} rows are rejected, and whoever is named in them would leave the"
            f" audience; nothing was sent; {_as_read(rows, refused.count)}\n  mend them, or say --exits (they leave) or"
            " --no-exits (nobody does)"
        )


def _require_index(settings: Settings, path: Path, identities: Identities) -> None:
    if identities.asked and not settings.identity_index:
        raise UsageError(
            f"{path}: {identities.asked} rows name a member by an identity, and {SETTING}=false: nobody knows whose it"
            " is; nothing was sent\n  set it to true, for this program and for every worker, which then build the"
            " index by themselves; or give a column profileId"
        )


def _nobody(rows: Rows, refused: Rejections) -> str:
    told = "".join(f"\n  {line}" for line in refused.lines())
    taken = (
        "\n  --any-id takes ids that only look spoilt" if any(reason in SPOILT for reason in refused.by_reason) else ""
    )
    what = (
        f"no row of it can be used ({refused.total()} are rejected); nothing was sent, and nobody leaves the audience"
    )
    return f"{rows.path}: {what}; {_as_read(rows, refused)}{told}{taken}"


def _as_read(rows: Rows, refused: Rejections) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in refused.as_json().items())
    return f"it was read as {rows.dialect}" + (f"; rejected for {counts}" if counts else "")


def _read(rows: Rows, members: Members, identities: Identities, refused: _RejectedRows, report: Report) -> int:
    """Read the file; how many rows name a member by a profile id."""
    accepted = 0
    for batch in _batches(rows, _BATCH):
        good = [row for row in batch if isinstance(row, Member)]
        members.name(good)
        identities.ask([row for row in batch if isinstance(row, Identity)])
        refused.add([row for row in batch if isinstance(row, Rejected)])
        accepted += len(good)
        report("reading", accepted + identities.asked + refused.count.total(), rows.bytes_read)
    return accepted


def _find(members: Members, identities: Identities, partitions: ProfilePartitions, refused: _RejectedRows) -> int:
    """Name the profiles of the identities; how many rows led to one.

    Raises CommandError where the index is not whole.
    """
    if (why := identities.why_incomplete()) is not None:
        raise CommandError(f"whose the identities are is not known, nothing was sent: {why}")
    found = 0
    for batch in _batches(identities.found(), _BATCH):
        good, bad = [], []
        for row in batch:
            if isinstance(row, Rejected):
                bad.append(row)
            elif (fault := _why_not_there(partitions, row)) is not None:
                bad.append(Rejected.because(fault, row.line, row.row))
            else:
                good.append(row.profile_id)
        members.name_known(good)
        refused.add(bad)
        found += len(good)
    return found


def _why_not_there(partitions: ProfilePartitions, found: Found) -> Fault | None:
    """Say why an event would not reach the profile of an identity: a new one would begin, without the identity."""
    try:
        partition = partitions.choose(found.profile_id.encode())
    except NotOnePartition as why:
        return Fault(Reason.NO_PARTITION, str(why))
    if partition in found.partitions:
        return None
    where = " and ".join(map(str, sorted(found.partitions)))
    told = f"its profile {found.profile_id} is on partition {where}, and PARTITIONER puts its events on {partition}"
    return Fault(Reason.NO_PARTITION, f"{told}: `check` says which PARTITIONER fits")


def _open_rejected(path: Path, stack: ExitStack) -> Callable[[Iterable[Rejected]], None]:
    """Begin the file of rejected rows; returns what writes some into it."""
    try:
        file = stack.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
    except OSError as error:
        raise UsageError(
            f"{path}: rejected rows cannot be written there: {error.strerror}\n  name another file with --rejected"
        ) from None
    writer = csv.writer(file)
    writer.writerow(Rejected._fields)
    return writer.writerows


def _read_changelog(
    settings: Settings, audience_id: str, members: Members, identities: Identities, report: Report, *, exits: bool
) -> None:
    """Note who is a profile, who has the identities and, for `exits`, who is a member: one scan for all.

    Whose an identity is, and who leaves, is known once the workers have applied all events.
    """
    if exits or identities.asked:
        _wait_for_workers(settings, identities)
    seen = 0
    for batch in _batches(membership_changes(settings, (NAMESPACE, audience_id), identities.note), _BATCH):
        members.note(
            batch if exits else ((profile_id, None if is_member is None else False) for profile_id, is_member in batch)
        )
        seen += len(batch)
        report("comparing", seen, 0)


def _wait_for_workers(settings: Settings, identities: Identities) -> None:
    """Wait until the changelog knows all that events say; raises CommandError where the workers are too far behind."""
    deadline, ends = time.monotonic() + WAIT_SECONDS, ends_of_events(settings)
    while behind := events_not_applied(settings, ends):
        if time.monotonic() > deadline:
            raise CommandError(_why_not_known(behind, identities))
        time.sleep(_POLL_SECONDS)
    if not wait_until_shown(settings, settings.topics.changelog, range(settings.partitions), deadline + _SHOWN_SECONDS):
        raise CommandError(
            f"a transaction stays open on {settings.topics.changelog}, so not all of it can be read; nothing was sent:"
            " try again"
        )


def _why_not_known(behind: int, identities: Identities) -> str:
    not_applied = f"the workers have not applied {behind} events"
    if identities.asked:
        return f"{not_applied}: whose the identities are is not known; nothing was sent\n  start workers and try again"
    return (
        f"{not_applied}: who is a member is not known, so who leaves is not either; nothing was sent\n"
        "  start workers and try again, or leave the exits out (--no-exits)"
    )


def _describe(draft: Draft, request: Request, of: Import) -> None:
    kept, now = draft.state.audiences.get((NAMESPACE, request.audience_id)), format_time(of.at)
    new = {"namespace": NAMESPACE, "id": request.audience_id, "origin": NAMESPACE, "createdAt": now}
    before = kept.item if kept is not None else Audience.model_validate(new)
    draft.put_audience(before.model_copy(update={"name": request.name or before.name, "updated_at": now}))


def _why_not(partitions: ProfilePartitions) -> Callable[[str], Fault | None]:
    """Tell why nobody knows where to write a profile's events; None where it is known."""

    def why_not(profile_id: str) -> Fault | None:
        try:
            partitions.name_for_writer(profile_id.encode())
        except NotOnePartition as why:
            return Fault(Reason.NO_PARTITION, str(why))
        return None

    return why_not


def _require_places(partitions: ProfilePartitions, leaving: Iterable[str]) -> None:
    """Raise CommandError where nobody knows where to write that somebody leaves."""
    why_not = _why_not(partitions)
    faults = list(
        islice(
            (
                f"  {profile_id}: {why.explanation}"
                for profile_id in leaving
                if (why := why_not(profile_id)) is not None
            ),
            _MOST_FAULTS,
        )
    )
    if faults:
        told = "nobody knows where to write that these leave the audience; nothing was sent"
        raise CommandError("\n".join([told, *faults, "  mend that, or leave the exits out (--no-exits)"]))


def _send(settings: Settings, of: Import, members: Members, partitions: ProfilePartitions, report: Report) -> None:
    sent = 0
    with Writer(settings) as writer:
        for profile_ids, event in ((members.named(), realized), (members.gone(), exited)):
            for profile_id in profile_ids:
                key, value, name = profile_id.encode(), event(of, profile_id), f"profile {profile_id}"
                writer.write(
                    settings.topics.profile_events,
                    key,
                    value,
                    name=name,
                    timestamp=of.at * 1000,
                    partition=partitions.name_for_writer(key),
                )
                sent += 1
                report("sending", sent, 0)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
