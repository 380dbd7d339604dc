"""The kind catchup: what a flow would have exported while it was disabled (contract F1).

While the flow is disabled, events track what it misses; when it is enabled again, each profile whose record is another
one is exported.
"""

from contextlib import closing
from typing import Final

from processor.core.job_records import JobSkip, Passed, catchup_record, missed_changes
from processor.pipeline.jobs.chunk import SLICE_EXPORTS, Chunk
from processor.pipeline.jobs.effects import ActiveJob, AppliedEvent, Effects, MarkerLookup
from schemas.wire.profiles_changelog import decode_missed_changes, encode_missed_changes, missed_key


class CatchUp:
    """Exports what a flow missed while it was disabled."""

    scans_profiles: Final = False

    def marker_prefix(self, job_id: str, missed_id: str) -> bytes:  # noqa: ARG002  # as the Protocol has it
        """Return what the keys of the flow's missed changes begin with."""
        return missed_key(missed_id, b"")

    def on_event(self, active: ActiveJob, event: AppliedEvent, marker: MarkerLookup, effects: Effects) -> None:
        """Track what the disabled flow misses of a profile; forget one that is gone, or that the flow exports."""
        job, ordered, step = active.job, active.ordered, event.step
        marker_key = job.marker_key(event.profile_id)
        if step.profile is None:
            effects.rows[marker_key] = None
            return
        if ordered is None:
            return
        if event.sends(job.flow_id):
            effects.rows[marker_key] = None
        for flow, sends in step.missed:
            if flow.id == job.flow_id:
                passed = Passed(None if event.before is None else event.before.profile, sends)
                known = marker(marker_key)
                missed = missed_changes(
                    ordered, passed, None if known is None else decode_missed_changes(known), event.catalog
                )
                if missed is not None:
                    effects.rows[marker_key] = encode_missed_changes(missed)

    def on_export(self, active: ActiveJob, profile_id: bytes, rows: dict[bytes, bytes | None]) -> None:
        """Forget a profile that the flow exported: nothing of it is missed any more."""
        rows[active.job.marker_key(profile_id)] = None

    def do_slice(self, chunk: Chunk) -> None:
        """Go on from the cursor, and export the profiles that the flow missed."""
        job = chunk.job
        looked, seen, most = 0, 0, chunk.slice_exports
        with closing(chunk.input.rows.scan_from(job.marker_prefix, job.marker_key(job.cursor))) as markers:
            for marker_key, on_disk in markers:
                looked += 1
                job.cursor = marker_key[len(job.marker_prefix) :]
                seen += _consider(chunk, marker_key, chunk.input.profiles.newest(marker_key, on_disk))
                if looked >= SLICE_EXPORTS or len(chunk.exports) >= most:
                    break
            else:
                chunk.ends_job = True
        job.add_scanned(seen)


def _consider(chunk: Chunk, marker_key: bytes, marker: bytes | None) -> bool:
    """Return whether a record of the profile was missed: then it is counted as seen."""
    if marker is None:
        chunk.job.count_skipped(JobSkip.ALREADY_EXPORTED)
        return True
    chunk.rows[marker_key] = None
    missed = decode_missed_changes(marker)
    if missed.is_due:
        profile_id = chunk.job.cursor
        row = chunk.input.profiles.load([profile_id])[profile_id]
        profile, offset = (None, 0) if row is None else (row.profile, row.offset)
        record = catchup_record(chunk.ordered, profile_id.decode(), profile, missed, chunk.input.catalog)
        chunk.export_for_all(record, profile_id, offset)
    return missed.is_due
