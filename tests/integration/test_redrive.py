"""Tests of dead letters of real workers, sent again after their cause was mended, lane by lane (G2, G8, G9)."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.sandbox.shop import Kind, ShopEvent
from processor.sandbox.streams import create_stream, read_stream
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob

SECONDS = 240.0
REGION = "us-east-2"
NOW_MS = 1_768_120_653_000
FLOW = """
flows:
  - id: FLOW
    destination: {type: kinesis, stream: STREAM, region: us-east-2, endpointUrl: "URL"}
    audiences: [{namespace: ups, id: vips}]
    attributes: [note]
    options: {envelope: cloudevents, recordDelimiter: newline}
"""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    create_stream(kinesis, REGION, installation.settings.app_id)
    return whole_job


def text(job: WholeJob, flow: str = "vip") -> str:
    return FLOW.replace("FLOW", flow).replace("STREAM", job.installation.settings.app_id).replace("URL", job.kinesis)


def event(number: int, note: str, profile: str = "Zoë") -> ShopEvent:
    data = {"note": note, "segmentMembership": {"ups": {"vips": {"status": "realized"}}}}
    head = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/t",
        "type": "profile.patched",
        "subject": profile,
        "time": "2026-01-11T08:37:33Z",
    }
    return ShopEvent(profile.encode(), orjson.dumps(head | {"data": data}), NOW_MS, Kind.BAD)


def delivered(job: WholeJob) -> list[tuple[int, str]]:
    """Return (version, first letters of the note) of the stream's records, in its order.

    Without those of the backfill of a flow made again (E1).
    """
    records = read_stream(job.kinesis, REGION, job.installation.settings.app_id)
    assert all(record.data.endswith(b"}\n") and record.data.count(b"\n") == 1 for record in records), (
        "G10: once, also where it was sent again"
    )
    bodies = [orjson.loads(record.data) for record in records]
    return [(body["profileversion"], body["data"]["note"][:5]) for body in bodies if "backfill:" not in body["causes"]]


def redrive(job: WholeJob, *options: str) -> dict[str, Any]:
    result = job.installation.command("dead-letters", "redrive", "--json", *options)
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = orjson.loads(result.stdout)
    return said


def test_g2_g8_g9_after_a_higher_limit_and_a_flow_made_again_all_letters_arrive_in_order(job: WholeJob) -> None:
    installation, large = job.installation, "x" * 2_000
    job.text = text(job)
    job.apply()
    job.send([event(1, f"one  {large}"), event(2, "two"), event(3, f"three{large}")])

    with job.new_worker(kinesis_max_record_bytes=1024, kinesis_max_call_bytes=1024 * 1024) as worker:
        job.start_again(worker)
        job.wait_until_delivered(SECONDS, worker)
        assert delivered(job) == [(2, "two")]
        job.text = text(job, "other")
        job.apply("--prune")
        worker.stop()
        worker.change(kinesis_max_record_bytes=1024 * 1024)
        installation.change(kinesis_max_record_bytes=1024 * 1024)
        job.text = text(job)
        job.apply()
        job.start_again(worker)

        said = redrive(job, "--flow", "vip")
        wait_until(lambda: len(delivered(job)) == 3, "the letters in the stream", SECONDS)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert said["redriven"] == 2
    assert delivered(job) == [(2, "two"), (1, "one  "), (3, "three")]
    counts = job.status()["deadLetterTopic"][
        "counts"
    ]  # those of `other` too, whose backfill (E1) may have begun under the lower limit
    assert [count for count in counts if count["flow"] == "vip"] == [
        {"flow": "vip", "reason": "record_too_large", "letters": 2, "redriven": 2}
    ]
