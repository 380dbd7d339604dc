"""The benchmark's job in Quix Streams: python job.py BROKER GROUP EVENTS EXPORTS FOLDER GUARANTEE

Runs in its own venv (see __init__.py), as a script; imports nothing of ours but `benchmarks.peers.rules`.
"""

import sys
from typing import Any, Literal, cast

from quixstreams import Application, State

from benchmarks.peers.rules import apply

COMMIT_SECONDS = 1.0
COMPRESSION = "lz4"


def process(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    """One event; the record that leaves."""
    profile = state.get("profile") or {}
    record = apply(profile, event)
    state.set("profile", profile)
    return record


def main(broker: str, group: str, events: str, exports: str, folder: str, guarantee: str) -> None:
    """Run the job until it is stopped."""
    app = Application(
        broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_SECONDS,
        state_dir=folder,
        processing_guarantee=cast("Literal['at-least-once', 'exactly-once']", guarantee),
        producer_extra_config={
            "compression.type": COMPRESSION,
            "linger.ms": 50,
            "queue.buffering.max.messages": 500_000,
        },
        loglevel="WARNING",
    )
    records = app.dataframe(app.topic(events, value_deserializer="json")).apply(process, stateful=True)
    records.filter(lambda record: record is not None).to_topic(app.topic(exports, value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
