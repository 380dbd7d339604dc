"""The kinds backfill and resend: every profile that is realized in an audience of the job (contract E1, E4).

Chosen by measuring: a scan with a search for the audience's text in each row, not an index of members. A million rows
of 230 bytes take 0.9 s to scan so, 2.3 s when each is decoded; an index would cost every event that changes a
membership, for ever.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Final

import orjson

from processor.core.job_records import JobSkip, job_record
from processor.pipeline.jobs.chunk import SLICE_ROWS, Chunk
from processor.pipeline.jobs.effects import EXPORTED, ActiveJob, AppliedEvent, Effects, MarkerLookup
from schemas.profile import REALIZED
from schemas.wire.profiles_changelog import PROFILE, decode_row, exported_key, profile_key

Consider = Callable[[Chunk, bytes, bytes], bool]
"""Looks at a member (its stored key and its row on disk); returns whether it is counted as seen now."""


class Backfill:
    """Exports the members of the job's audiences, but those that the flow has exported since the job began."""

    scans_profiles: Final = True

    def marker_prefix(self, job_id: str, missed_id: str) -> bytes:  # noqa: ARG002  # as the Protocol has it
        """Return what the keys of the job's exported markers begin with."""
        return exported_key(job_id, b"")

    def on_event(
        self,
        active: ActiveJob,
        event: AppliedEvent,
        marker: MarkerLookup,  # noqa: ARG002  # as the Protocol has it
        effects: Effects,
    ) -> None:
        """Mark a profile that the flow exports before the scan comes to it; forget one that is gone."""
        if event.step.profile is None:
            effects.rows[active.job.marker_key(event.profile_id)] = None
        elif active.ordered is not None and event.sends(active.job.flow_id):
            self.on_export(active, event.profile_id, effects.rows)

    def on_export(self, active: ActiveJob, profile_id: bytes, rows: dict[bytes, bytes | None]) -> None:
        """Mark a profile that the flow exported before the scan comes to it. Home of E2."""
        if active.job.is_ahead_of(profile_id):
            rows[active.job.marker_key(profile_id)] = EXPORTED

    def do_slice(self, chunk: Chunk) -> None:
        """Scan on from the cursor, and export the members that are not marked."""
        scan_members(chunk, _consider)


def scan_members(chunk: Chunk, consider: Consider) -> None:
    """Scan a slice of profiles, and have `consider` look at each whose row names an audience of the job."""
    job = chunk.job
    texts = [
        orjson.dumps(audience) + b':"' + REALIZED.encode()
        for audiences in chunk.ordered.audiences.values()
        for audience in audiences
    ]
    scanned, seen, others, most = 0, 0, 0, chunk.slice_exports
    last = profile_key(job.cursor)
    with closing(chunk.input.rows.scan_from(PROFILE, last)) as rows:
        for last, value in rows:  # where it ended is needed below
            scanned += 1
            for text in texts:
                if text in value:
                    seen += consider(chunk, last, value)
                    break
            else:
                others += 1
            if scanned >= SLICE_ROWS or len(chunk.exports) >= most:
                break
        else:
            chunk.has_scanned_all = True
    job.cursor = last[1:]
    job.add_scanned(seen + others)
    job.count_skipped(JobSkip.NOT_A_MEMBER, others)
    chunk.scanned += scanned


def _consider(chunk: Chunk, stored_key: bytes, on_disk: bytes) -> bool:
    job, value = chunk.job, chunk.input.profiles.newest(stored_key, on_disk)
    if value is None:
        job.count_skipped(JobSkip.DELETED)
        return True
    profile_id = stored_key[1:]
    marker_key = job.marker_key(profile_id)
    if chunk.marker(marker_key) is not None:
        chunk.rows[marker_key] = None
        job.count_skipped(JobSkip.ALREADY_EXPORTED)
        return True
    row = decode_row(value)
    record = job_record(chunk.ordered, profile_id.decode(), row.profile, chunk.input.catalog)
    chunk.export_for_all(record, profile_id, row.offset)
    return True
