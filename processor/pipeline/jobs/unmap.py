"""The kind unmap: exits of the profiles that were members of an audience that a flow maps no more (contract F2)."""

from typing import Final

from processor.core.job_records import JobSkip, job_record
from processor.pipeline.jobs.backfill import scan_members
from processor.pipeline.jobs.chunk import Chunk
from processor.pipeline.jobs.effects import EXPORTED, NOT_A_MEMBER, ActiveJob, AppliedEvent, Effects, MarkerLookup
from schemas.export import ExportRecord
from schemas.wire.profiles_changelog import decode_row, exported_key


class Unmap:
    """Exports the exits of an audience that a flow maps no more, where it has `emitExitOnUnmap`."""

    scans_profiles: Final = True

    def marker_prefix(self, job_id: str, missed_id: str) -> bytes:  # noqa: ARG002  # as the Protocol has it
        """Return what the keys of the job's exported markers begin with."""
        return exported_key(job_id, b"")

    def on_event(self, active: ActiveJob, event: AppliedEvent, marker: MarkerLookup, effects: Effects) -> None:
        """Export the exit of a profile before the event takes away what the exit is made from.

        Who was no member before the event gets none, whatever the profile becomes. Of a flow that was disabled
        meanwhile nothing is marked: its exits wait for it, and leave as the profiles are by then.
        """
        job, ordered, before = active.job, active.ordered, event.before
        if ordered is None or not ordered.runs or not job.is_ahead_of(event.profile_id):
            return
        marker_key = job.marker_key(event.profile_id)
        if marker(marker_key) is not None:
            return
        exit_record = None
        if before is not None:
            exit_record = job_record(ordered, event.profile_id.decode(), before.profile, event.catalog)
        if isinstance(exit_record, ExportRecord):
            effects.records.append(exit_record)
            effects.exported_by.append(job.id)
            effects.rows[marker_key] = EXPORTED
        else:
            effects.rows[marker_key] = NOT_A_MEMBER

    def on_export(self, active: ActiveJob, profile_id: bytes, rows: dict[bytes, bytes | None]) -> None:
        """Leave the markers as they are: no other record of the flow is an exit of the job."""

    def do_slice(self, chunk: Chunk) -> None:
        """Scan on from the cursor, and export the exits that have not left before an event."""
        scan_members(chunk, _consider)


def _consider(chunk: Chunk, stored_key: bytes, on_disk: bytes) -> bool:
    """Return whether the profile is counted as seen now: one whose exit left before an event was so then."""
    job, value = chunk.job, chunk.input.profiles.newest(stored_key, on_disk)
    if value is None:
        job.count_skipped(JobSkip.DELETED)
        return True
    profile_id = stored_key[1:]
    marker_key = job.marker_key(profile_id)
    if (marker := chunk.marker(marker_key)) is not None:
        chunk.rows[marker_key] = None
        if marker == NOT_A_MEMBER:
            job.count_skipped(JobSkip.NOT_A_MEMBER)
        return marker == NOT_A_MEMBER
    row = decode_row(value)
    chunk.export(
        job_record(chunk.ordered, profile_id.decode(), row.profile, chunk.input.catalog), profile_id, row.offset
    )
    return True
