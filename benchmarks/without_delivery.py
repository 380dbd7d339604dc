"""Run the worker without delivery, as a Faust app: faust -A benchmarks.without_delivery worker.

It is `processor.app` with another sink, for comparison with stream processors that end at a topic.

    BENCHMARK_EXPORTS=unread         the sink is full from the beginning, so `exports` is not read: the peers' job
                                     (default)
    BENCHMARK_EXPORTS=acknowledged   `exports` is read, and every record counts as delivered at once
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from processor.foundation.stop_signals import end_at_once, runs_faust_worker

if runs_faust_worker():
    end_at_once()

from processor.worker.build import build
from processor.worker.faust_app import declare_app


class NoSink:
    """A sink that stands in the place of `processor.delivery.sink.Sink`."""

    def __init__(self, *, takes: bool, on_delivered: Callable[[int, int], None], **_ports: Any) -> None:
        self._on_delivered, self._takes = on_delivered, takes
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        await self._stopped.wait()

    async def deliver(self, partition: int, records: Sequence[Any], position: int) -> None:  # noqa: ARG002  # the sink's signature
        """Acknowledge everything, or take nothing."""
        if not self._takes:
            await self._stopped.wait()
        self._on_delivered(partition, position)

    def has(self, partition: int) -> bool:  # noqa: ARG002  # the sink's signature
        """Nobody is parked anywhere."""
        return True

    def pause_of(self, flow_id: str) -> None:  # the sink's signature
        """No flow is ever paused."""

    def is_behind(self, flow_id: str) -> bool:  # noqa: ARG002  # the sink's signature
        """Nobody is parked anywhere."""
        return False

    async def release(self, partitions: Iterable[int]) -> None:
        """Nothing is under way."""

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    def status(self) -> Mapping[str, Any]:
        """No flow is delivered."""
        return {}

    def forgotten(self) -> None:
        """No flow was delivered."""

    def has_flow(self, flow_id: str) -> bool:  # noqa: ARG002  # the sink's signature
        """No flow is delivered."""
        return False


TAKES: Final = os.environ.get("BENCHMARK_EXPORTS", "unread") == "acknowledged"

app = declare_app(partial(build, sink=partial(NoSink, takes=TAKES)))
