"""Tests of jobs with a real worker (E1, E4).

Who was in an audience before it was mapped arrives, once more when asked, and is counted.
"""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml
from click.testing import Result

from processor.sandbox.flows import REGION
from processor.sandbox.shop import Kind, ShopEvent
from processor.sandbox.streams import read_stream
from processor.sandbox.waiting import wait_until
from tests.integration.test_control_api import api_of
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob

MEMBERS: Final = 600
OTHERS: Final = 200
SECONDS: Final = 240.0


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    """One flow, `vip`, of who is in ups/gold; not in force yet."""
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    destination = {
        "type": "kinesis",
        "stream": f"gold-{installation.settings.app_id}",
        "region": REGION,
        "endpointUrl": kinesis,
    }
    flow = {
        "id": "vip",
        "destination": destination,
        "audiences": [{"namespace": "ups", "id": "gold"}],
        "attributes": ["n"],
    }
    job.text = yaml.safe_dump({"flows": [flow]})
    job.create_streams()
    return job


def profiles() -> list[ShopEvent]:
    return [_patch(number, "gold" if number < MEMBERS else "silver") for number in range(MEMBERS + OTHERS)]


def _patch(number: int, audience: str) -> ShopEvent:
    data = {"n": number, "segmentMembership": {"ups": {audience: {"status": "realized"}}}}
    event = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/t",
        "type": "profile.patched",
        "time": "2026-01-20T00:00:00Z",
        "data": data,
    }
    return ShopEvent(
        key=f"p-{number}".encode(), value=orjson.dumps(event), timestamp=1_768_867_200_000, kind=Kind.QUALIFIED
    )


def told(result: Result, exit_code: int = 0) -> list[dict[str, Any]]:
    assert result.exit_code == exit_code, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def arrived(job: WholeJob) -> list[str]:
    return sorted(
        record.partition_key for record in read_stream(job.kinesis, REGION, f"gold-{job.installation.settings.app_id}")
    )


def test_a_new_flow_sends_who_is_in_its_audience_and_a_resend_the_same_once_a_day(
    job: WholeJob, tmp_path: Path
) -> None:
    installation, members = job.installation, sorted(f"p-{number}" for number in range(MEMBERS))
    job.send(profiles())

    with job.worker() as worker, api_of(installation, tmp_path) as api:
        wait_until(lambda: not job.lags()[installation.topics.profile_events], "every profile", SECONDS)
        job.apply()
        (backfill,) = told(installation.command("backfill", "status", "--wait", "--json"))
        job.wait_until_delivered(SECONDS, worker)
        after_backfill = arrived(job)
        (resend,) = told(installation.command("resend", "start", "vip", "--wait", "--json"))
        job.wait_until_delivered(SECONDS, worker)
        refused = installation.command("resend", "start", "vip")
        listed = api.client.get("/v1/jobs").json()["items"]
        again = api.client.post("/v1/jobs", json={"kind": "backfill", "flow": "vip"})
        (cancelled,) = told(installation.command("backfill", "cancel", _forced_and_waiting(job), "--json"))
        worker.stop()

    counts = {"seen": MEMBERS + OTHERS, "exported": MEMBERS, "skipped": {"not_a_member": OTHERS}, "toGo": 0}
    for each, kind in ((backfill, "backfill"), (resend, "resend")):
        assert (each["kind"], each["state"], each["counts"], each["partitions"]["done"]) == (
            kind,
            "succeeded",
            counts,
            4,
        )
    assert after_backfill == members
    assert arrived(job) == sorted(2 * members)
    assert refused.exit_code == 1
    assert f"flow vip had a resend of audience ups/gold at {resend['startedAt']}" in refused.stderr
    assert {each["id"]: each["state"] for each in listed} == {backfill["id"]: "succeeded", resend["id"]: "succeeded"}
    assert again.status_code == 429
    assert cancelled["state"] == "cancelled"


def _forced_and_waiting(job: WholeJob) -> str:
    """A job that is ordered while its flow is disabled."""
    assert job.installation.command("flows", "disable", "vip").exit_code == 0
    (waiting,) = told(job.installation.command("resend", "start", "vip", "--force", "--json"))
    assert waiting["reason"] == "flow vip is disabled: it starts when the flow is enabled"
    return str(waiting["id"])
