"""What a worker says of itself while it runs and when it stops."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from processor.pipeline.counts import Counts
from processor.status_reports import StatusReports
from processor.waits import Waits
from schemas.worker_status import WorkerStatus

SECONDS: Final = 60.0


class Producer:
    """Keeps the reports that were written."""

    def __init__(self) -> None:
        self.reports: list[WorkerStatus] = []

    async def write(self, topic: str, records: Sequence[tuple[int | None, Any]]) -> None:
        self.reports += [WorkerStatus.model_validate_json(record.value) for _, record in records]

    @property
    def states(self) -> list[str]:
        return [report.state for report in self.reports]


class Runtime:
    """A worker that owns nothing."""

    name = "worker"
    has_taken_over = False
    waits = Waits()
    pipeline = SimpleNamespace(counts=Counts, committed_offsets={})
    sink = SimpleNamespace(status=dict)
    restoring: Mapping[int, Any] = MappingProxyType({})
    stored: Mapping[int, tuple[int, int]] = MappingProxyType({})


async def test_a_report_that_is_wanted_while_reports_end_does_not_keep_them_going() -> None:
    """`asyncio.wait_for` swallowed the request to end where it came with the wish for a report."""
    producer: Any = Producer()
    runtime: Any = Runtime()
    reports = StatusReports(runtime, producer, "worker-status", lambda _: None)
    reports.start()
    async with asyncio.timeout(SECONDS):
        while not producer.reports:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

        reports.report_now()
        await reports.close()

    assert producer.states == ["restoring", "stopped"]
