"""Work units: the outcome of a run of records, or of a chunk of background work, decided and committed as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.misplaced import Misplaced
from processor.pipeline.bad_events import Stop
from schemas.kafka import ProducerRecord
from schemas.wire.identity_index import IndexProgress

NEVER: Final = float("inf")
"""The moment of what happens only when something else has happened, by the monotonic clock."""
AT_ONCE: Final = float("-inf")
"""The moment of what is due now, by the monotonic clock."""


class IndexMove(NamedTuple):
    """The progress of the index of identities after a chunk of it; None: the index is gone."""

    progress: IndexProgress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkUnit:
    """One decided piece of work, committed whole, in the order of `sequence`.

    `next_offset` and `bad_in_a_row` are those of the source position after it. `rows` are in the order in which a log
    without transactions may tear, without the source position. `events` go to profile-events itself (F5). `stop` is
    why the partition goes no further; what was decided before is committed all the same. `new_profiles` is less those
    that ended. `index_move` None: the index of identities is as before. `job_exports` names a job for each of its
    records that leaves before an event.
    """

    sequence: int
    next_offset: int
    bad_in_a_row: int
    rows: Mapping[bytes, bytes | None]
    exports: Sequence[ProducerRecord] = ()
    dead_letters: Sequence[ProducerRecord] = ()
    events: Sequence[ProducerRecord] = ()
    job_progress: Sequence[ProducerRecord] = ()
    job_exports: Sequence[str] = ()
    counts: Counts = field(default_factory=Counts)
    new_profiles: int = 0
    index_move: IndexMove | None = None
    misplaced: Misplaced | None = None
    stop: Stop | None = None


@dataclass(slots=True)
class DecidedPosition:
    """The position up to which one partition is decided; only its pipeline and its idle position write it.

    Everything below `next_offset` is decided, or is no event. `sequence` is the last work unit's.
    """

    next_offset: int
    bad_in_a_row: int
    sequence: int = 0


class View(NamedTuple):
    """The view that background work is decided on: the catalog as of now, and how far the partition is decided."""

    catalog: Catalog
    decided: DecidedPosition
