"""Services beside a worker's partitions: the shared producer, reports, the catalog, delivery, the watch on waits.

    start ─► the producer connects ─► reports ─► the catalog is read ─► delivery and its feed     once, and whole

A failure of one of them ends the worker.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from processor.catalog.follower import CatalogFollower
from processor.delivery.sink import Sink
from processor.foundation.settings import Settings
from processor.foundation.tasks import (
    CancelledByNobody,
    EndedByItself,
    end_task,
    is_being_cancelled,
    lasting_task,
    watched_task,
)
from processor.kafka.producers import SharedProducer
from processor.worker.exports_feed import ExportsFeed
from processor.worker.group_waits import GroupWaits
from processor.worker.status_reports import StatusReports
from processor.worker.view import WorkerView
from processor.worker.waits import CATALOG, LOOK_SECONDS

_log = structlog.get_logger(__name__)


class HeldLease(Protocol):
    """Until when the group counts on this worker."""

    def holds(self) -> bool:
        """Return whether it still does, for certain."""
        ...


class Services:
    """The services of one worker, from `start` to `stop_delivery` and `stop`."""

    def __init__(  # noqa: PLR0913  # every service, by its name
        self,
        *,
        settings: Settings,
        producer: SharedProducer,
        reports: StatusReports,
        catalog: CatalogFollower,
        sink: Sink,
        feed: ExportsFeed,
        view: WorkerView,
        group_waits: GroupWaits,
        lease: HeldLease,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._settings, self._producer, self._reports, self._catalog = settings, producer, reports, catalog
        self._sink, self._feed, self._view, self._waits = sink, feed, view, view.waits
        self._group_waits, self._lease, self._on_failure = group_waits, lease, on_failure
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._delivery: asyncio.Task[None] | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Start them, and wait for the group to assign partitions; once or more."""
        if self._starting is None:
            self._group_waits.begin_assignment()
            self._watching = lasting_task(self._report_waits(), self._on_failure)
            self._starting = watched_task(self._start(), self._on_failure)

    async def until_started(self) -> None:
        """Return when all are started: whole, also where the first takeover is cancelled meanwhile."""
        assert self._starting is not None
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            raise CancelledByNobody(repr(self._starting.get_coro())) from None

    async def _start(self) -> None:
        if self._settings.accepted.every:
            _log.warning(
                "every_gap_is_accepted", remedy="set ACCEPT_GAPS to the gaps that a stop names, and unset it afterwards"
            )
        with self._waits.on("the broker, to connect the producer"):
            await self._producer.start()
        self._reports.start()
        with self._waits.on(CATALOG):
            await self._catalog.start()
        self._delivery = watched_task(self._deliver(), self._on_failure)
        self._feed.start()

    async def _deliver(self) -> None:
        """Deliver until the worker stops."""
        await self._sink.run()
        if not self._is_stopping:
            raise EndedByItself("delivery")

    async def _report_waits(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            owns_some = self._view.has_taken_over and bool(self._view.pipeline.committed_offsets)
            self._group_waits.note_lease(is_missed=owns_some and not self._lease.holds())
            self._waits.report()

    def begin_to_stop(self) -> None:
        """Take the end of delivery for what was asked for, from now on."""
        self._is_stopping = True
        self._group_waits.end_assignment()

    async def stop_starting(self) -> None:
        """Start nothing more, where not all are started."""
        if self._starting is not None and not self._starting.done():
            await end_task(self._starting)

    async def stop_delivery(self, partitions: Iterable[int]) -> None:
        """Stop delivery, which releases all partitions, and the catalog."""
        await self._feed.close()
        if self._delivery is not None:
            await self._sink.release(partitions)
            self._sink.stop()
            await asyncio.wait({self._delivery})
        await self._catalog.close()

    async def stop_reports(self) -> None:
        """Send a last report, where there were any."""
        if self._starting is not None:
            await self._reports.close()

    async def stop(self) -> None:
        """Stop the producer, once nobody writes any more, and the saying of waits."""
        if self._starting is not None:
            await self._producer.stop()
        if self._watching is not None:
            await end_task(self._watching)
