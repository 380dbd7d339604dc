"""/v1/jobs: jobs looked at, ordered and cancelled (contract E1, E4)."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from processor.api.access import Access, Role, Token
from processor.api.errors import Code
from processor.control.job_status import JobsProgress
from processor.kafka.errors import ReadFailed
from schemas.job import JobProgress, PartitionState
from schemas.times import format_time
from tests.api.conftest import Api
from tests.api.test_errors import refused

FLOW = {
    "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"},
    "audiences": [{"namespace": "ups", "id": "gold"}, {"namespace": "ups", "id": "silver"}],
}
DAY_MS = 86_400_000


def put(api: Api, flow_id: str = "vip", **more: Any) -> None:
    assert api.put(f"/v1/flows/{flow_id}", json=FLOW | more).status_code == 200


def items(api: Api, **filters: str) -> list[dict[str, Any]]:
    answer = api.get("/v1/jobs", params=filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def work(api: Api, *jobs: dict[str, Any]) -> None:
    """Workers do these."""
    now = format_time(api.now_ms // 1000)

    def done(job: dict[str, Any]) -> JobProgress:
        times = {"begun_at": now, "updated_at": now}
        return JobProgress(
            job=job["id"],
            flow=job["flow"],
            kind=job["kind"],
            partition=0,
            start=0,
            state=PartitionState.DONE,
            exported=7,
            **times,
        )

    assert isinstance(api.jobs, JobsProgress)
    api.jobs = replace(api.jobs, by_job={**api.jobs.by_job, **{job["id"]: {0: done(job)} for job in jobs}})


@pytest.fixture
def vip(api: Api) -> Api:
    """Flow `vip` is there, and its backfill done."""
    put(api)
    work(api, *items(api))
    return api


def order(api: Api, **fields: Any) -> Any:
    return api.post("/v1/jobs", json={"kind": "resend", "flow": "vip"} | fields)


def test_e1_mapping_begins_a_backfill_that_is_listed_with_how_far_it_is(api: Api) -> None:
    put(api)
    (before,) = items(api)
    work(api, before)

    after = api.get(f"/v1/jobs/{before['id']}").json()

    assert (before["kind"], before["state"], before["reason"], before["requestedBy"]) == (
        "backfill",
        "queued",
        "no worker has begun it",
        None,
    )
    assert (after["state"], after["counts"]["exported"], after["partitions"]) == (
        "succeeded",
        7,
        {"done": 1, "begun": 1, "total": 1},
    )


def test_e4_an_order_is_created_with_its_place_and_its_author(vip: Api) -> None:
    answer = order(vip, audiences=[{"namespace": "ups", "id": "gold"}], recordsPerSecond=50)

    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert vip.get(answer.headers["location"]).json() == job
    assert (job["kind"], job["recordsPerSecond"], job["requestedBy"]) == ("resend", 50, "anonymous")
    assert [audience["id"] for audience in job["audiences"]] == ["gold"]


def test_e4_one_a_day_unless_forced(vip: Api) -> None:
    work(vip, order(vip).json())

    refused(
        vip,
        order(vip, kind="backfill"),
        Code.ONE_JOB_A_DAY,
        "once a day",
        "the next is at 2026-01-12T23:37:33Z",
        "force: true",
    )
    forced = order(vip, force=True)
    work(vip, forced.json())
    vip.now_ms += DAY_MS

    assert forced.status_code == 201
    assert order(vip).status_code == 201
    refused(vip, order(vip), Code.JOB_OPEN, "is open for flow vip")


def test_jobs_are_filtered_by_flow_kind_and_state_the_newest_first(vip: Api) -> None:
    vip.now_ms += 1000
    put(vip, "other", state="disabled")
    vip.now_ms += 1000
    order(vip)

    assert [(each["flow"], each["kind"]) for each in items(vip)] == [
        ("vip", "resend"),
        ("other", "backfill"),
        ("vip", "backfill"),
    ]
    assert [each["kind"] for each in items(vip, flow="vip")] == ["resend", "backfill"]
    assert [each["flow"] for each in items(vip, kind="backfill", state="queued")] == ["other"]
    assert items(vip, flow="nothing") == []
    for name in ("kind", "state"):
        refused(vip, vip.get("/v1/jobs", params={name: "x"}), Code.INVALID, name)


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"flow": "vpi"}, Code.NOT_FOUND, "did you mean vip?"),
        ({"flow": ""}, Code.INVALID, "flow"),
        ({"kind": "catchup"}, Code.INVALID, "is none of backfill, resend"),
        ({"kind": None}, Code.INVALID, "kind"),
        ({"audiences": [{"namespace": "ups", "id": "gld"}]}, Code.INVALID, "did you mean ups/gold?"),
        ({"audiences": ["ups/gold"]}, Code.INVALID, "audiences.0"),
        (
            {"audiences": [{"namespace": "ups", "id": "gold", "droppedAt": "2026-01-12T23:37:33Z"}]},
            Code.INVALID,
            "droppedAt",
        ),
        ({"recordsPerSecond": 0}, Code.INVALID, "recordsPerSecond"),
        ({"recordsPerSecond": 2**70}, Code.INVALID, "recordsPerSecond"),
        ({"force": "yes"}, Code.INVALID, "force"),
        ({"requestedBy": "eve"}, Code.INVALID, "requestedBy"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(vip: Api, fields: dict[str, Any], code: Code, word: str) -> None:
    before = items(vip)

    refused(vip, order(vip, **fields), code, word)

    assert items(vip) == before


def test_a_flow_that_maps_nothing_has_nothing_to_send(vip: Api) -> None:
    put(vip, "none", audiences=[])

    refused(vip, order(vip, flow="none"), Code.INVALID, "flow none maps no audience")


def test_a_job_is_cancelled_once(vip: Api) -> None:
    job_id = order(vip).json()["id"]

    cancelled = vip.post(f"/v1/jobs/{job_id}/cancel")

    assert cancelled.status_code == 200, cancelled.text
    assert (cancelled.json()["state"], cancelled.json()["cancelledAt"]) == ("cancelled", "2026-01-11T23:37:33Z")
    refused(vip, vip.post(f"/v1/jobs/{job_id}/cancel"), Code.JOB_ENDED, "there is nothing to cancel")
    refused(vip, vip.post("/v1/jobs/nothing/cancel"), Code.NOT_FOUND, "there is no job nothing")
    refused(vip, vip.get("/v1/jobs/nothing"), Code.NOT_FOUND)


def test_who_may_only_read_looks_and_orders_nothing(vip: Api) -> None:
    reader = Token(name="reader", sha256=sha256(b"token").hexdigest(), role=Role.READ)
    vip.app.state.services = replace(vip.services, access=Access([reader], 5))
    refused(vip, vip.get("/v1/jobs"), Code.UNAUTHORIZED)
    vip.headers |= {"Authorization": "Bearer token"}

    (backfill,) = items(vip)

    refused(vip, order(vip), Code.FORBIDDEN, "reader")
    refused(vip, vip.post(f"/v1/jobs/{backfill['id']}/cancel"), Code.FORBIDDEN)


def test_without_kafka_jobs_are_unavailable_and_nothing_is_ordered(vip: Api) -> None:
    (backfill,) = items(vip)
    vip.jobs = ReadFailed("there is no topic job-progress; run `profile-exporter init`")

    for answer in (
        vip.get("/v1/jobs"),
        vip.get(f"/v1/jobs/{backfill['id']}"),
        order(vip),
        vip.post(f"/v1/jobs/{backfill['id']}/cancel"),
    ):
        refused(vip, answer, Code.UNAVAILABLE, "init")
    vip.jobs = JobsProgress()
    assert [each["cancelledAt"] for each in items(vip)] == [None]


def test_progress_that_cannot_be_read_is_told(vip: Api) -> None:
    assert isinstance(vip.jobs, JobsProgress)
    vip.jobs = replace(vip.jobs, unreadable=("job-progress: bad",))

    assert vip.get("/v1/jobs").json()["warnings"] == ["job-progress: bad"]
