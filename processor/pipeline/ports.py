"""The ports of the processing shell: what it needs of Kafka, of the disk and of the catalog."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import NamedTuple, Protocol

from processor.core.catalog import Catalog
from schemas.kafka import ProducerRecord
from schemas.wire.profiles_changelog import SourcePosition


class Output(NamedTuple):
    """The output of one commit, each record for the partition of its source events.

    `rows` end with the source position; None is a tombstone. `events` go to profile-events itself (F5),
    `job_progress` to its topic.
    """

    exports: Sequence[ProducerRecord]
    dead_letters: Sequence[ProducerRecord]
    rows: Mapping[bytes, bytes | None]
    events: Sequence[ProducerRecord] = ()
    job_progress: Sequence[ProducerRecord] = ()


class PartitionLog(Protocol):
    """The log where a partition's output is made durable: one producer of that partition's own."""

    async def take_over(self) -> None:
        """Become the only writer: earlier owners are refused from here on, and what they left open is settled."""

    async def commit(self, output: Output) -> int:
        """Write all of it; return the changelog offset after the last row.

        When it raises, or is cancelled, the outcome is unknown: take the partition over anew, never carry on.
        """
        ...

    async def complete_commit(self) -> None:
        """Have readers see a commit that the broker acknowledged and still shows as open; comes after `take_over`."""

    async def close(self) -> None:
        """Close the log, once or more; never wait for a broker longer than a few seconds."""


class ProfileRows(Protocol):
    """The rows of one partition on disk."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of these keys, in the order asked."""
        ...

    @property
    def source_position(self) -> SourcePosition | None:
        """Return how far the rows are; None: nothing was ever written."""
        ...

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_next_offset: int) -> None:
        """Write these rows as one atomic batch."""

    def scan_from(self, prefix: bytes, after: bytes = b"") -> Generator[tuple[bytes, bytes], None, None]:
        """Yield (key, value) of the keys that begin with `prefix` and lie above `after`, in byte order.

        The caller closes the generator.
        """
        ...

    def row_count(self) -> int:
        """Return how many profiles there are."""
        ...


class CatalogView(Protocol):
    """The flows and audiences as they are followed."""

    async def as_of(self, fetched_at: float) -> Catalog:
        """Return the catalog as it stood at most a second before `fetched_at` (monotonic seconds), or later (M2)."""
        ...

    def subscribe(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called whenever the catalog has changed, until the returned function is called."""
        ...


class Fetching(Protocol):
    """The fetching of partitions, as far as it is held back."""

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition."""

    def resume(self, topic: str, partition: int) -> None:
        """Fetch a partition again."""
