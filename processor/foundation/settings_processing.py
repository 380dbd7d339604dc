"""The settings of an installation and of its workers: names, partitions, state, memory, and what a start skips."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from processor.foundation.gaps import GAPS_PATTERN, AcceptedGaps, accepted_gaps, normal_acceptance
from processor.foundation.settings_environment import Count, FromEnvironment
from processor.foundation.sizes import GIB, KIB, MIB, TIB
from schemas.partitioner import Partitioner

_TOPIC_PREFIX: Final = r"^[A-Za-z0-9._-]{0,100}$"
_APP_ID: Final = r"^[A-Za-z0-9._-]{1,100}$"
_SKIPS: Final = r"^([0-9]+:[0-9]+(\s*,\s*[0-9]+:[0-9]+)*)?$"
_COUNT: Final = r"[1-9][0-9]{0,3}"

AUTO: Final = "auto"
Processes = int | Literal["auto"]
"""How many worker processes are wanted; `auto`: one a core."""


class ProcessingGuarantee(StrEnum):
    """The guarantee between a profile's state and its exports (docs/architecture.md, "The durability order")."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


def parse_processes(written: object) -> Processes:
    """Return how many processes are meant; raise ValueError, which says what may stand there."""
    text = str(written).strip()
    if text == AUTO:
        return "auto"
    if not re.fullmatch(_COUNT, text):
        raise ValueError("not a number from 1 to 9999, nor auto")
    return int(text)


class TopicNames(NamedTuple):
    """The names of our topics, prefix included."""

    profile_events: str
    exports: str
    flows: str
    audiences: str
    dead_letters: str
    redriven: str
    worker_status: str
    delivery_positions: str
    connections: str
    audit_events: str
    job_progress: str
    changelog: str


