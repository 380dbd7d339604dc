"""The two Faust agents: they hand batches on, and decide nothing.

A batch is acknowledged by the worker when its output is durable, not when the agent is done with it (`noack`).
"""

from collections.abc import Callable
from typing import Any, cast

import faust

from schemas.kafka import Batch


def add_agents(app: faust.App, profile_events: faust.TopicT, exports: faust.TopicT, owner: Callable[[], Any]) -> None:
    """Declare `process_profile_events` and `deliver_exports`; `owner` gives the worker's Ownership, once it runs."""

    @app.agent(profile_events, name="process_profile_events")
    async def process_profile_events(stream: Any) -> None:
        async for event in stream.noack().events():
            owner().process(cast("Batch", event.value))

    @app.agent(exports, name="deliver_exports")
    async def deliver_exports(stream: Any) -> None:
        async for event in stream.noack().events():
            owner().deliver(cast("Batch", event.value))
