"""Run one import, from the file to the last event."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from processor.audience_import.applied_events import wait_for_workers
from processor.audience_import.events import NAMESPACE, ImportRun
from processor.audience_import.identities import FoundProfile, Identities, IdentityRow
from processor.audience_import.members import Members
from processor.audience_import.membership_changes import membership_changes
from processor.audience_import.refusals import require_index, require_members, require_no_mistaken_exits
from processor.audience_import.rejected import RejectedRow, RejectReason, RowFault
from processor.audience_import.rejected_file import RejectedRows
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult, ReportProgress
from processor.audience_import.rows import Member, Rows
from processor.audience_import.sending import describe_audience, partition_check, require_partitions, send_events
from processor.catalog.state import ControlState
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions, profile_partitions

Item = TypeVar("Item")

WAIT_SECONDS: Final = 60.0
_BATCH: Final = 10_000


def import_audience(
    settings: Settings,
    change: ChangeCatalog,
    state: Callable[[], ControlState],
    path: Path,
    request: ImportRequest,
    rejected: Path | None,
    report: ReportProgress,
    wait_seconds: float = WAIT_SECONDS,
) -> ImportResult:
    """Read the file, describe the audience, and send the events of those who enter or leave.

    `state`: which audiences are described now; `rejected`: where rejected rows go, line, reason, explanation and row;
    made only where a row is rejected; `wait_seconds`: how long it waits for workers that are behind.

    With PARTITIONER=none a row whose profile is on two partitions, or on none yet, is rejected (I12).

    Raises UsageError for a file that cannot be used, CommandError where workers are too far behind to know who was a
    member, where the index of identities is not whole or where nobody knows where to write, WriteFailed.
    """
    with (
        profile_partitions(settings, report=lambda records: report("looking up", records, 0)) as partitions,
        Members() as members,
        Identities() as identities,
        RejectedRows(rejected) as rejected_rows,
    ):
        rows = Rows(path, request.reading, partition_check(partitions))
        collecting = _Collecting(
            settings, request, rows, partitions, members, identities, rejected_rows, report, wait_seconds
        )
        accepted = collecting.collect(state)
        known, leaving = members.count_known(), members.count_leaving()
        require_partitions(partitions, members.leaving())
        run = ImportRun(f"import-{uuid4().hex}", request.audience_id, int(time.time()), request.ttl_days)
        if not request.dry_run:
            change(lambda draft: describe_audience(draft, request, run))
            send_events(settings, run, members, partitions, report)
        entered = members.count_entering()
    duplicates = accepted - entered
    counts = rejected_rows.counts
    return ImportResult(
        run.name, rows.dialect, entered, known, leaving, duplicates, counts, rows.ignored, rows.warnings
    )


@dataclass(frozen=True, slots=True)
class _Collecting:
    """The first half of an import: who is in the file, and who was a member or a profile before."""

    settings: Settings
    request: ImportRequest
    rows: Rows
    partitions: ProfilePartitions
    members: Members
    identities: Identities
    rejected: RejectedRows
    report: ReportProgress
    wait_seconds: float

    def collect(self, state: Callable[[], ControlState]) -> int:
        """Read the file and the changelog; return how many rows name a member."""
        request, identities, counts = self.request, self.identities, self.rejected.counts
        accepted = self._read_file()
        require_index(self.settings, self.rows.path, identities)
        exits = (NAMESPACE, request.audience_id) in state().audiences if request.exits is None else request.exits
        if identities.asked:
            require_no_mistaken_exits(request, exits, self.rows, counts)
            self._read_changelog(exits=exits)
            accepted += self._find_profiles()
        require_members(self.members.count_entering(), self.rows, counts)
        require_no_mistaken_exits(request, exits, self.rows, counts)
        if not identities.asked:
            self._read_changelog(exits=exits)
        return accepted

    def _read_file(self) -> int:
        """Read the file; return how many rows name a member by a profile id."""
        accepted = 0
        for batch in _batches(self.rows, _BATCH):
            good = [row for row in batch if isinstance(row, Member)]
            self.members.add(good)
            self.identities.add_rows([row for row in batch if isinstance(row, IdentityRow)])
            self.rejected.add([row for row in batch if isinstance(row, RejectedRow)])
            accepted += len(good)
            read = accepted + self.identities.asked + self.rejected.counts.total()
            self.report("reading", read, self.rows.bytes_read)
        return accepted

    def _read_changelog(self, *, exits: bool) -> None:
        """Read who is a profile, who has the identities and, for `exits`, who is a member: one scan for all.

        Whose an identity is, and who leaves, is known once the workers have applied all events.
        """
        if exits or self.identities.asked:
            wait_for_workers(self.settings, self.identities, self.wait_seconds)
        seen, audience = 0, (NAMESPACE, self.request.audience_id)
        changes = membership_changes(self.settings, audience, self.identities.read_record)
        for batch in _batches(changes, _BATCH):
            self.members.apply_changes(
                batch if exits else [(each, None if is_in is None else False) for each, is_in in batch]
            )
            seen += len(batch)
            self.report("comparing", seen, 0)

    def _find_profiles(self) -> int:
        """Add the profiles of the identities; return how many rows led to one.

        Raises CommandError where the index is not whole.
        """
        if (why := self.identities.why_incomplete()) is not None:
            raise CommandError(f"whose the identities are is not known, nothing was sent: {why}")
        found = 0
        for batch in _batches(self.identities.find_profiles(), _BATCH):
            good, bad = [], []
            for row in batch:
                if isinstance(row, RejectedRow):
                    bad.append(row)
                elif (fault := _fault_of_partition(self.partitions, row)) is not None:
                    bad.append(RejectedRow.because(fault, row.line, row.row))
                else:
                    good.append(row.profile_id)
            self.members.add_known(good)
            self.rejected.add(bad)
            found += len(good)
        return found


def _fault_of_partition(partitions: ProfilePartitions, found: FoundProfile) -> RowFault | None:
    """Explain why an event would not reach the profile of an identity: a new one would begin, without the identity."""
    try:
        partition = partitions.choose(found.profile_id.encode())
    except NotOnePartition as why:
        return RowFault(RejectReason.NO_PARTITION, str(why))
    if partition in found.partitions:
        return None
    where = " and ".join(map(str, sorted(found.partitions)))
    what = f"its profile {found.profile_id} is on partition {where}, and PARTITIONER puts its events on {partition}"
    return RowFault(RejectReason.NO_PARTITION, f"{what}: `check` says which PARTITIONER fits")


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
