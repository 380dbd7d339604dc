"""A change in the making: what would be written, and the state as it would be.

It is pure; nothing is written before it is committed.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from processor.catalog.state import ControlRecord, ControlState, Kept, Topic, audience_etag, put_record
from processor.control.job_status import JobsProgress, find_job_status
from processor.core.job_lifecycle import Moment, jobs_after
from schemas.audience import Audience, AudienceKey
from schemas.connection import AnyObject, Kind, StoredObject
from schemas.flow import Flow
from schemas.job import KEPT_DAYS, Job, JobKind
from schemas.kafka import ProducerRecord
from schemas.model import dump_model
from schemas.times import format_time, plus_days
from schemas.wire.audiences import audience_key, encode_audience
from schemas.wire.audit_events import Author, Etags, encode_audit_event
from schemas.wire.connections import encode_object, object_key
from schemas.wire.flows import StoredFlow, encode_flow, encode_job, flow_key, job_key


class Draft:
    """A draft of one author's change. What is put as it is already changes nothing: no record, the same etag.

    `progress`: what workers say of jobs; it is asked only where a job is so old that it may be forgotten.
    """

    def __init__(
        self,
        state: ControlState,
        author: Author,
        now_ms: int,
        new_etag: Callable[[], str],
        progress: Callable[[], JobsProgress] = JobsProgress,
    ) -> None:
        self._state = state
        self._is_shared = True  # others may have `_state`: the next record goes into a copy of it
        self.now_ms = now_ms
        self.records: list[ControlRecord] = []
        self._author = author
        self._new_etag = new_etag
        self._progress = cache(progress)
        self._before = state
        self._jobs: dict[str, None] = {}  # those that were put

    @property
    def state(self) -> ControlState:
        """Return the state after what was put so far; later puts do not change it.

        To put after each look costs a copy of it each time.
        """
        self._is_shared = True
        return self._state

    def put_flow(self, flow: Flow, *, even_if_same: bool = False) -> Kept[Flow]:
        """Create a flow, or change it to this.

        `even_if_same`: what else belongs to it has changed, so it gets a new etag.
        """
        before = self._state.flows.get(flow.id)
        if before is not None and before.item == flow and not even_if_same:
            return before
        etag = self._new_etag()
        self._put_jobs(None if before is None else before.item, flow)
        created_by = self._author.who if before is None else before.created_by
        self._write(Topic.FLOWS, encode_flow(StoredFlow(flow, etag, None, created_by, self._author.who)))
        content, etags = (
            None if before is None else dump_model(before.item),
            Etags(None if before is None else before.etag, etag),
        )
        self._audit(Kind.FLOW, flow.id, content, dump_model(flow), etags)
        return self._state.flows[flow.id]

    def delete_flow(self, flow_id: str) -> None:
        """Delete a flow that is there.

        Where exits of it may still have to arrive, it remains on the topic for as long as their jobs do (F2).
        """
        before = self._state.flows[flow_id]
        self._put_jobs(before.item, None)
        exits = any(
            job.kind is JobKind.UNMAP and job.cancelled_at is None and job.flow == flow_id
            for job in self._state.jobs.values()
        )
        stored = (
            StoredFlow(before.item, self._new_etag(), self.now, before.created_by, self._author.who) if exits else None
        )
        self._write(Topic.FLOWS, ProducerRecord(flow_key(flow_id), None) if stored is None else encode_flow(stored))
        etags = Etags(before.etag, None) if stored is None else Etags(before.etag, stored.etag, stored.deleted_at)
        self._audit(Kind.FLOW, flow_id, dump_model(before.item), None, etags)

    def abandon_flow(self, flow_id: str) -> None:
        """Abandon what a deleted flow that is leaving still has to deliver: it becomes dead letters (G9)."""
        before = self._state.leaving[flow_id]
        for job in [job for job in self._state.jobs.values() if job.flow == flow_id and job.cancelled_at is None]:
            self.put_job(job.model_copy(update={"cancelled_at": self.now}))
        self._write(Topic.FLOWS, ProducerRecord(flow_key(flow_id), None))
        self._audit(Kind.FLOW, flow_id, dump_model(before.flow), None, Etags(before.etag, None))

    def record_flow(self, stored: StoredFlow) -> None:
        """Write that the flow stands as it does, changing nothing: no audit event names its etag."""
        self._audit(
            Kind.FLOW,
            stored.flow.id,
            None,
            dump_model(stored.flow),
            Etags(None, stored.etag, stored.deleted_at),
            "recorded",
        )

    def put_job(self, job: Job, *, by_hand: bool = False) -> None:
        """Create a job, or change it to this; what ended long ago is forgotten with it.

        `by_hand`: somebody asked for just this.
        """
        self._jobs[job.id] = None
        self._forget_old_jobs()
        before = self._state.jobs.get(job.id)
        self._write(Topic.FLOWS, encode_job(job))
        if job.requested_by is not None or by_hand:  # otherwise the change of the flow says it
            self._audit("jobs", job.id, None if before is None else dump_model(before), dump_model(job))

    @property
    def started_jobs(self) -> list[Job]:
        """Return the jobs that this change makes or starts."""
        jobs = [(self._before.jobs.get(job_id), self._state.jobs[job_id]) for job_id in self._jobs]
        return [
            job for was, job in jobs if job.cancelled_at is None and (was is None or was.started_at != job.started_at)
        ]

    @property
    def author(self) -> Author:
        """Return the author of the change."""
        return self._author

    @property
    def now(self) -> str:
        """Return the moment of this change in the form of C8."""
        return format_time(self.now_ms // 1000)

    def new_job_id(self) -> str:
        """Return an id that no job had before."""
        return self._new_etag()

    def _put_jobs(self, before: Flow | None, after: Flow | None) -> None:
        """Write the jobs that change with a flow (lifecycle)."""
        flow = after or before
        assert flow is not None
        moment = Moment(self.now, lambda _: self.new_job_id())
        for job in jobs_after(before, after, self._state.jobs.values(), moment):
            self.put_job(job)

    def _forget_old_jobs(self) -> None:
        """Forget jobs older than 30 days that have ended.

        Flows that were deleted as long ago, and whose exits have left, are forgotten with them.
        """
        oldest = plus_days(self.now, -KEPT_DAYS)
        others = [job for job in self._state.jobs.values() if job.id not in self._jobs]
        old = [job for job in others if (job.cancelled_at or job.started_at or self.now) < oldest]
        progress = self._progress() if any(job.cancelled_at is None for job in old) else JobsProgress()
        for job in old:
            if not find_job_status(self._state, progress, job, self.now).is_open:
                self._write(Topic.FLOWS, ProducerRecord(job_key(job.id), None))
        open_of = {job.flow for job in self._state.jobs.values() if job.cancelled_at is None}
        for flow_id, stored in list(self._state.leaving.items()):
            if (stored.deleted_at or self.now) < oldest and flow_id not in open_of:
                self._write(Topic.FLOWS, ProducerRecord(flow_key(flow_id), None))

    def put_audience(self, audience: Audience) -> Kept[Audience]:
        """Create an audience, or change it to this."""
        before = self._state.audiences.get(audience.key)
        if before is not None and before.item == audience:
            return before
        self._write(Topic.AUDIENCES, encode_audience(audience))
        self._audit(
            "audiences",
            "/".join(audience.key),
            None if before is None else dump_model(before.item),
            dump_model(audience),
        )
        return Kept(
            audience, audience_etag(audience), self.now_ms if before is None else before.created_at, self.now_ms
        )

    def delete_audience(self, key: AudienceKey) -> None:
        """Delete an audience that is there."""
        before = self._state.audiences[key]
        self._write(Topic.AUDIENCES, ProducerRecord(audience_key(key), None))
        self._audit("audiences", "/".join(key), dump_model(before.item), None)

    def put_object(self, kind: Kind, object_id: str, item: AnyObject) -> Kept[AnyObject]:
        """Create an object of the API, or change it to this."""
        before = self._state.objects.get((kind, object_id))
        if before is not None and before.item == item:
            return before
        etag, created_at = self._new_etag(), self.now_ms if before is None else before.created_at
        created_by, content = self._author.who if before is None else before.created_by, dump_model(item)
        self.keep_object(kind, object_id, Kept(item, etag, created_at, self.now_ms, created_by, self._author.who))
        if kind is not Kind.FLOW:  # of a flow, its own record says what changed
            self._audit(kind, object_id, None if before is None else dump_model(before.item), content)
        return self._state.objects[kind, object_id]

    def keep_object(self, kind: Kind, object_id: str, kept: Kept[AnyObject]) -> None:
        """Store what was shown before it was stored: the same etag, the same times and authors."""
        said = {name: getattr(kept, name) for name in ("etag", "created_at", "updated_at", "created_by", "updated_by")}
        stored = StoredObject(kind=kind, id=object_id, object=dump_model(kept.item), **said)
        self._write(Topic.CONNECTIONS, encode_object(stored))

    def delete_object(self, kind: Kind, object_id: str) -> None:
        """Delete an object of the API, where there is one."""
        before = self._state.objects.get((kind, object_id))
        if before is None:
            return
        self._write(Topic.CONNECTIONS, ProducerRecord(object_key(kind, object_id), None))
        if kind is not Kind.FLOW:
            self._audit(kind, object_id, dump_model(before.item), None)

    def rewrite_flow(self, flow: Flow) -> None:
        """Write the same flow in other words, as under another key: its etag remains.

        The flow is there, or was deleted and still has exits to send (F2).
        """
        stored = self._state.leaving.get(flow.id)
        if stored is None:
            kept = self._state.flows[flow.id]
            stored = StoredFlow(flow, kept.etag, None, kept.created_by, kept.updated_by)
        self._write(Topic.FLOWS, encode_flow(stored._replace(flow=flow)))

    def rewrite_object(self, kind: Kind, object_id: str, item: AnyObject) -> None:
        """Write the same object of the API in other words: its etag remains."""
        self.keep_object(kind, object_id, replace(self._state.objects[kind, object_id], item=item))

    def _write(self, topic: Topic, untimed: ProducerRecord) -> None:
        record = untimed._replace(timestamp=self.now_ms)
        self.records.append((topic, record))
        if self._is_shared:
            self._state, self._is_shared = self._state.copied(), False
        self._state = put_record(self._state, topic, record)

    def _audit(
        self, kind: str, object_id: str, before: Any, after: Any, etags: Etags | None = None, action: str | None = None
    ) -> None:
        event = encode_audit_event(self._author, self.now_ms, kind, object_id, before, after, etags, action)
        self.records.append((Topic.AUDIT_EVENTS, event._replace(timestamp=self.now_ms)))
