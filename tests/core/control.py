"""Flows that change one after the other, as the control plane changes them, and the catalog after each change."""

from processor.core.catalog import Catalog
from processor.core.job_lifecycle import Moment, jobs_after
from schemas.flow import Flow
from schemas.job import Job
from schemas.times import format_time, parse_time

FIRST = "2026-01-20T00:00:00Z"


class Control:
    """Every change happens a second after the one before; ids of jobs are j1, j2, …"""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.leaving: dict[str, Flow] = {}
        self.jobs: dict[str, Job] = {}
        self._now = parse_time(FIRST)

    def put(self, flow: object) -> Catalog:
        """Create or change a flow (contract 4b's form)."""
        after = flow if isinstance(flow, Flow) else Flow.model_validate(flow)
        self._change(after.id, after)
        self.leaving.pop(after.id, None)
        return self.catalog

    def set(self, flow_id: str, **changes: object) -> Catalog:
        """Change some fields of a flow, in the form of contract 4b."""
        return self.put(self.flows[flow_id].model_dump(mode="json", by_alias=True, exclude_none=True) | changes)

    def delete(self, flow_id: str) -> Catalog:
        self.leaving[flow_id] = self.flows[flow_id]
        self._change(flow_id, None)
        return self.catalog

    def resend(self, flow_id: str) -> Catalog:
        """Of all that the flow maps."""
        self._now += 1
        audiences = [{"namespace": each.namespace, "id": each.id} for each in self.flows[flow_id].audiences]
        now = format_time(self._now)
        fields = {
            "id": self._id(),
            "kind": "resend",
            "flow": flow_id,
            "audiences": audiences,
            "createdAt": now,
            "startedAt": now,
        }
        job = Job.model_validate(fields)
        self.jobs[job.id] = job
        return self.catalog

    def cancel(self, job_id: str) -> Catalog:
        self._now += 1
        self.jobs[job_id] = self.jobs[job_id].model_copy(update={"cancelled_at": format_time(self._now)})
        return self.catalog

    def forget(self, job_id: str) -> Catalog:
        """As 30 days after it ended."""
        del self.jobs[job_id]
        return self.catalog

    @property
    def catalog(self) -> Catalog:
        return Catalog.of(self.flows.values(), (), {}, self.jobs.values(), self.leaving.values())

    def _change(self, flow_id: str, after: Flow | None) -> None:
        self._now += 1
        before = self.flows.pop(flow_id, None)
        made: list[Job] = []
        moment = Moment(format_time(self._now), lambda _: self._id(len(made)))
        for job in jobs_after(before, after, self.jobs.values(), moment):
            self.jobs[job.id] = job
        if after is not None:
            self.flows[flow_id] = after

    def _id(self, more: int = 0) -> str:
        self._made = getattr(self, "_made", 0) + 1
        return f"j{self._made + more:04}"
