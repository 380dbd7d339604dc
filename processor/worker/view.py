"""A worker as its reports show it (`status_reports.Watched`)."""

from collections.abc import Mapping
from dataclasses import dataclass

from processor.catalog.follower import CatalogFollower
from processor.delivery.sink import Sink
from processor.pipeline.pipeline import Pipeline
from processor.worker.stores import Stores
from processor.worker.waits import Waits
from schemas.partitioner import Partitioner
from state.restore import RestoreProgress


@dataclass(slots=True, kw_only=True)
class WorkerView:
    """The parts of a worker that its reports ask.

    `name` is stable over restarts in the same state directory; `partitioner` says where keys belong (I12).
    `has_taken_over` is written by the worker's `Ownership` alone.
    """

    name: str
    partitioner: Partitioner
    pipeline: Pipeline
    sink: Sink
    waits: Waits
    stores: Stores
    catalog: CatalogFollower
    has_taken_over: bool = False

    @property
    def restoring(self) -> Mapping[int, RestoreProgress]:
        """The progress of the last restore, by partition."""
        return self.stores.restoring

    @property
    def stored(self) -> dict[int, tuple[int, int]]:
        """(profiles, bytes) of each partition."""
        return self.stores.sizes

    def has_flow(self, flow_id: str) -> bool:
        """Return whether the catalog names a flow."""
        return self.catalog.catalog.flow(flow_id) is not None
