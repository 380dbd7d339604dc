"""The report of a worker about itself on the topic `worker-status`, under its name: counts, and where it stands.

The counts are this process' own and start at 0 with it; `profile-exporter status` shows them beside what Kafka knows.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import Field

from schemas.model import Model, Time
from schemas.partitioner import Partitioner

REPORT_SECONDS: Final = 5.0
"""How often a worker reports."""

HotPathForm = Literal["compiled", "interpreted"]
"""The form in which the modules that events pass through run: turned into C, or as Python."""


class PartitionStatus(Model):
    """One partition of profile events that the worker owns."""

    partition: int
    next_offset: int  # the first offset of profile-events that is not in the state: the source position
    rows: int  # profiles in the local store
    bytes: int = 0  # of the local store: files and write buffers
    restored: int  # changelog records read by the recovery of this takeover
    misplaced: int = 0  # events read that belong in another partition (I12), since the takeover
    to_restore: int  # changelog offsets that it has still to read, compacted ones counted; 0: recovery is done


class FlowStatus(Model):
    """The counts of one flow in this worker: of records, not of calls."""

    decided: dict[str, int] = Field(
        default_factory=dict
    )  # records on `exports` by kind of cause; one counts once a kind
    exported: int = 0  # records on `exports`
    skipped: dict[str, int] = Field(default_factory=dict)  # decisions to send nothing, by SkipReason
    delivered: int = 0  # acknowledged by Kinesis
    delivered_bytes: int = 0
    retried: int = 0  # records sent again
    throttled: int = 0  # refusals for throughput
    dead_lettered: dict[str, int] = Field(default_factory=dict)  # in delivery, by DeadLetterReason
    out_of_order: dict[str, int] = Field(
        default_factory=dict
    )  # records whose stream did not keep their lane's order, by OrderFault
    waiting: int = 0  # passed on `exports`, not yet delivered or dead-lettered
    parked: int = 0  # of those, the ones that are not in memory, as last counted
    paused: str | None = None  # why nothing is delivered now; None: it is
    paused_since: Time | None = None
    next_probe: Time | None = None
    oldest_waiting: Time | None = None  # Kafka's time of the oldest waiting record
    gone: int = 0  # offsets of `exports` that the log lost before the flow's records there were read


def flow_sum(statuses: Iterable[FlowStatus]) -> FlowStatus:
    """Return all counts of flows together; of no single flow's pause or oldest record."""
    total: dict[str, Any] = {}
    for status in statuses:
        for name, value in status.model_dump(by_alias=True, exclude_none=True).items():
            if isinstance(value, dict):
                total[name] = dict(Counter(total.get(name, {})) + Counter(value))
            elif isinstance(value, int):
                total[name] = total.get(name, 0) + value
    return FlowStatus.model_validate(total)


class WaitStatus(Model):
    """Something that the worker waits for, in words, for longer than 30 s."""

    what: str
    since: Time


class WorkerStatus(Model):
    """One worker. `name` is stable over restarts in the same data directory."""

    name: str
    state: Literal["restoring", "running", "stopped"]
    version: str
    hot_path: HotPathForm | None = None  # None: a worker of before did not tell
    started_at: Time
    time: Time
    events: int = 0  # profile events applied
    events_skipped: dict[str, int] = Field(default_factory=dict)  # by EventSkip
    dead_letters: dict[str, int] = Field(default_factory=dict)  # unusable events, by DeadLetterReason
    partitioner: Partitioner | None = None  # where keys belong, as the worker was told
    misplaced: int = 0  # events read from another partition than that of their key (I12)
    misplaced_fitting: dict[str, int] = Field(
        default_factory=dict
    )  # of them, those that another partitioner puts there, by its name
    waiting: tuple[WaitStatus, ...] = ()
    partitions: tuple[PartitionStatus, ...] = ()
    flows: dict[str, FlowStatus] = Field(default_factory=dict)
    deleted_flows: FlowStatus = (
        FlowStatus()
    )  # all together: flows that are gone, and those for which `flows` has no room
    left_out: int = 0  # how many flows `flows` has no room for
