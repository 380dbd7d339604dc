"""How a job stands, of what was ordered and what workers say (contract E1, E4)."""

from typing import Any

import pytest

from processor.catalog.state import ControlState, Topic
from processor.control.job_status import FlowCondition, JobsProgress, JobStatus, describe_job, list_job_statuses
from schemas.flow import Flow
from schemas.job import Job, JobProgress, JobState, PartitionState
from schemas.wire.flows import StoredFlow, encode_flow, encode_job

CREATED, STARTED, BEGUN, TOLD, NOW = (f"2026-01-20T00:0{minute}:00Z" for minute in range(5))
PAUSED = "the destination is paused: stream_missing"


def a_job(kind: str = "backfill", **fields: Any) -> Job:
    content = {
        "id": "j1",
        "kind": kind,
        "flow": "vip",
        "audiences": [{"namespace": "ups", "id": "gold"}],
        "createdAt": CREATED,
        "startedAt": STARTED,
    }
    return Job.model_validate(content | fields)


def part(partition: int = 0, state: PartitionState = PartitionState.RUNNING, **fields: Any) -> JobProgress:
    content = {
        "job": "j1",
        "flow": "vip",
        "kind": "backfill",
        "partition": partition,
        "start": 0,
        "begunAt": BEGUN,
        "updatedAt": TOLD,
    }
    return JobProgress.model_validate(content | {"state": state, "total": 100} | fields)


DONE, CANCELLED = PartitionState.DONE, PartitionState.CANCELLED


def status(
    job: Job, *parts: JobProgress, flow: FlowCondition = FlowCondition.ENABLED, partitions: int = 2, now: str = NOW
) -> JobStatus:
    return describe_job(job, {each.partition: each for each in parts}, flow, partitions, now)


@pytest.mark.parametrize(
    ("job", "parts", "flow", "state"),
    [
        (a_job(), [], FlowCondition.ENABLED, JobState.QUEUED),
        (a_job(startedAt=None), [], FlowCondition.DISABLED, JobState.QUEUED),
        (a_job("catchup", startedAt=None), [part(0), part(1)], FlowCondition.DISABLED, JobState.QUEUED),
        (a_job(), [part(0)], FlowCondition.ENABLED, JobState.RUNNING),
        (a_job(), [part(0, DONE)], FlowCondition.ENABLED, JobState.RUNNING),
        (a_job(), [part(0), part(1, DONE)], FlowCondition.DISABLED, JobState.RUNNING),
        (a_job("unmap"), [part(0)], FlowCondition.LEAVING, JobState.RUNNING),
        (a_job(), [part(0, DONE), part(1, DONE)], FlowCondition.ENABLED, JobState.SUCCEEDED),
        (a_job(cancelledAt=NOW), [part(0, DONE), part(1, DONE)], FlowCondition.GONE, JobState.SUCCEEDED),
        (a_job(cancelledAt=NOW), [], FlowCondition.ENABLED, JobState.CANCELLED),
        (a_job(cancelledAt=NOW), [part(0), part(1, CANCELLED)], FlowCondition.ENABLED, JobState.CANCELLED),
        (a_job(), [part(0)], FlowCondition.GONE, JobState.CANCELLED),
        (a_job(cancelledAt=NOW), [part(0, CANCELLED, exported=1), part(1)], FlowCondition.ENABLED, JobState.PARTIAL),
        (a_job(cancelledAt=NOW), [part(0, CANCELLED), part(1, DONE)], FlowCondition.ENABLED, JobState.PARTIAL),
    ],
)
def test_e4_the_state_follows_from_the_order_the_partitions_and_the_flow(
    job: Job, parts: list[JobProgress], flow: FlowCondition, state: JobState
) -> None:
    assert status(job, *parts, flow=flow).state is state


@pytest.mark.parametrize(
    ("job", "parts", "flow", "reason"),
    [
        (a_job(), [], FlowCondition.ENABLED, "no worker has begun it"),
        (a_job(startedAt=None), [], FlowCondition.DISABLED, "flow vip is disabled: it starts when the flow is enabled"),
        (a_job(), [part(0)], FlowCondition.DISABLED, "flow vip is disabled: it goes on when the flow is enabled"),
        (
            a_job("catchup", startedAt=None),
            [part(0, waiting="the flow is disabled")],
            FlowCondition.DISABLED,
            "flow vip is disabled: what it misses is noted, and sent when it is enabled",
        ),
        (a_job(), [part(0, waiting=PAUSED), part(1, waiting=PAUSED)], FlowCondition.ENABLED, PAUSED),
        (a_job(), [part(0, waiting=PAUSED)], FlowCondition.ENABLED, f"{PAUSED}; no worker has begun 1 of 2 partitions"),
        (a_job(), [part(0), part(1)], FlowCondition.ENABLED, None),
        (a_job(), [part(0, DONE, waiting=PAUSED), part(1)], FlowCondition.ENABLED, None),
        (a_job(cancelledAt=NOW), [part(0, waiting=PAUSED)], FlowCondition.DISABLED, None),
    ],
)
def test_a_job_that_waits_says_why(job: Job, parts: list[JobProgress], flow: FlowCondition, reason: str | None) -> None:
    assert status(job, *parts, flow=flow).reason == reason


