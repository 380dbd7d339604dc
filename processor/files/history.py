"""The catalog as it changes in a replay: by files, each from a time on, or by records of `flows` and `audiences`.

A change starts the same jobs as in the control plane (`core/job_lifecycle`), so a replay has the jobs that a worker
had. A job of a file has an id made from the file's time, the flow and the kind of job; a job among the records keeps
its own, and so do its records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from processor.catalog.compiled import compile_catalog
from processor.catalog.state import ControlState, Topic, put_record
from processor.core.catalog import Catalog
from processor.core.content_mode import read_head
from processor.core.job_lifecycle import Moment, jobs_after
from processor.core.parse import load_json
from processor.core.unusable import Unusable
from schemas.audience import Audience
from schemas.flow import Flow
from schemas.job import Job
from schemas.kafka import ReadRecord
from schemas.times import MIN_SECONDS, BadTimeError, format_time, normal_time

BEGINNING: Final = format_time(MIN_SECONDS)
"""The time before any event, from which a file without a time is in force."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The flows and audiences in force from a time on, in the form of C8."""

    since: str
    flows: tuple[Flow, ...]
    audiences: tuple[Audience, ...]


class FileHistory:
    """A catalog by files in the order of their times; each has everything that is in force from then on."""

    def __init__(self, files: Sequence[Effective]) -> None:
        self._waiting = sorted(files, key=lambda each: each.since)
        self._flows: dict[str, Flow] = {}
        self._leaving: dict[str, Flow] = {}
        self._jobs: dict[str, Job] = {}

    def take_due(self, record: ReadRecord | None) -> Iterator[Catalog]:
        """Yield the catalogs that take effect before a record is decided; with None, all that are left."""
        while self._waiting and (record is None or self._waiting[0].since <= find_time(record)):
            yield self._put(self._waiting.pop(0))

    def _put(self, effective: Effective) -> Catalog:
        after = {flow.id: flow for flow in effective.flows}
        for flow_id in sorted(self._flows.keys() | after.keys()):
            self._change(self._flows.get(flow_id), after.get(flow_id), effective.since)
        self._flows = after
        return Catalog.of(effective.flows, effective.audiences, {}, self._jobs.values(), self._leaving.values())

    def _change(self, before: Flow | None, after: Flow | None, now: str) -> None:
        flow = after or before
        assert flow is not None
        moment = Moment(now, lambda kind: sha256(f"{now}/{flow.id}/{kind.value}".encode()).hexdigest()[:32])
        for job in jobs_after(before, after, self._jobs.values(), moment):
            self._jobs[job.id] = job
        if after is None:
            self._leaving[flow.id] = flow
        else:
            self._leaving.pop(flow.id, None)


class RecordHistory:
    """A catalog by records of the topics `flows` and `audiences`.

    Those that follow each other, with no event between them, are one change.
    """

    def __init__(self, flows: str, audiences: str) -> None:
        self._topics = {flows: Topic.FLOWS, audiences: Topic.AUDIENCES}
        self._state = ControlState()
        self._changed = False

    def read_record(self, record: ReadRecord) -> bool:
        """Read a record of these topics, and return whether it is one."""
        topic = self._topics.get(record.topic)
        if topic is None:
            return False
        self._state = put_record(self._state, topic, record)
        self._changed = True
        return True

    def take_due(self) -> Iterator[Catalog]:
        """Yield the catalog, where it has changed; raise BadRecord where the last record of a key cannot be read."""
        if self._changed:
            self._changed = False
            yield compile_catalog(self._state)


def find_time(record: ReadRecord) -> str:
    """Return when a record was written, else the time of its event; the beginning where neither can be read."""
    try:
        if record.timestamp is not None:
            return format_time(record.timestamp // 1000)
        head = read_head(record.headers)
        event = (
            head.attributes
            if head is not None and head.has_attributes and not head.is_structured
            else load_json(record.value or b"null")
        )
        return normal_time(event["time"])
    except (BadTimeError, Unusable, KeyError, TypeError):
        return BEGINNING
