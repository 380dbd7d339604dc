"""A disk that is full: the worker stops in order and says so, and loses nothing."""

from pathlib import Path
from typing import Final

from processor.foundation.errors import StoppedForOperator
from processor.sandbox.shop import shop_events
from tests.kit.disk import small_disk
from tests.kit.installation import Installation
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
DISK_BYTES: Final = 16 << 20
LEFT_BYTES: Final = 200_000  # for what Faust and RocksDB write beside the rows


def test_a_full_disk_stops_the_worker_for_the_operator_and_with_room_it_goes_on(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    installation.init(1)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    job.send(shop_events(12_000, customers=3_000))

    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        filler = disk / "filler"
        filler.write_bytes(b"\0" * (DISK_BYTES - LEFT_BYTES))
        with job.new_worker(data_dir=disk / "data", write_buffer_bytes=1 << 20) as worker:
            worker.start()
            code, said = worker.wait_for_end(SECONDS), worker.said()
            committed = job.processed()

            filler.unlink()
            job.start_again(worker)
            job.wait_until_delivered(SECONDS, worker)
            worker.stop()
        replayed = job.require_equal_to_replay()
        require_rows_of_the_fold(job, replayed, [disk / "data"])

    assert code == StoppedForOperator.exit_code
    assert f"{disk / 'data' / 'profiles'}" in said
    assert "no space left" in said
    assert "make room" in said
    assert 0 < committed < 12_000
