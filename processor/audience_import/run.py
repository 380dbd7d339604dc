"""One import, from the file to the last event."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from uuid import uuid4

from processor.audience_import.events import NAMESPACE, Import, exited, realized
from processor.audience_import.identities import Identities, Identity, Unknown
from processor.audience_import.members import Members
from processor.audience_import.rows import Dialect, Rejected, Rows
from processor.control.draft import Draft
from processor.control.state import ControlState
from processor.errors import CommandError, UsageError
from processor.kafka.ends import wait_until_shown
from processor.kafka.identity_rows import SETTING
from processor.kafka.memberships import ends_of_events, events_not_applied, membership_changes
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
_SHOWN_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.5
_BATCH: Final = 10_000


class Request(NamedTuple):
    """What is to be imported. `exits`: None, only where the audience was described before, and no row is rejected."""

    audience_id: str
    name: str | None = None
    ttl_days: int = 30
    encoding: str | None = None
    delimiter: str | None = None
    exits: bool | None = None
    dry_run: bool = False


class Imported(NamedTuple):
    """What became of it. `entered`, `exited`: events that were sent, or would have been."""

    name: str
    dialect: Dialect
    entered: int
    exited: int
    duplicates: int
    rejected: int
    ignored_columns: list[str]


def import_audience(
    settings: Settings, change: Change, state: Callable[[], ControlState], path: Path, request: Request, rejected: Path | None, report: Report
) -> Imported:
    """Read, describe the audience, send.

    `state`: which audiences are described now; `rejected`: where rejected rows go, line, reason and row; made only where there are some.

    Raises UsageError for a file that cannot be used, CommandError where workers are too far behind to know who was a member, or the index
    of identities is not whole, WriteFailed.
    """
    rows = Rows(path, request.encoding, request.delimiter)
    with Members() as members, Identities() as identities, _RejectedRows(rejected) as refused:
        accepted = _read(rows, members, identities, refused, report)
        _require_index(settings, path, identities)
        exits = (NAMESPACE, request.audience_id) in state().audiences if request.exits is None else request.exits
        if identities.asked:
            _require_nobody_leaves_by_mistake(path, request, exits, refused)
            _read_changelog(settings, request.audience_id, members, identities, report)
            accepted += _find(members, identities, refused)
        entering = members.count_named()
        if not entering:
            raise UsageError(f"{path}: no row of it can be used ({refused.count} are rejected); nothing was sent, and nobody leaves the audience")
        _require_nobody_leaves_by_mistake(path, request, exits, refused)
        if exits and not identities.asked:
            _read_changelog(settings, request.audience_id, members, identities, report)
        leaving = members.count_gone() if exits else 0
        of = Import(f"import-{uuid4().hex}", request.audience_id, int(time.time()), request.ttl_days)
        if not request.dry_run:
            change(lambda draft: _describe(draft, request, of))
            _send(settings, of, members, report, exits=exits)
    return Imported(of.name, rows.dialect, entering, leaving, accepted - entering, refused.count, rows.ignored)


class _RejectedRows:
    """Rows that are no members, until the end of a `with`: counted, and written to a file that is made when there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = ExitStack()
        self._writer: Any = None
        self.count = 0

    def add(self, rows: Sequence[Rejected | Unknown]) -> None:
        """These are rejected."""
        self.count += len(rows)
        if not rows or self._path is None:
            return
        if self._writer is None:
            self._writer = csv.writer(self._stack.enter_context(self._path.open("w", encoding="utf-8", errors="backslashreplace", newline="")))
            self._writer.writerow(Rejected._fields)
        self._writer.writerows(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


def _read(rows: Rows, members: Members, identities: Identities, refused: _RejectedRows, report: Report) -> int:
    """Rows that name a member by a profile id."""
    accepted = 0
    for batch in _batches(rows, _BATCH):
        good = [row for row in batch if isinstance(row, str)]
        members.name(good)
        identities.ask([row for row in batch if isinstance(row, Identity)])
        refused.add([row for row in batch if isinstance(row, Rejected)])
        accepted += len(good)
        report("reading", accepted + identities.asked + refused.count, rows.bytes_read)
    return accepted


def _require_nobody_leaves_by_mistake(path: Path, request: Request, exits: bool, refused: _RejectedRows) -> None:
    if exits and refused.count and request.exits is None:
        raise UsageError(
            f"{path}: {refused.count} rows are rejected, and whoever is named in them would leave the audience; nothing was sent\n"
            "  mend them, or say --exits (they leave) or --no-exits (nobody does)"
        )


def _require_index(settings: Settings, path: Path, identities: Identities) -> None:
    if identities.asked and not settings.identity_index:
        raise UsageError(
            f"{path}: {identities.asked} rows name a member by an identity, and {SETTING}=false: nobody knows whose it is; nothing was sent\n"
            "  set it to true, for this program and for every worker, which then build the index by themselves; or give a column profileId"
        )


def _find(members: Members, identities: Identities, refused: _RejectedRows) -> int:
    """Name the profiles of the identities; how many rows led to one. Raises CommandError where the index is not whole."""
    if (why := identities.why_incomplete()) is not None:
        raise CommandError(f"whose the identities are is not known, nothing was sent: {why}")
    found = 0
    for batch in _batches(identities.found(), _BATCH):
        good = [row for row in batch if isinstance(row, str)]
        members.name(good)
        refused.add([row for row in batch if isinstance(row, Unknown)])
        found += len(good)
    return found


def _read_changelog(settings: Settings, audience_id: str, members: Members, identities: Identities, report: Report) -> None:
    """Note who is a member, and who has the identities. The changelog knows it, once the workers have applied all events."""
    deadline, ends = time.monotonic() + WAIT_SECONDS, ends_of_events(settings)
    while behind := events_not_applied(settings, ends):
        if time.monotonic() > deadline:
            raise CommandError(_why_not_known(behind, identities))
        time.sleep(_POLL_SECONDS)
    if not wait_until_shown(settings, settings.topics.changelog, range(settings.partitions), deadline + _SHOWN_SECONDS):
        raise CommandError(f"a transaction stays open on {settings.topics.changelog}, so not all of it can be read; nothing was sent: try again")
    seen = 0
    for batch in _batches(membership_changes(settings, (NAMESPACE, audience_id), identities.note), _BATCH):
        members.note(batch)
        seen += len(batch)
        report("comparing", seen, 0)


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


def _send(settings: Settings, of: Import, members: Members, report: Report, *, exits: bool) -> None:
    sent, changes = 0, [(members.named, realized), (members.gone, exited)]
    with Writer(settings) as writer:
        for profile_ids, event in changes if exits else changes[:1]:
            for profile_id in profile_ids():
                key, value = profile_id.encode(), event(of, profile_id)
                writer.write(settings.topics.profile_events, key, value, name=f"profile {profile_id}", timestamp=of.at * 1000)
                sent += 1
                report("sending", sent, 0)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
