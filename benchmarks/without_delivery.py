"""The worker without delivery, as a Faust app: faust -A benchmarks.without_delivery worker

It is `processor.app` with another sink, for comparison with stream processors that end at a topic.

    BENCHMARK_EXPORTS=unread         the sink is full from the beginning, so `exports` is not read: the peers' job
                                     (default)
    BENCHMARK_EXPORTS=acknowledged   `exports` is read, and every record counts as delivered at once
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from processor.worker.faust_worker import runtime


class NoSink:
    """In the place of `processor.delivery.sink.Sink`."""

    def __init__(self, on_progress: Callable[[int, int], None], takes: bool) -> None:
        self._on_progress, self._takes = on_progress, takes
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        await self._stopped.wait()

    async def deliver(self, partition: int, records: Sequence[Any], position: int) -> None:  # noqa: ARG002  # the sink's signature
        """Acknowledge everything, or take nothing."""
        if not self._takes:
            await self._stopped.wait()
        self._on_progress(partition, position)

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


def _open_sink(
    _settings: object,
    _catalog: object,
    _producer: object,
    _history: object,
    on_progress: Callable[[int, int], None],
    _may_send: object,
) -> NoSink:
    return NoSink(on_progress, os.environ.get("BENCHMARK_EXPORTS", "unread") == "acknowledged")


runtime.open_sink = _open_sink  # type: ignore[assignment]

from processor.app import app  # noqa: E402  # after the sink was exchanged

__all__ = ["app"]
