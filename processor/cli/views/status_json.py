"""Write the JSON object of `status --json`.

Counts are as in processor/cli/views/status_report.py; null: not known, as nobody owns the partition.

    {"time", "appId", "bootstrapServers", "problems": [text],
     "workers":    [{"name", "state", "silentSeconds", "version", "hotPath": compiled or interpreted, "startedAt",
                     "time", "events", "partitions": [number],
                     "waiting": [{"what", "since": time}]}],  (for longer than 30 s; none of a stopped or silent one)
     "partitions": [{"partition", "owner", "nextOffset", "rows", "bytes", "restored", "toRestore", "misplaced",
                     (null: nobody owns it)
                     "profileEvents": {"committed", "start", "end", "lag"}, "exports": {the same}}],
     "lag":        {"profileEvents", "exports"}, "rows": n,
     "events": n, "eventsSkipped": {reason: n}, "deadLetters": {reason: n}, (made by these workers since they started)
     "misplaced": n, "misplacedFitting": {partitioner: n},  (events elsewhere than their keys belong, and how many of
                                                            them it puts there)
     "deadLetterTopic": {"complete": whether it was read to its end, "letters": n, "redriven": n,
                         "counts": [{"flow" (null: profile events), "reason", "letters", "redriven"}]},
     "flows":      [{"id", "name", "state", "destination": {"stream", "region", "endpointUrl"},  (null: no longer there)
                     "decided": {kind of cause: n}, "exported", "skipped": {reason: n}, "delivered", "deliveredBytes",
                     "retried", "throttled", "deadLettered": {reason: n}, "outOfOrder": {fault: n}, "waiting",
                     "parked" (of those that wait: not in memory, as last counted), "oldestWaiting": time,
                     "paused": [reason], "pausedSince": time, "nextProbe": time, (null: it is not paused)
                     "gone": offsets that the log lost before the flow's records there were read}],
     "deletedFlows": {the counts of `flows`, summed over those that are gone and that workers report no more}}

`state` of a worker is restoring, running or stopped; one that has not reported for 15 s has `silentSeconds` over 0.
"""

from datetime import datetime
from typing import Any, Final

from processor.cli.views.flow_totals import FlowTotals, ReportingWorker
from processor.cli.views.status_report import Overview, Partition
from processor.foundation.settings import Settings
from schemas.times import format_time

_OF_ONE_FLOW: Final = frozenset(
    {"id", "name", "state", "destination", "oldestWaiting", "paused", "pausedSince", "nextProbe"}
)


def status_object(found: Overview, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the object of `status --json`, ready for orjson."""
    return {
        "time": format_time(int(now.timestamp())),
        "appId": settings.app_id,
        "bootstrapServers": settings.kafka_bootstrap_servers,
        "problems": found.problems,
        "workers": [_worker_json(worker) for worker in found.workers],
        "partitions": [_partition_json(partition) for partition in found.partitions],
        "lag": {"profileEvents": found.lag_of_events, "exports": found.lag_of_exports},
        "rows": found.rows,
        "events": found.events,
        "eventsSkipped": found.events_skipped,
        "deadLetters": found.dead_letters,
        "misplaced": found.misplaced,
        "misplacedFitting": found.misplaced_fitting,
        "deadLetterTopic": {
            "complete": found.dead_letter_counts.complete,
            "letters": found.dead_letter_counts.letters.total(),
            "redriven": found.dead_letter_counts.redriven.total(),
            "counts": [each._asdict() for each in found.dead_letter_counts],
        },
        "flows": [_flow_json(flow) for flow in found.flows],
        "deletedFlows": {
            name: value for name, value in _flow_json(found.deleted_flows).items() if name not in _OF_ONE_FLOW
        },
    }


def _worker_json(worker: ReportingWorker) -> dict[str, Any]:
    reported = worker.status.model_dump(
        by_alias=True, include={"name", "state", "version", "hot_path", "started_at", "time", "events"}
    )
    waiting = [wait.model_dump(by_alias=True) for wait in worker.waiting]
    return {
        **reported,
        "silentSeconds": worker.silent_seconds,
        "partitions": [owned.partition for owned in worker.status.partitions],
        "waiting": waiting,
    }


def _partition_json(partition: Partition) -> dict[str, Any]:
    owned = partition.owned
    return {
        "partition": partition.number,
        "owner": partition.owner,
        "nextOffset": owned and owned.next_offset,
        "rows": owned and owned.rows,
        "bytes": owned and owned.bytes,
        "restored": owned and owned.restored,
        "toRestore": owned and owned.to_restore,
        "misplaced": owned and owned.misplaced,
        "profileEvents": partition.profile_events,
        "exports": partition.exports,
    }


def _flow_json(total: FlowTotals) -> dict[str, Any]:
    flow = total.flow
    destination = flow and flow.destination.model_dump(
        by_alias=True, include={"stream", "region", "stream_arn", "endpoint_url"}
    )
    return {
        "id": total.id,
        "name": flow and flow.name,
        "state": flow and flow.state,
        "destination": destination,
        "decided": total.decided,
        "exported": total.exported,
        "skipped": total.skipped,
        "delivered": total.delivered,
        "deliveredBytes": total.delivered_bytes,
        "retried": total.retried,
        "throttled": total.throttled,
        "deadLettered": total.dead_lettered,
        "outOfOrder": total.out_of_order,
        "waiting": total.waiting,
        "parked": total.parked,
        "oldestWaiting": total.oldest_waiting,
        "paused": total.paused,
        "pausedSince": total.paused_since,
        "nextProbe": total.next_probe,
        "gone": total.gone,
    }
