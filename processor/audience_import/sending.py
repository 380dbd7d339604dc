"""Send the events of an import, once the audience is described and nobody is found whose partition is unknown."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from processor.audience_import.events import NAMESPACE, ImportRun, exited_event, realized_event
from processor.audience_import.members import Members
from processor.audience_import.rejected import RejectReason, RowFault
from processor.audience_import.request import ImportRequest, ReportProgress
from processor.control.draft import Draft
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions
from processor.kafka.writer import Writer
from schemas.audience import Audience
from schemas.times import format_time

_MOST_FAULTS: Final = 20


def describe_audience(draft: Draft, request: ImportRequest, run: ImportRun) -> None:
    """Describe the audience in the catalog: its name as the request has it, else as before."""
    kept, now = draft.state.audiences.get((NAMESPACE, request.audience_id)), format_time(run.at)
    new = {"namespace": NAMESPACE, "id": request.audience_id, "origin": NAMESPACE, "createdAt": now}
    before = kept.item if kept is not None else Audience.model_validate(new)
    draft.put_audience(before.model_copy(update={"name": request.name or before.name, "updated_at": now}))


def partition_check(partitions: ProfilePartitions) -> Callable[[str], RowFault | None]:
    """Return a function that explains why nobody knows where to write a profile's events; None where it is known."""

    def find_fault(profile_id: str) -> RowFault | None:
        try:
            partitions.name_for_writer(profile_id.encode())
        except NotOnePartition as why:
            return RowFault(RejectReason.NO_PARTITION, str(why))
        return None

    return find_fault


def require_partitions(partitions: ProfilePartitions, leaving: Iterable[str]) -> None:
    """Raise CommandError where nobody knows where to write that somebody leaves."""
    find_fault = partition_check(partitions)
    found = ((profile_id, find_fault(profile_id)) for profile_id in leaving)
    faults = (f"  {profile_id}: {fault.explanation}" for profile_id, fault in found if fault is not None)
    if first := list(islice(faults, _MOST_FAULTS)):
        what = "nobody knows where to write that these leave the audience; nothing was sent"
        raise CommandError("\n".join([what, *first, "  mend that, or leave the exits out (--no-exits)"]))


def send_events(
    settings: Settings, run: ImportRun, members: Members, partitions: ProfilePartitions, report: ReportProgress
) -> None:
    """Send the event of each profile that enters, then of each that leaves. Raises WriteFailed."""
    sent = 0
    with Writer(settings) as writer:
        for profile_ids, event in ((members.entering(), realized_event), (members.leaving(), exited_event)):
            for profile_id in profile_ids:
                key, value, name = profile_id.encode(), event(run, profile_id), f"profile {profile_id}"
                writer.write(
                    settings.topics.profile_events,
                    key,
                    value,
                    name=name,
                    timestamp=run.at * 1000,
                    partition=partitions.name_for_writer(key),
                )
                sent += 1
                report("sending", sent, 0)