def test_counts_are_those_of_all_partitions() -> None:
    one = part(0, seen=40, exported=30, skipped={"not_a_member": 9, "already_exported": 1})
    other = part(1, DONE, seen=120, exported=20, skipped={"not_a_member": 100})

    shown = status(a_job(), one, other)

    assert shown.counts.model_dump(by_alias=True) == {
        "seen": 160,
        "exported": 50,
        "skipped": {"already_exported": 1, "not_a_member": 109},
        "toGo": 60,
    }
    assert shown.partitions.model_dump() == {"done": 1, "begun": 2, "total": 2}


def test_what_is_to_go_is_never_negative_and_nothing_when_it_has_ended() -> None:
    more_than_there_were = part(0, seen=150)

    assert status(a_job(), more_than_there_were).counts.to_go == 0
    assert status(a_job(), part(0, DONE, seen=5), part(1, DONE, seen=7)).counts.to_go == 0
    assert status(a_job(cancelledAt=NOW), part(0, CANCELLED, seen=5)).counts.to_go == 0


def test_what_is_to_go_is_not_known_before_it_began_nor_of_a_catchup() -> None:
    assert status(a_job()).counts.to_go is None
    assert status(a_job("catchup"), part(0, kind="catchup", seen=3)).counts.to_go is None
    assert status(a_job("catchup"), part(0, kind="catchup", seen=3)).estimated_end is None


def test_rates_and_the_estimated_end_are_of_the_time_it_worked() -> None:
    """Two minutes of an hour: before, an older job of the flow went first."""
    parts = (
        part(0, total=1000, seen=600, exported=300, workedSeconds=120.0),
        part(1, total=800, seen=600, exported=60, workedSeconds=90.5),
    )
    shown = status(a_job(), *parts, now="2026-01-20T01:00:00Z")

    assert shown.rate.model_dump(by_alias=True) == {"recordsPerSecond": 3.0, "profilesPerSecond": 10.0}
    assert (shown.begun_at, shown.ended_at, shown.estimated_end) == (BEGUN, None, "2026-01-20T01:01:00Z")


def test_a_rate_is_not_known_within_the_first_second_nor_before_it_sends() -> None:
    for shown in (
        status(a_job(), part(0, seen=9, workedSeconds=0.9)),
        status(a_job("catchup", startedAt=None), part(0)),
        status(a_job()),
    ):
        assert (shown.rate.records_per_second, shown.rate.profiles_per_second, shown.estimated_end) == (
            None,
            None,
            None,
        )


def test_the_rate_of_a_job_that_ended_stays() -> None:
    parts = part(0, DONE, seen=600, exported=60, workedSeconds=60.0), part(1, DONE, seen=0)
    shown = status(a_job(), *parts, now="2026-02-20T00:00:00Z")

    assert (shown.rate.records_per_second, shown.ended_at, shown.estimated_end) == (1.0, TOLD, None)


def test_an_end_is_not_foretold_of_a_job_that_waits_or_does_not_move() -> None:
    assert status(a_job(), part(0, seen=6), part(1, waiting=PAUSED)).estimated_end is None
    assert status(a_job(), part(0), part(1)).estimated_end is None


def test_the_end_of_a_cancelled_job_is_when_it_was_cancelled() -> None:
    assert status(a_job(cancelledAt=NOW), part(0, CANCELLED, exported=1)).ended_at == NOW
    assert status(a_job(), part(0), flow=FlowCondition.GONE).ended_at is None


def test_it_is_json_in_the_style_of_the_rest() -> None:
    shown = status(a_job(requestedBy="ada", recordsPerSecond=50)).as_object()

    assert (shown["requestedBy"], shown["recordsPerSecond"], shown["createdAt"], shown["endedAt"]) == (
        "ada",
        50,
        CREATED,
        None,
    )
    assert shown["audiences"] == [{"namespace": "ups", "id": "gold", "droppedAt": None}]


def state_with(*jobs: Job) -> ControlState:
    flow = Flow.model_validate({"id": "vip", "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"}})
    records = [(Topic.FLOWS, encode_flow(StoredFlow(flow, "e")))]
    return ControlState().after([*records, *((Topic.FLOWS, encode_job(job)) for job in jobs)])


@pytest.mark.parametrize(
    ("older", "newer", "reason"),
    [
        (part(0), part(0), "backfill j1 of flow vip goes first"),
        (part(0, DONE), part(0), None),
        (part(0), part(0, seen=1), None),  # in a partition that has done the older one
    ],
)
def test_a_job_says_which_older_one_of_its_flow_goes_first(
    older: JobProgress, newer: JobProgress, reason: str | None
) -> None:
    jobs = [a_job(), a_job("resend", id="j2", createdAt=STARTED), a_job(id="j0", flow="other")]

    second, *_ = list_job_statuses(
        state_with(*jobs), JobsProgress({"j1": {0: older}, "j2": {0: newer}, "j0": {0: part(0)}}, 1), NOW
    )

    assert (second.id, second.reason) == ("j2", reason)


def test_all_jobs_are_told_the_newest_first_each_with_its_own_flow() -> None:
    state = state_with(a_job(), a_job(id="j2", createdAt=STARTED), a_job(id="j0", flow="other"))

    told = list_job_statuses(state, JobsProgress({"j1": {0: part(0, DONE)}}, 1), NOW)

    assert [(each.id, each.state) for each in told] == [
        ("j2", JobState.QUEUED),
        ("j1", JobState.SUCCEEDED),
        ("j0", JobState.CANCELLED),
    ]
