"""Reports of a worker, every few seconds, on the topic `worker-status` (schemas.worker_status)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final, Literal, Protocol

import structlog

from processor.core.counts import FlowCounts
from processor.delivery.sink import Sink
from processor.delivery.status import FlowDelivery
from processor.foundation.tasks import end_task, lasting_task
from processor.kafka.producers import NotWritten, SharedProducer
from processor.pipeline.broker_clock import BrokerClock
from processor.pipeline.pipeline import Pipeline
from processor.worker.hot_path import FORM
from processor.worker.waits import Wait, Waits
from schemas.partitioner import Partitioner
from schemas.times import format_time
from schemas.wire.worker_status import encode_worker_status
from schemas.worker_status import REPORT_SECONDS, FlowStatus, PartitionStatus, WorkerStatus, flow_sum
from state.restore import RestoreProgress

MOST_FLOWS: Final = 500
"""Of one report, which must fit into a record; at most 100 are in force at once, and flows that are gone are forgotten.
"""
State = Literal["restoring", "running", "stopped"]
_EFFECT: Final = "no membership ends until a report is acknowledged: the broker's time is not known"
_log = structlog.get_logger(__name__)


class Watched(Protocol):
    """A worker as far as it is reported."""

    pipeline: Pipeline
    sink: Sink
    has_taken_over: bool
    waits: Waits

    @property
    def name(self) -> str:
        """The name of the worker."""
        ...

    @property
    def partitioner(self) -> Partitioner:
        """The partitioner that the worker was told of (I12)."""
        ...

    @property
    def restoring(self) -> Mapping[int, RestoreProgress]:
        """The progress of each partition's restore, at present or at last."""
        ...

    @property
    def stored(self) -> dict[int, tuple[int, int]]:
        """(profiles, bytes) by partition."""
        ...

    def has_flow(self, flow_id: str) -> bool:
        """Return whether the catalog names a flow."""
        ...


class StatusReports:
    """Sends the worker's status again and again, from `start` to `close`, which sends a last report.

    A report that cannot be sent is left out: the next one says it all.
    """

    def __init__(
        self,
        worker: Watched,
        producer: SharedProducer,
        topic: str,
        on_failure: Callable[[BaseException], None],
        broker_clock: BrokerClock,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._on_failure, self._broker_clock = on_failure, broker_clock
        self._worker, self._producer, self._topic, self._wall_clock = worker, producer, topic, wall_clock
        self._started_at = format_time(int(wall_clock()))
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._clock_wait: Wait | None = None

    def start(self) -> None:
        """Begin to report; call once. Until the first report is acknowledged, the broker's time is waited for (F5)."""
        self._clock_wait = self._worker.waits.begin(
            f"the broker's time, from a report on {self._topic}: no membership ends without it"
        )
        self._task = lasting_task(self._run(), self._on_failure)

    def report_now(self) -> None:
        """Something changed that nobody should wait for."""
        self._wanted.set()

    async def close(self) -> None:
        """Send a last report, and end."""
        if self._task is not None:
            await end_task(self._task)
            self._end_clock_wait()
            await self._send("stopped")

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            await self._send("running" if self._worker.has_taken_over else "restoring")
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_SECONDS):
                    await self._wanted.wait()

    async def _send(self, state: State) -> None:
        now = self._wall_clock()
        self._worker.pipeline.forget_flows(self._is_gone)
        report = worker_status(self._worker, state, self._started_at, now)
        try:
            record = encode_worker_status(report)
            async with asyncio.timeout(REPORT_SECONDS):
                stamped_at = await self._producer.write_stamped(self._topic, record)
            self._broker_clock.note_report(now, stamped_at)
            self._end_clock_wait()
        except (NotWritten, TimeoutError) as error:
            effect = {} if self._broker_clock.is_known else {"effect": _EFFECT}
            _log.warning("status_not_sent", topic=self._topic, error=repr(error), **effect)

    def _end_clock_wait(self) -> None:
        if self._clock_wait is not None:
            self._worker.waits.end(self._clock_wait)
            self._clock_wait = None

    def _is_gone(self, flow_id: str) -> bool:
        return not self._worker.has_flow(flow_id) and not self._worker.sink.has_flow(flow_id)


def worker_status(worker: Watched, state: State, started_at: str, now: float) -> WorkerStatus:
    """The worker as it stands; `now` in seconds since 1970."""
    counts, delivered = worker.pipeline.counts(), worker.sink.status()
    flow_ids = sorted({*counts.flows, *delivered}, key=lambda flow_id: (not worker.has_flow(flow_id), flow_id))
    flows = {
        flow_id: _flow(counts.flows.get(flow_id, FlowCounts()), delivered.get(flow_id), now) for flow_id in flow_ids
    }
    left_out = [flows.pop(flow_id) for flow_id in flow_ids[MOST_FLOWS:]]
    return WorkerStatus.model_validate(
        {
            "name": worker.name,
            "state": state,
            "version": version("profile-exporter"),
            "hotPath": FORM,
            "startedAt": started_at,
            "time": format_time(int(now)),
            "events": counts.applied,
            "eventsSkipped": _named(counts.skipped_events),
            "deadLetters": _named(counts.dead_letters),
            "partitioner": worker.partitioner,
            "misplaced": counts.misplaced,
            "misplacedFitting": counts.misplaced_fitting,
            "waiting": tuple(
                {"what": what, "since": format_time(int(now - seconds))}
                for what, seconds in worker.waits.long_waits().items()
            ),
            "partitions": _partitions(worker),
            "flows": flows,
            "deletedFlows": flow_sum([_flow(counts.forgotten, worker.sink.forgotten(), now), *left_out]),
            "leftOut": len(left_out),
        }
    )


def _partitions(worker: Watched) -> tuple[PartitionStatus, ...]:
    committed, misplaced, restoring = worker.pipeline.committed_offsets, worker.pipeline.misplaced, worker.restoring
    return tuple(
        PartitionStatus.model_validate(
            {
                "partition": partition,
                "nextOffset": committed.get(partition, 0),
                "rows": rows,
                "bytes": size,
                "misplaced": misplaced.get(partition, 0),
                "restored": restoring[partition].records if partition in restoring else 0,
                "toRestore": restoring[partition].left if partition in restoring else 0,
            }
        )
        for partition, (rows, size) in sorted(worker.stored.items())
    )


def _flow(counts: FlowCounts, delivery: FlowDelivery | None, now: float) -> FlowStatus:
    decided = {"decided": dict(counts.causes), "exported": counts.exported, "skipped": _named(counts.skipped)}
    if delivery is None:
        return FlowStatus.model_validate(decided)
    return FlowStatus.model_validate(
        {
            **decided,
            "delivered": delivery.delivered,
            "deliveredBytes": delivery.delivered_bytes,
            "retried": delivery.retried,
            "throttled": delivery.throttled,
            "deadLettered": _named(delivery.dead_lettered),
            "outOfOrder": _named(delivery.out_of_order),
            "waiting": delivery.waiting,
            "parked": delivery.parked,
            "paused": None if delivery.paused is None else str(delivery.paused),
            "pausedSince": _time(delivery.paused_since),
            "nextProbe": _time(delivery.next_probe),
            "oldestWaiting": _time(
                None if delivery.oldest_waiting_seconds is None else now - delivery.oldest_waiting_seconds
            ),
            "gone": delivery.gone,
        }
    )


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_time(int(seconds))


def _named(counts: Mapping[Any, int]) -> dict[str, int]:
    """Counts by a reason's text."""
    return {str(reason): count for reason, count in counts.items()}
