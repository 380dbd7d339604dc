"""Draw up the tables of `status`, in their order."""

from processor.cli.views.dead_letter_views import counts_table
from processor.cli.views.flow_totals import FlowTotals
from processor.cli.views.status_report import Overview, Partition
from processor.cli.views.tables import Table


def status_tables(found: Overview) -> tuple[Table, ...]:
    """Return the tables in the order they are shown."""
    return (
        _workers(found),
        *_waits(found),
        _partitions(found),
        _flows(found),
        *_pauses(found),
        _counts(found),
        _dead_letters(found),
    )


def _workers(found: Overview) -> Table:
    rows = [
        [
            worker.status.name,
            f"silent for {worker.silent_seconds} s" if worker.silent_seconds else worker.status.state,
            worker.status.version,
            worker.status.hot_path or "",
            worker.status.started_at,
            ", ".join(str(owned.partition) for owned in worker.status.partitions) or "none",
            f"{worker.status.events:,}",
        ]
        for worker in found.workers
    ]
    columns = ["name", "state", "version", "hot path", "started", "partitions", "events"]
    return Table("workers", columns, rows, "none has reported; start one with `profile-exporter worker`")


def _waits(found: Overview) -> list[Table]:
    """Return a table of what workers wait for; no table where they wait for nothing."""
    rows = [[worker.status.name, wait.what, wait.since] for worker in found.workers for wait in worker.waiting]
    return [Table("waiting for more than 30 s", ["worker", "for", "since"], rows)] if rows else []


def _partitions(found: Overview) -> Table:
    columns = ["partition", "owner", "rows", "bytes", "recovery", "lag of events", "lag of exports", "misplaced events"]
    size = sum(partition.owned.bytes for partition in found.partitions if partition.owned is not None)
    total = [
        "all",
        "",
        f"{found.rows:,}",
        f"{size:,}",
        "",
        f"{found.lag_of_events:,}",
        f"{found.lag_of_exports:,}",
        f"{found.misplaced:,}",
    ]
    return Table("partitions", columns, [*map(_partition, found.partitions), total])


def _partition(partition: Partition) -> list[str]:
    owned = partition.owned
    recovery = (
        ""
        if owned is None
        else "done"
        if not owned.to_restore
        else f"{owned.restored:,} read, {owned.to_restore:,} to go"
    )
    lags = ["" if lag is None else f"{lag.lag:,}" for lag in (partition.profile_events, partition.exports)]
    stored = ["", ""] if owned is None else [f"{owned.rows:,}", f"{owned.bytes:,}"]
    misplaced = "" if owned is None else f"{owned.misplaced:,}"
    return [str(partition.number), partition.owner or "nobody", *stored, recovery, *lags, misplaced]


def _flows(found: Overview) -> Table:
    columns = [
        "flow",
        "name",
        "state",
        "stream",
        "exported",
        "delivered",
        "waiting",
        "retried",
        "throttled",
        "dead letters",
        "paused",
    ]
    rows = [_flow_row(flow) for flow in _shown_flows(found)]
    return Table("flows", columns, rows, "none; put some into force with `profile-exporter apply FILE`")


def _flow_row(total: FlowTotals) -> list[str]:
    flow = total.flow
    named = ["", "no longer there", ""] if flow is None else [flow.name, flow.state, flow.destination.stream]
    counts = [total.exported, total.delivered, total.waiting, total.retried, total.throttled]
    numbers = [f"{count:,}" for count in (*counts, total.dead_lettered.total())]
    return [total.id, *named, *numbers, "; ".join(total.paused) or "no"]


def _shown_flows(found: Overview) -> list[FlowTotals]:
    """Return all flows, and a last one for those that are gone, where that has any count."""
    deleted = found.deleted_flows
    has_counts = deleted.exported or deleted.delivered or deleted.skipped or deleted.dead_lettered or deleted.waiting
    return [*found.flows, *([deleted] if has_counts else [])]


def _pauses(found: Overview) -> list[Table]:
    """Return a table of flows that are paused, or whose records are not all in memory; no table for none."""
    columns = [
        "flow",
        "paused",
        "since",
        "next probe",
        "waiting",
        "of them not in memory",
        "oldest waiting",
        "offsets gone",
    ]
    rows = [
        [
            flow.id,
            "; ".join(flow.paused) or "no: catching up",
            flow.paused_since or "",
            flow.next_probe or "",
            f"{flow.waiting:,}",
            f"{flow.parked:,}",
            flow.oldest_waiting or "",
            f"{flow.gone:,}" if flow.gone else "none",
        ]
        for flow in found.flows
        if flow.paused or flow.parked or flow.gone
    ]
    return [Table("paused flows", columns, rows)] if rows else []


def _counts(found: Overview) -> Table:
    rows = [["", f"events skipped: {reason}", f"{count:,}"] for reason, count in sorted(found.events_skipped.items())]
    rows += [["", f"dead letters: {reason}", f"{count:,}"] for reason, count in sorted(found.dead_letters.items())]
    for flow in _shown_flows(found):
        rows += [[flow.id, f"records by cause: {kind}", f"{count:,}"] for kind, count in sorted(flow.decided.items())]
        rows += [[flow.id, f"skipped: {reason}", f"{count:,}"] for reason, count in sorted(flow.skipped.items())]
        rows += [
            [flow.id, f"not in order in the stream: {fault}", f"{count:,}"]
            for fault, count in sorted(flow.out_of_order.items())
        ]
    return Table("counts since the workers started", ["flow", "what", "count"], rows)


def _dead_letters(found: Overview) -> Table:
    return counts_table(
        f"on the topic dead-letters{'' if found.dead_letter_counts.complete else ', at least'}",
        found.dead_letter_counts,
    )
