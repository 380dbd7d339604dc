"""Jobs that somebody orders and cancels (contract E1, E4), and how long they are kept."""

from itertools import count
from typing import Any

import orjson
import pytest

from processor.catalog.state import ControlState, Topic
from processor.control.draft import Draft
from processor.control.job_orders import (
    AudienceNotMapped,
    JobHasEnded,
    JobOrder,
    NoSuchJob,
    NothingMapped,
    OneADay,
    OneIsOpen,
    cancel_job,
    order_job,
)
from processor.control.job_status import JobsProgress
from processor.control.native import NoSuchFlow, abandon_flow, delete_flow, put_flow, set_flow_state
from processor.control.plane import ControlPlane
from schemas.flow import Flow, FlowState
from schemas.job import KEPT_DAYS, Job, JobKind, JobProgress, PartitionState
from schemas.times import format_time
from schemas.wire.audit_events import Author
from schemas.wire.flows import job_key
from tests.contracts.memory_control_log import MemoryControlLog, SharedRecords

ADA = Author("ada", "command")
FIRST_MS = 1_768_174_653_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class Plane:
    """A control plane in memory, with a clock of the test's.

    Workers do at once what is ordered, where `works` is on.
    """

    def __init__(self, works: bool = True) -> None:
        self.now_ms = FIRST_MS
        self.works = works
        ids = count(1)
        self.log = MemoryControlLog(SharedRecords(), is_api=True)
        self.plane = ControlPlane(self.log, lambda: self.now_ms, lambda: f"id{next(ids)}", lambda: self.progress)

    @property
    def state(self) -> ControlState:
        return self.plane.state()

    @property
    def audited(self) -> list[dict[str, Any]]:
        return [
            orjson.loads(record.value or b"")
            for topic, record in self.log._shared.records
            if topic is Topic.AUDIT_EVENTS
        ]

    @property
    def now(self) -> str:
        return format_time(self.now_ms // 1000)

    @property
    def progress(self) -> JobsProgress:
        started = [job for job in self.state.jobs.values() if job.started_at and not job.cancelled_at and self.works]
        return JobsProgress({job.id: {0: self._done(job)} for job in started}, 1)

    def _done(self, job: Job) -> JobProgress:
        times = {"begun_at": job.created_at, "updated_at": job.created_at}
        return JobProgress(
            job=job.id, flow=job.flow, kind=job.kind, partition=0, start=0, state=PartitionState.DONE, **times
        )

    def put(self, *audiences: str, state: str = "enabled", flow_id: str = "vip", **options: Any) -> list[Job]:
        """A flow; the jobs that the change set going."""
        destination = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
        mapped = [{"namespace": "ups", "id": audience} for audience in audiences]
        flow = Flow.model_validate(
            {"id": flow_id, "state": state, "destination": destination, "audiences": mapped, "options": options}
        )
        return self.change(lambda draft: put_flow(draft, flow))

    def set_state(self, state: FlowState) -> list[Job]:
        return self.change(lambda draft: set_flow_state(draft, "vip", state))

    def change(self, decide: Any) -> list[Job]:
        def decided(draft: Draft) -> list[Job]:
            decide(draft)
            return draft.started_jobs

        return self.plane.change(ADA, decided)

    def order(self, *audiences: str, kind: str = "resend", flow_id: str = "vip", **more: Any) -> Job:
        named = [{"namespace": "ups", "id": audience} for audience in audiences]
        order = JobOrder.model_validate({"kind": kind, "flow": flow_id, "audiences": named, **more})
        return self.plane.change(ADA, lambda draft: order_job(draft, order, self.progress))

    def cancel(self, job_id: str) -> Job:
        return self.plane.change(ADA, lambda draft: cancel_job(draft, job_id, self.progress))


@pytest.fixture
def plane() -> Plane:
    """Flow `vip` maps gold and silver; their backfill is done."""
    plane = Plane()
    plane.put("gold", "silver")
    return plane


def test_e4_an_order_starts_at_once_and_says_whose_it_is(plane: Plane) -> None:
    job = plane.order("gold", recordsPerSecond=50)

    assert job == plane.state.jobs[job.id]
    assert (job.kind, job.flow, job.wanted, job.records_per_second) == (JobKind.RESEND, "vip", (("ups", "gold"),), 50)
    assert (job.created_at, job.started_at, job.requested_by) == (plane.now, plane.now, "ada")


def test_no_audience_named_is_every_mapped_one(plane: Plane) -> None:
    assert plane.order(kind="backfill").wanted == (("ups", "gold"), ("ups", "silver"))
    assert plane.order("silver", "silver", kind="backfill", force=True).wanted == (("ups", "silver"),)


def test_an_order_for_a_disabled_flow_waits_until_it_is_enabled(plane: Plane) -> None:
    plane.set_state(FlowState.DISABLED)
    job = plane.order()
    plane.now_ms += HOUR_MS

    plane.set_state(FlowState.ENABLED)

    assert job.started_at is None
    assert plane.state.jobs[job.id].started_at == plane.now


def test_an_order_and_its_end_are_audited(plane: Plane) -> None:
    plane.works = False
    job = plane.order(force=True)
    plane.cancel(job.id)

    of_jobs = [(event["id"], event["action"], event["who"]) for event in plane.audited if event["kind"] == "jobs"]
    assert of_jobs == [(job.id, "created", "ada"), (job.id, "changed", "ada")]


@pytest.mark.parametrize(
    ("order", "error", "text"),
    [
        ({"flow_id": "vpi"}, NoSuchFlow, "there is no flow vpi; did you mean vip?"),
        ({"flow_id": "none"}, NothingMapped, "flow none maps no audience: map one first"),
        ({"audience": "gld"}, AudienceNotMapped, "flow vip does not map the audience ups/gld; did you mean ups/gold?"),
        (
            {"audience": "123456789"},
            AudienceNotMapped,
            "does not map the audience ups/123456789; it maps ups/gold, ups/silver",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(
    plane: Plane, order: dict[str, str], error: type[Exception], text: str
) -> None:
    plane.put(flow_id="none")

    with pytest.raises(error) as refused:
        plane.order(*([order["audience"]] if "audience" in order else []), flow_id=order.get("flow_id", "vip"))

    assert text in str(refused.value)


@pytest.mark.parametrize("first", ["resend", "backfill"])
@pytest.mark.parametrize("second", ["resend", "backfill"])
def test_e4_once_a_day_and_audience_whichever_kind_and_it_says_when_the_next_is(
    plane: Plane, first: str, second: str
) -> None:
    job = plane.order("gold", kind=first)
    plane.now_ms += DAY_MS - 1000

    with pytest.raises(OneADay) as refused:
        plane.order(kind=second)

    assert f"had a {first} of audience ups/gold at {job.created_at} ({job.id})" in str(refused.value)
    assert "the next is at 2026-01-12T23:37:33Z; force: true orders it" in str(refused.value)
    assert plane.order("silver", kind=second)
    plane.now_ms += 1000
    assert plane.order("gold", kind=second)


def test_e4_the_day_begins_when_it_was_sent_not_when_it_was_ordered(plane: Plane) -> None:
    plane.set_state(FlowState.DISABLED)
    plane.order("gold")
    plane.now_ms += DAY_MS
    plane.set_state(FlowState.ENABLED)
    plane.now_ms += HOUR_MS

    with pytest.raises(OneADay):
        plane.order("gold")


def test_e4_what_is_forced_was_cancelled_or_began_by_itself_does_not_count(plane: Plane) -> None:
    plane.order("gold")
    assert plane.order("gold", force=True)
    plane.works = False
    silver = plane.order("silver")
    plane.cancel(silver.id)

    assert plane.order("silver")


def test_e4_one_that_was_done_counts_also_when_its_audience_was_unmapped_since(plane: Plane) -> None:
    plane.order("gold")
    progress = plane.progress
    plane.put("silver")
    plane.put("silver", "gold")
    order = JobOrder.model_validate(
        {"kind": "resend", "flow": "vip", "audiences": [{"namespace": "ups", "id": "gold"}]}
    )

    with pytest.raises(OneADay):
        plane.plane.change(ADA, lambda draft: order_job(draft, order, progress))


def test_who_cancels_a_job_that_began_by_itself_stands_in_the_audit_log() -> None:
    plane = Plane(works=False)
    (backfill,) = plane.put("gold")
    before = len(plane.audited)

    plane.cancel(backfill.id)

    assert [(event["kind"], event["id"]) for event in plane.audited[before:]] == [("jobs", backfill.id)]


def test_a_job_of_the_kind_that_is_open_is_enough(plane: Plane) -> None:
    plane.works = False

    with pytest.raises(OneIsOpen) as running:
        plane.order(kind="backfill")
    assert f"a backfill of audience ups/gold is open for flow vip since {plane.now}: id2" in str(running.value)
    plane.put("gold", "silver", state="disabled")
    plane.order("silver")
    plane.now_ms += 2 * DAY_MS
    with pytest.raises(OneIsOpen) as waiting:
        plane.order()
    assert "and waits until the flow is enabled" in str(waiting.value)
    assert plane.order(force=True)


@pytest.mark.parametrize("kind", ["catchup", "unmap"])
def test_other_kinds_cannot_be_ordered(plane: Plane, kind: str) -> None:
    with pytest.raises(ValueError, match="is none of backfill, resend"):
        plane.order(kind=kind)


def test_a_job_is_cancelled_once() -> None:
    plane = Plane(works=False)
    (backfill,) = plane.put("gold")

    cancelled = plane.cancel(backfill.id)

    assert plane.state.jobs[backfill.id].cancelled_at == cancelled.cancelled_at == plane.now
    with pytest.raises(
        JobHasEnded,
        match=rf"backfill {backfill.id} of flow vip has ended at {plane.now}: cancelled; there is nothing to cancel",
    ):
        plane.cancel(backfill.id)


def test_a_job_that_is_done_cannot_be_cancelled_and_an_unknown_one_is_named(plane: Plane) -> None:
    (backfill,) = plane.state.jobs

    with pytest.raises(JobHasEnded, match="succeeded"):
        plane.cancel(backfill)
    with pytest.raises(NoSuchJob, match="there is no job id22; did you mean id2"):
        plane.cancel("id22")
    with pytest.raises(NoSuchJob, match="ended ones are forgotten after 30 days"):
        plane.cancel("x")


def test_f1_of_a_cancelled_catchup_nothing_is_caught_up(plane: Plane) -> None:
    (catchup,) = plane.set_state(FlowState.DISABLED)
    plane.cancel(catchup.id)
    plane.now_ms += HOUR_MS

    assert plane.set_state(FlowState.ENABLED) == []
    assert plane.state.jobs[catchup.id].started_at is None


def test_a_change_tells_the_jobs_that_it_makes_and_starts_and_not_those_that_it_cancels() -> None:
    plane = Plane()
    (backfill,) = plane.put("gold", state="disabled")
    (catchup,) = (plane.set_state(FlowState.ENABLED), plane.set_state(FlowState.DISABLED))[1]

    started = plane.set_state(FlowState.ENABLED)
    same = plane.put("gold")
    deleted = plane.change(lambda draft: delete_flow(draft, "vip"))

    assert (backfill.kind, backfill.started_at, catchup.kind) == (JobKind.BACKFILL, None, JobKind.CATCHUP)
    assert [(job.id, job.started_at) for job in started] == [(catchup.id, plane.now)]
    assert same == deleted == []
    assert all(job.cancelled_at == plane.now for job in plane.state.jobs.values())


def test_a_job_that_is_not_done_after_30_days_is_kept_and_a_cancelled_one_is_not(plane: Plane) -> None:
    plane.works = False  # its destination is paused all the while, say
    running, cancelled = plane.order("gold"), plane.order("silver")
    plane.cancel(cancelled.id)
    plane.now_ms += KEPT_DAYS * DAY_MS + 1000
    plane.order("silver", force=True)

    assert running.id in plane.state.jobs
    assert cancelled.id not in plane.state.jobs
    plane.works = True
    plane.order("silver", force=True)
    assert running.id not in plane.state.jobs


def test_a_job_older_than_30_days_is_gone_after_the_next_one_and_one_that_waits_is_kept(plane: Plane) -> None:
    (done,) = plane.state.jobs
    (waiting,) = plane.put("gold", flow_id="paused", state="disabled")
    plane.now_ms += KEPT_DAYS * DAY_MS
    kept = plane.order("gold")
    plane.now_ms += 1000

    assert set(plane.state.jobs) == {done, waiting.id, kept.id}
    plane.order("silver")

    assert done not in plane.state.jobs
    assert {waiting.id, kept.id} < plane.state.jobs.keys()
    tombstones = [
        record.key for topic, record in plane.log._shared.records if topic is Topic.FLOWS and record.value is None
    ]
    assert tombstones == [job_key(done)]


def test_f2_a_deleted_flow_stays_until_its_exits_have_left_and_30_days_have_passed(plane: Plane) -> None:
    plane.works = False
    plane.put("gold", flow_id="leaving", emitExitOnUnmap=True)
    plane.change(lambda draft: delete_flow(draft, "leaving"))

    plane.now_ms += KEPT_DAYS * DAY_MS + 1000
    plane.order("gold")
    assert "leaving" in plane.state.leaving
    plane.works = True
    plane.order("gold", force=True)
    assert "leaving" not in plane.state.leaving


def test_g9_a_deleted_flow_is_deleted_again_to_give_up_what_it_still_has_to_deliver(plane: Plane) -> None:
    plane.works = False
    plane.put("gold", flow_id="leaving", emitExitOnUnmap=True)
    plane.change(lambda draft: delete_flow(draft, "leaving"))
    (unmap,) = (job for job in plane.state.jobs.values() if job.kind is JobKind.UNMAP)
    with pytest.raises(NoSuchFlow):  # as a client does that did not get its answer
        plane.change(lambda draft: delete_flow(draft, "leaving"))
    plane.change(lambda draft: abandon_flow(draft, "leaving"))

    assert "leaving" not in plane.state.leaving
    assert plane.state.jobs[unmap.id].cancelled_at == plane.now
    with pytest.raises(NoSuchFlow):
        plane.change(lambda draft: abandon_flow(draft, "leaving"))


def test_f2_a_deleted_flow_whose_exits_are_decided_stays_so_that_they_find_their_destination(plane: Plane) -> None:
    plane.put("gold", flow_id="exiting", emitExitOnUnmap=True)
    plane.put(flow_id="exiting", emitExitOnUnmap=True)
    plane.change(lambda draft: set_flow_state(draft, "exiting", FlowState.DISABLED))
    plane.change(lambda draft: delete_flow(draft, "exiting"))

    assert "exiting" in plane.state.leaving


def test_an_old_job_that_the_change_itself_changes_is_not_forgotten_by_it(plane: Plane) -> None:
    plane.put("gold", "silver", flow_id="old")
    plane.now_ms += KEPT_DAYS * DAY_MS + 1000

    assert [job.kind for job in plane.put("silver", "bronze", flow_id="old")] == [JobKind.BACKFILL]
