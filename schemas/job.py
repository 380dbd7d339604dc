"""Jobs: records that leave without an event, because a flow changed or somebody asked (contract E1, E4, F1, F2).

    backfill   an audience was mapped, or somebody asked: every profile realized in it        scan
    resend     the same on demand, of what has arrived before                                 scan
    unmap      an audience was un-mapped, or the flow deleted, with `emitExitOnUnmap`         scan
    catchup    the flow was disabled and is enabled again: what would have left meanwhile     what was missed

A job stands on the topic `flows` beside its flow, so that whoever sees a mapping sees its job, and is done by the
owners of the partitions, each in its own. How far they are stands in their state and on `job-progress`.
"""

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from schemas.audience import AudienceKey
from schemas.model import Items, Name, NamedModel, Time

KEPT_DAYS: Final = 30
"""How long a job stays on its topics, from its start; a cancelled one from then; and in any case until it has ended."""


class JobKind(StrEnum):
    """The kind of a job; record ids and causes begin with it (E1)."""

    BACKFILL = "backfill"
    RESEND = "resend"
    CATCHUP = "catchup"
    UNMAP = "unmap"


class JobState(StrEnum):
    """The status of a job: the words of contract E4, and `cancelled`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PARTIAL = "partial"
    CANCELLED = "cancelled"


class JobAudience(NamedModel):
    """An audience of a job.

    `dropped_at`: when it was un-mapped (of `unmap`: mapped again); from then on the job does nothing for it.
    """

    namespace: Name
    id: Name
    dropped_at: Time | None = None

    @property
    def key(self) -> AudienceKey:
        """Return namespace and id of the audience."""
        return self.namespace, self.id


class Job(NamedModel):
    """One job as it was ordered; never what became of it.

    `started_at` is the time of its records (E1); None: it waits for its flow to be enabled. A `catchup` without it
    tracks what its disabled flow misses. `records_per_second` bounds it over all partitions; None: the setting does.
    `first_catchup`: of a catchup, the id of the first one, whose missed changes it goes on with, since the flow was
    disabled again before that was done; None: it is the first.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    kind: JobKind = Field(strict=False)
    flow: Name
    audiences: Annotated[tuple[JobAudience, ...], Items] = ()
    created_at: Time
    started_at: Time | None = None
    cancelled_at: Time | None = None
    requested_by: str | None = None  # None: a change of the flow
    first_catchup: str | None = Field(default=None, validation_alias="notes", serialization_alias="notes")
    records_per_second: Annotated[int, Field(ge=1)] | None = None

    @property
    def order(self) -> tuple[str, str]:
        """A flow's jobs are done in this order, the oldest first."""
        return self.created_at, self.id

    @property
    def missed_id(self) -> str:
        """Return the id under which a catchup keeps its missed changes."""
        return self.first_catchup or self.id

    @property
    def wanted(self) -> tuple[AudienceKey, ...]:
        """Return the audiences that were not dropped."""
        return tuple(audience.key for audience in self.audiences if audience.dropped_at is None)


class PartitionState(StrEnum):
    """The status of a job in one partition."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class JobProgress(NamedModel):
    """A job in one partition: a row of its state, and a record of `job-progress` under the key ["<job>",<partition>].

    `start`: the first offset of profile-events decided with the job: what its flow exported from there on is skipped
    (E2). `cursor`: profiles up to and with this id are done. `scanned`: all are, and what is left is to take marks
    away. `total`: profiles there were at the start. Counts are of profiles. `worked_seconds`: how long it has been at
    it, without what it waited for. `first_catchup` as of the job.
    """

    job: str
    flow: str
    kind: JobKind = Field(strict=False)
    partition: int
    start: int
    state: PartitionState = Field(default=PartitionState.RUNNING, strict=False)
    cursor: str = ""
    scanned: bool = False
    total: int = 0
    seen: int = 0
    exported: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)
    worked_seconds: float = 0.0
    waiting: str | None = None  # why it does not go on
    first_catchup: str | None = Field(default=None, validation_alias="notes", serialization_alias="notes")
    begun_at: Time
    updated_at: Time


class MissedChanges(NamedTuple):
    """A profile as a flow knew it when it was disabled: what the flow missed is all that came after (F1).

    It is written at the first event that changed the profile's record or would have sent it. `digest` of the record, ""
    where there was no profile; `realized`: the mapped audiences it was realized in. `is_due`: an event would have sent
    a record since; until one does, the catchup has nothing to send of the profile.
    """

    digest: str
    realized: frozenset[AudienceKey]
    is_due: bool = True
