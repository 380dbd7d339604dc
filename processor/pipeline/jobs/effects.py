"""Effects of an applied event on the jobs of its partition. Pure: nothing is changed, the caller applies them.

jobs, an event, a look-up of markers ─► rows (markers that come and go), records that leave before the event's own,
                                        and which job exported each
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from processor.core.catalog import Catalog, CompiledJob
from processor.core.step import Step
from processor.pipeline.jobs.partition_job import PartitionJob
from schemas.export import ExportRecord
from schemas.wire.profiles_changelog import Row

EXPORTED: Final = b"1"
"""The marker of a profile that the job's flow has exported."""
NOT_A_MEMBER: Final = b"0"
"""The marker of a profile that an unmap job has nothing to export of: it was no member."""

MarkerLookup = Callable[[bytes], bytes | None]
"""The newest value of a marker's row by its key; None: there is none."""


class AppliedEvent(NamedTuple):
    """An event that was applied to a profile: the row before it, what it led to, and the catalog that decided it."""

    profile_id: bytes
    before: Row | None
    step: Step
    catalog: Catalog

    def sends(self, flow_id: str) -> bool:
        """Return whether a flow sends a record for the event."""
        return any(record.flow_id == flow_id for record in self.step.records)


@dataclass(slots=True)
class Effects:
    """The effects of an event on jobs: `exported_by` is the id of the job of each record."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    records: list[ExportRecord] = field(default_factory=list)
    exported_by: list[str] = field(default_factory=list)


class EventRules(Protocol):
    """The rules of a kind of job at events and exports; every method writes only to what it is given."""

    def on_event(self, active: "ActiveJob", event: AppliedEvent, marker: MarkerLookup, effects: Effects) -> None:
        """Add to `effects` what an applied event does to the job."""

    def on_export(self, active: "ActiveJob", profile_id: bytes, rows: dict[bytes, bytes | None]) -> None:
        """Add to `rows` that the job's flow exported a profile (E2)."""


class ActiveJob(NamedTuple):
    """A job that is not done in this partition; `ordered` None: the catalog cancelled it, and its markers are to go."""

    job: PartitionJob
    ordered: CompiledJob | None
    rules: EventRules


def effects_of_event(jobs: Sequence[ActiveJob], event: AppliedEvent, marker: MarkerLookup) -> Effects:
    """Return what an applied event does to these jobs."""
    effects = Effects()
    for active in jobs:
        active.rules.on_event(active, event, marker, effects)
    return effects


def rows_of_export(jobs: Sequence[ActiveJob], record: ExportRecord, profile_id: bytes) -> Mapping[bytes, bytes | None]:
    """Return what the record that one job sends does to the others of its flow: theirs has arrived with it (E2)."""
    rows: dict[bytes, bytes | None] = {}
    for active in jobs:
        if active.ordered is not None and active.job.flow_id == record.flow_id:
            active.rules.on_export(active, profile_id, rows)
    return rows