class WorkerSettings(FromEnvironment):
    """The settings of what an installation is called, and how its workers process."""

    app_id: Annotated[str, Field(pattern=_APP_ID)] = Field(
        default="profile-exporter",
        description="Name of this installation, and of its consumer group: letters, digits, . _ -",
    )
    topic_prefix: Annotated[str, Field(pattern=_TOPIC_PREFIX)] = Field(
        default="", description="Stands before all topics' names: letters, digits, . _ -"
    )
    partitions: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=8,
        description=(
            "Partitions of profile-events, exports, dead-letters, delivery-positions, job-progress and changelog."
        ),
    )
    partitioner: Partitioner = Field(
        default=Partitioner.MURMUR2,
        description=(
            "Where producers put the events of a key: murmur2 (Java's default), crc32 (librdkafka's), none (nobody"
            " knows)."
        ),
    )
    replication_factor: Annotated[int, Field(ge=1, le=32)] = Field(
        default=1, description="Copies of each partition, for the topics that init creates."
    )

    data_dir: Path = Field(default=Path("data"), description="Folder of the worker's local state; one worker each.")
    processes: Annotated[Processes, BeforeValidator(parse_processes)] = Field(
        default=1,
        description=(
            "Worker processes that the command worker runs: a number, PARTITIONS at most, or auto, one a core; process"
            " N works in DATA_DIR/processes/N, the first in DATA_DIR."
        ),
    )
    web_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None,
        description="Port of the worker's web server, on loopback; unset: none. Process N has this port + N - 1.",
    )
    processing_guarantee: ProcessingGuarantee = Field(
        default=ProcessingGuarantee.EXACTLY_ONCE,
        description="exactly_once needs a broker with transactions; at_least_once may export twice after a crash.",
    )
    transaction_timeout_seconds: Annotated[float, Field(ge=1, le=900)] = Field(
        default=60.0,
        description=(
            "Seconds until the broker aborts a transaction left open; at most the broker's transaction.max.timeout.ms."
        ),
    )
    max_document_bytes: Annotated[int, Field(ge=1 * KIB, le=8 * MIB)] = Field(
        default=512 * KIB,
        description="Largest profile document, in bytes of compact JSON; a larger one is a dead letter.",
    )
    max_bad_events_in_a_row: Count = Field(
        default=1000, description="Unusable events in a row, in one partition, that stop the worker; 0: never."
    )
    dedup_window: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="How many last events a profile remembers by source and id."
    )
    linger_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.02, description="Seconds that events wait for others, to be handled as one batch."
    )
    session_timeout_seconds: Annotated[float, Field(ge=1, le=90)] = (
        Field(  # Faust refuses more than its broker_request_timeout, 90
            default=10.0,
            description=(
                "Seconds of silence after which Kafka takes a worker's partitions away; the broker's"
                " group.min.session.timeout.ms is the least."
            ),
        )
    )
    static_membership: bool = Field(
        default=False,
        description=(
            "Keep partitions over a restart within the session timeout; a worker that leaves for good keeps them as"
            " long."
        ),
    )
    broker_wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="Seconds that a worker waits for a broker and its topics at its start."
    )
    accept_gaps: Annotated[str, BeforeValidator(normal_acceptance), Field(pattern=GAPS_PATTERN)] = Field(
        default="",
        description=(
            "Gaps to go on without, as a stop named them: topic:partition:offset, separated by commas; true: every one,"
            " now and later."
        ),
    )
    skip_to: Annotated[str, Field(pattern=_SKIPS)] = Field(
        default="",
        description=(
            "Events not to process: partition:offset, more separated by commas; the partition goes on at that offset."
        ),
    )
    standby_replicas: Count = Field(
        default=0,
        description=(
            "Warm copies of each partition on other workers; only 0: a takeover restores over 100,000 rows a second"
            " instead."
        ),
    )
    row_cache_bytes: Annotated[int, Field(ge=0, le=1 * TIB)] = Field(
        default=256 * MIB, description="Bytes of memory for profile rows, per worker."
    )
    max_waiting_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=64 * MIB, description="Bytes of events read and not yet processed, per worker, at which reading pauses."
    )
    block_cache_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=128 * MIB, description="Bytes of memory for blocks of the local state, per worker."
    )
    write_buffer_bytes: Annotated[int, Field(ge=1 * MIB, le=64 * GIB)] = Field(  # RocksDB cuts more down to this
        default=32 * MIB, description="Bytes of memory for unwritten state, per partition."
    )

    @property
    def topics(self) -> TopicNames:
        """The names of our topics."""
        first = (
            "profile-events",
            "exports",
            "flows",
            "audiences",
            "dead-letters",
            "dead-letters-redriven",
            "worker-status",
        )
        names = (
            *first,
            "delivery-positions",
            "connections",
            "audit-events",
            "job-progress",
            f"{self.app_id}-profiles-changelog",
        )
        return TopicNames(*(self.topic_prefix + name for name in names))

    @property
    def accepted(self) -> AcceptedGaps:
        """The gaps that `accept_gaps` names."""
        return accepted_gaps(self.accept_gaps)

    @property
    def skips(self) -> dict[int, int]:
        """`skip_to`: offset by partition."""
        pairs = (pair.split(":") for pair in self.skip_to.split(",") if pair.strip())
        return {int(partition): int(offset) for partition, offset in pairs}

    @property
    def max_message_bytes(self) -> int:
        """Return the size of the largest Kafka message of ours (key, value, headers).

        It is the limit of producers, and of the topics that `init` makes.

        A dead letter holds a source event whole (at most 1 MiB by Kafka's own default) and its headers; an export holds
        a document and what the flow adds.
        """
        return max(2 * MIB, 2 * self.max_document_bytes + MIB)


class BackgroundSettings(FromEnvironment):
    """The settings of what workers do between events."""

    membership_expiry: bool = Field(
        default=True,
        description="Write the events that end memberships at their deadlines; off where somebody else does.",
    )
    identity_index: bool = Field(
        default=True,
        description=(
            "Keep an index of who has which identity, so that files of members may name identities; every worker alike."
        ),
    )
    job_records_per_second: Count = Field(
        default=0,
        description=(
            "Records that a backfill or another job makes, a second over all partitions, at most; 0: as many as it can."
        ),
    )
