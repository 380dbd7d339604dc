"""Tests of a worker whose local copy is damaged (E1).

No job says that it is done with members left out, and the copy heals without an operator.
"""

import random
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from click.testing import Result

from processor.sandbox.flows import REGION
from processor.sandbox.shop import Kind, ShopEvent
from processor.sandbox.streams import read_stream
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.whole_job import WholeJob

MEMBERS: Final = 2_000
SECONDS: Final = 240.0
DATA: Final = "block-storage"  # the folder's name has the words of RocksDB's own texts


def members() -> list[ShopEvent]:
    """Each with what does not compress, so that their rows fill many blocks."""
    dice = random.Random(7)
    return [_patch(number, dice.randbytes(200).hex()) for number in range(MEMBERS)]


def _patch(number: int, text: str) -> ShopEvent:
    data = {"n": number, "text": text, "segmentMembership": {"ups": {"gold": {"status": "realized"}}}}
    event = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/t",
        "type": "profile.patched",
        "time": "2026-01-20T00:00:00Z",
        "data": data,
    }
    return ShopEvent(
        key=f"p-{number:04}".encode(), value=orjson.dumps(event), timestamp=1_768_867_200_000, kind=Kind.QUALIFIED
    )


def damage_a_block_of_rows(data: Path) -> None:
    """The middle of the largest file: RocksDB does not look there when it opens the copy."""
    file = max(data.glob("profiles/0/*.sst"), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(0xFF ^ byte for byte in content[middle : middle + 8])
    file.write_bytes(content)


def told(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_e1_a_backfill_over_a_damaged_copy_ends_the_worker_and_sends_everybody_after_its_next_start(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    installation.init(1)
    job = WholeJob(installation, kinesis, tmp_path)
    stream = f"gold-{installation.settings.app_id}"
    destination = {"type": "kinesis", "stream": stream, "region": REGION, "endpointUrl": kinesis}
    flow = {
        "id": "vip",
        "destination": destination,
        "audiences": [{"namespace": "ups", "id": "gold"}],
        "attributes": ["n"],
    }
    job.text = yaml.safe_dump({"flows": [flow]})
    job.create_streams()
    job.send(members())
    with job.worker(DATA) as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
        damage_a_block_of_rows(job.folder(DATA) / "data")
        job.apply()

        worker.start()
        wait_until(
            lambda: worker.exit_code() is not None or _is_done(job), "the end of the worker, or of the job", SECONDS
        )
        first_end = worker.exit_code()
        if first_end is not None:
            job.start_again(worker)  # as a supervisor does
        (backfill,) = told(installation.command("backfill", "status", "--wait", "--json"))
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
        said = worker.said()

    assert (backfill["state"], backfill["counts"]["exported"]) == ("succeeded", MEMBERS)
    assert {record.partition_key for record in read_stream(kinesis, REGION, stream)} == {
        f"p-{number:04}" for number in range(MEMBERS)
    }
    assert first_end == 1
    assert (
        said.index("local_state_damaged")
        < said.index("the files of this partition are damaged")
        < said.index("local_state_wiped")
    )
    require_rows_of_the_fold(job, job.replay(), [job.folder(DATA) / "data"])


def _is_done(job: WholeJob) -> bool:
    return [each["state"] for each in told(job.installation.command("backfill", "status", "--json"))] == ["succeeded"]
