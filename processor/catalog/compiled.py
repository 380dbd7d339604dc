"""The catalog that decides, compiled from the state of the topics `flows` and `audiences`."""

from processor.catalog.state import ControlState
from processor.core.catalog import Catalog
from schemas.kafka import BadRecord


def compile_catalog(state: ControlState) -> Catalog:
    """Return the catalog of a state; raise BadRecord where the last record of a key cannot be read.

    Flows stand in the order of their ids, so that every worker has the same.
    """
    if state.unreadable:
        raise BadRecord("; ".join(state.unreadable.values()))
    in_force = [state.flows[flow_id] for flow_id in sorted(state.flows)]
    leaving = [state.leaving[flow_id] for flow_id in sorted(state.leaving)]
    etags = {kept.item.id: kept.etag for kept in in_force} | {stored.flow.id: stored.etag for stored in leaving}
    return Catalog.of(
        [kept.item for kept in in_force],
        [kept.item for kept in state.audiences.values()],
        etags,
        sorted(state.jobs.values(), key=lambda job: job.order),
        [stored.flow for stored in leaving],
    )
