"""What the processing shell needs of the world."""

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple, Protocol

from processor.core.catalog import Catalog
from schemas.kafka import ProducerRecord
from schemas.wire.profiles_changelog import SourcePosition


class Output(NamedTuple):
    """What one commit writes, each to the partition of its source events.

    `rows` end with the watermark; None is a tombstone.

    `events` go to profile-events itself (F5), `job_progress` to its topic.
    """

    exports: Sequence[ProducerRecord]
    dead_letters: Sequence[ProducerRecord]
    rows: Mapping[bytes, bytes | None]
    events: Sequence[ProducerRecord] = ()
    job_progress: Sequence[ProducerRecord] = ()


class Log(Protocol):
    """Where a partition's output is made durable: one producer of that partition's own."""

    async def take_over(self) -> None:
        """Become the only writer: earlier owners are refused from here on, and what they left open is settled."""

    async def commit(self, output: Output) -> int:
        """Write all of it; returns the changelog offset after the last row.

        When it raises, or is cancelled, the outcome is unknown: take the partition over anew, never carry on.
        """
        ...

    async def close(self) -> None:
        """Let go, once or more; never waits for a broker longer than a few seconds."""


class ProfileRows(Protocol):
    """The rows of one partition on disk."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order asked."""
        ...

    @property
    def source_position(self) -> SourcePosition | None:
        """How far the rows are."""
        ...

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_next_offset: int) -> None:
        """One atomic batch."""

    def scan_from(self, prefix: bytes, after: bytes = b"") -> Generator[tuple[bytes, bytes], None, None]:
        """(key, value) whose keys begin with `prefix` and lie above `after`, in the order of their bytes.

        To be closed by the caller.
        """
        ...

    def row_count(self) -> int:
        """How many profiles there are."""
        ...


class CatalogView(Protocol):
    """The flows and audiences, followed."""

    async def as_of(self, fetched_at: float) -> Catalog:
        """The catalog as it stood at most a second before `fetched_at` (monotonic seconds), or later (contract M2)."""
        ...
