"""The cleanup of markers that are left when a job has scanned all profiles, or was cancelled."""

from contextlib import closing

from processor.pipeline.jobs.chunk import CHUNK_EXPORTS, Chunk


class Cleanup:
    """Takes away the markers of a job: of profiles that were not scanned any more, or of a job that was cancelled."""

    def do_slice(self, chunk: Chunk) -> None:
        """Take away the next markers, but those that a later job goes on with.

        Each slice begins where the last one ended: RocksDB would step over all that is removed and not compacted yet
        (measured: 600,000 markers in 5 s instead of minutes).
        """
        job = chunk.job
        if chunk.input.markers_are_inherited:
            chunk.ends_job = True
            return
        with closing(chunk.input.rows.scan_from(job.marker_prefix, job.cleaned)) as markers:
            for marker_key, _ in markers:
                chunk.rows[marker_key] = None
                job.cleaned = marker_key
                if len(chunk.rows) >= CHUNK_EXPORTS:
                    return
        chunk.ends_job = True
