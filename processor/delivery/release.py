"""The release of partitions of `exports`, so that their next owner sends as little again as possible.

Lanes are not equally long, so records are finished above others that still wait; the next owner reads from the lowest
that waits.

    park what waits for an unavailable destination ─► send what lies below a finished record: it closes the gaps ─►
    abandon the rest ─► wait for calls and dead letters in flight ─► write what is known of parked flows
"""

import asyncio
from collections.abc import Collection, Iterable

import structlog

from processor.delivery.lanes.backlog import Backlog
from processor.delivery.lanes.partitions import OpenPartitions
from processor.delivery.lanes.progress import PartitionProgress, Progress
from processor.delivery.lanes.routing import routes_of
from processor.delivery.lanes.senders import Senders
from processor.delivery.limits import DeliveryLimits
from processor.delivery.parking.parked_flow import ParkedFlow
from processor.delivery.parking.parking import Parking
from processor.delivery.sink_state import SinkState

log = structlog.get_logger(__name__)


class Release:
    """Gives partitions back while the sink runs, stops, or has ended."""

    def __init__(
        self,
        partitions: OpenPartitions,
        backlog: Backlog,
        senders: Senders,
        parking: Parking,
        limits: DeliveryLimits,
        state: SinkState,
    ) -> None:
        self._partitions, self._backlog, self._senders = partitions, backlog, senders
        self._parking, self._limits, self._state = parking, limits, state

    async def run(self, partitions: Iterable[int]) -> None:
        """Release the partitions as `Sink.release` says."""
        closing = self._partitions.close(partitions)
        self._parking.park_now(closing)
        await self._close_gaps(closing)
        parked = self._parking.flows.of_partitions(closing)
        progresses: set[Progress] = {*closing, *parked}
        for progress in progresses:
            progress.revoke()
        self.forget_abandoned()
        if not await self._state.wait_at_most(
            self._limits.release_seconds, lambda: self._state.has_ended or not self._carries(progresses)
        ):
            log.warning("release_timed_out", partitions=sorted(live.partition for live in closing))
        await self._close(parked)
        self._partitions.forget(closing)

    def forget_abandoned(self) -> None:
        """Forget what is abandoned, and the lanes that this emptied."""
        self._backlog.forget_abandoned()
        for route in routes_of(self._backlog.flows.values()):
            route.drop_emptied()

    async def _close_gaps(self, closing: Collection[PartitionProgress]) -> None:
        in_flight = self._backlog.in_flight()
        for live in closing:
            live.close_gaps(waiting.export.record.offset for waiting in in_flight if waiting.progress is live)
        self.forget_abandoned()
        if not await self._state.wait_at_most(
            self._limits.close_gaps_seconds,
            lambda: self._state.is_stopping or not any(live.has_gaps for live in closing),
        ):
            log.warning("gaps_not_closed", partitions=sorted(live.partition for live in closing if live.has_gaps))

    async def _close(self, parked: Collection[ParkedFlow]) -> None:
        try:
            async with asyncio.timeout(self._limits.release_seconds):
                await self._parking.close(parked)
        except (
            Exception
        ) as error:  # whatever it is: the rows of before hold, and only send again what these would have told
            log.warning("parked_rows_not_written", error=repr(error))

    def _carries(self, progresses: Collection[Progress]) -> bool:
        return self._backlog.letters.is_writing(progresses) or self._senders.carry(progresses)
