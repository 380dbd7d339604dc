"""Reports of a worker while it runs and when it stops."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from structlog.testing import capture_logs

from processor.delivery.sink import Sink
from processor.kafka.producers import NotWritten
from processor.pipeline.broker_clock import BrokerClock
from processor.pipeline.pipeline import Pipeline
from processor.worker.hot_path import FORM
from processor.worker.status_reports import StatusReports
from processor.worker.waits import Waits
from schemas.partitioner import Partitioner
from schemas.worker_status import WorkerStatus
from tests.delivery.fakes import World, export_record
from tests.kit.virtual_time import in_virtual_time

SECONDS: Final = 120.0


class Producer:
    """Keeps the reports that were written."""

    def __init__(self) -> None:
        self.reports: list[WorkerStatus] = []
        self.sizes: list[int] = []

    async def write_stamped(self, topic: str, record: Any) -> float | None:
        self.sizes.append(len(record.value))
        self.reports.append(WorkerStatus.model_validate_json(record.value))
        return None

    @property
    def states(self) -> list[str]:
        return [report.state for report in self.reports]


class RefusedProducer(Producer):
    """As where nobody granted the right to write the topic, until somebody does."""

    is_refused = True

    async def write_stamped(self, topic: str, record: Any) -> float | None:
        if self.is_refused:
            raise NotWritten(topic, "TopicAuthorizationFailedError")
        return await super().write_stamped(topic, record)


class Runtime:
    """A worker that owns nothing; `flows` are in the catalog."""

    name = "worker"
    partitioner = Partitioner.MURMUR2
    has_taken_over = False
    restoring: Mapping[int, Any] = MappingProxyType({})
    stored: Mapping[int, tuple[int, int]] = MappingProxyType({})

    def __init__(self, sink: Sink, *flows: str, waits: Waits | None = None) -> None:
        self.waits, self.sink, self.flows = waits or Waits(), sink, flows
        self.pipeline: Any = Pipeline(SimpleNamespace(), lambda _: None)

    def has_flow(self, flow_id: str) -> bool:
        return flow_id in self.flows


async def reported(runtime: Runtime, seconds: float) -> Producer:
    """What the worker has said after so many seconds."""
    producer: Any = Producer()
    told: Any = runtime
    reports = StatusReports(told, producer, "worker-status", lambda _: None, BrokerClock())
    reports.start()
    await asyncio.sleep(seconds)
    await reports.close()
    return producer  # type: ignore[no-any-return]


def exports_of(flows: Sequence[str]) -> list[Any]:
    return [export_record(offset, flow=flow) for offset, flow in enumerate(flows)]


@in_virtual_time
async def test_flows_that_are_gone_are_told_of_together_and_the_sums_stay() -> None:
    """A report grew with each flow that ever was, until it was too large for a record."""
    world = World(unknown_flow_seconds=5.0)
    gone = [f"gone-{number:04}" for number in range(800)]
    async with world.running():
        await world.deliver_all(*exports_of(["vip", *gone]))

        first = await reported(Runtime(world.sink, "vip"), 1.0)
        last = await reported(Runtime(world.sink, "vip"), 700.0)

    early, late = first.reports[0], last.reports[-1]
    assert early.hot_path == FORM
    assert (len(early.flows), early.left_out, early.deleted_flows.dead_lettered) == (500, 301, {"flow_deleted": 301})
    assert max(first.sizes) < 500_000
    assert (list(late.flows), late.left_out, late.deleted_flows.dead_lettered) == (["vip"], 0, {"flow_deleted": 800})
    assert late.flows["vip"].delivered == early.flows["vip"].delivered == 1


async def test_a_report_that_is_wanted_while_reports_end_does_not_keep_them_going() -> None:
    """`asyncio.wait_for` swallowed the request to end where it came with the wish for a report."""
    producer: Any = Producer()
    runtime: Any = Runtime(World().sink)
    reports = StatusReports(runtime, producer, "worker-status", lambda _: None, BrokerClock())
    reports.start()
    async with asyncio.timeout(SECONDS):
        while not producer.reports:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

        reports.report_now()
        await reports.close()

    assert producer.states == ["restoring", "stopped"]


async def test_f5_a_worker_whose_reports_are_refused_says_that_no_membership_ends() -> None:
    """In the warning at once, and as something that is waited for after 30 s; not any more once a report is
    acknowledged.
    """
    now = [0.0]
    runtime: Any = Runtime(World().sink, waits=Waits(lambda: now[0]))
    producer: Any = RefusedProducer()
    reports = StatusReports(runtime, producer, "worker-status", lambda _: None, BrokerClock())
    with capture_logs() as said:
        reports.start()
        async with asyncio.timeout(SECONDS):
            while not said:
                await asyncio.sleep(0)
        now[0] = 31.0
        (waited_for,) = runtime.waits.long_waits()

        producer.is_refused = False
        async with asyncio.timeout(SECONDS):
            while not producer.reports:
                reports.report_now()
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        still_waited_for = runtime.waits.long_waits()
        await reports.close()

    assert said[0]["event"] == "status_not_sent"
    assert said[0]["effect"] == "no membership ends until a report is acknowledged: the broker's time is not known"
    assert waited_for == "the broker's time, from a report on worker-status: no membership ends without it"
    assert not still_waited_for
