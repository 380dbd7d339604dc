"""The partition that a command writes a profile's events to (I12).

    PARTITIONER=murmur2, crc32   where producers put the key; nothing is read
    PARTITIONER=none             where the profile is: by the last row of each partition's changelog, and the events
                                 that come after them

A profile on two partitions is two profiles, half each: nobody can say which one a command means, so it is refused.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Final, Protocol, Self

from processor.core.partitioner import partition_of
from processor.foundation.settings import Settings
from processor.kafka.reading import read_from, read_topic
from schemas.partitioner import Partitioner
from schemas.wire.profiles_changelog import PROFILE, SOURCE_POSITION_KEY, decode_source_position

_BATCH: Final = 10_000
_UNKNOWN: Final = (
    "its profile is on no partition yet, and PARTITIONER=none does not say where it belongs: set PARTITIONER to what"
    " its producer has"
)
Report = Callable[[int], None]
"""(records that were read since the beginning)."""


class NotOnePartition(Exception):
    """Nobody can say where the events of a profile belong; the text says why, and what to do."""


class ProfilePartitions(Protocol):
    """A way to say where to write, until the end of a `with`."""

    def choose(self, key: bytes, otherwise: int | None = None) -> int:
        """Return the partition for events with this key; `otherwise` where it is known to be on none.

        Raises NotOnePartition where the profile is on two, and on none without `otherwise`.
        """
        ...

    def name_for_writer(self, key: bytes) -> int | None:
        """Return the partition to name to a `Writer`; None: its own partitioner finds the same one, in C.

        Raises NotOnePartition as `choose`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def profile_partitions(
    settings: Settings, only: Collection[bytes] | None = None, report: Report = lambda _: None
) -> ProfilePartitions:
    """Open the way to say where profiles are, of `only` these keys or of all.

    With PARTITIONER=none it reads the whole changelog; raises BrokerUnreachable, ReadFailed and UnreadableRow as
    `read_topic` does.
    """
    if settings.partitioner is Partitioner.NONE:
        return _FoundPartitions(settings, only, report)
    return _KnownPartitioner(settings)


class _KnownPartitioner:
    """The partitions where producers put the key."""

    def __init__(self, settings: Settings) -> None:
        self._partitions, self._partitioner = settings.partitions, settings.partitioner

    def choose(self, key: bytes, otherwise: int | None = None) -> int:  # noqa: ARG002  # the key alone says it
        return partition_of(key, self._partitions, self._partitioner)

    def name_for_writer(self, key: bytes) -> int | None:  # noqa: ARG002  # every key has one
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing, since nothing is open."""


class _FoundPartitions:
    """The partitions where profiles are: keys and partitions in SQLite, in a temporary file.

    What was chosen counts from then on.
    """

    def __init__(self, settings: Settings, only: Collection[bytes] | None, report: Report) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE place (key BLOB, partition INTEGER, PRIMARY KEY (key, partition)) WITHOUT ROWID")
        try:
            self._read(settings, None if only is None else frozenset(only), report)
        except BaseException:
            self._db.close()
            raise

    def choose(self, key: bytes, otherwise: int | None = None) -> int:
        found = [
            partition
            for (partition,) in self._db.execute("SELECT partition FROM place WHERE key = ? ORDER BY partition", (key,))
        ]
        if len(found) == 1:
            return int(found[0])
        if found:
            raise NotOnePartition(_on_several(found))
        if otherwise is None:
            raise NotOnePartition(_UNKNOWN)
        self._db.execute("INSERT INTO place VALUES (?, ?)", (key, otherwise))
        return otherwise

    def name_for_writer(self, key: bytes) -> int | None:
        return self.choose(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _read(self, settings: Settings, only: Collection[bytes] | None, report: Report) -> None:
        self._db.execute("BEGIN")
        for count, (key, partition, is_there) in enumerate(_changes(settings), 1):
            if only is None or key in only:
                statement = (
                    "INSERT OR IGNORE INTO place VALUES (?, ?)"
                    if is_there
                    else "DELETE FROM place WHERE key = ? AND partition = ?"
                )
                self._db.execute(statement, (key, partition))
            if count % _BATCH == 0:
                report(count)
        self._db.execute("COMMIT")


def _changes(settings: Settings) -> Iterator[tuple[bytes, int, bool]]:
    """Yield (key, partition, whether its profile is there), in each partition's order: the last of a key counts.

    An event that is in no row yet counts as its profile: no worker has said what comes of it.
    """
    next_offsets: dict[int, int] = {}
    for record in read_topic(settings, settings.topics.changelog):
        if record.key is not None and record.key.startswith(PROFILE):
            yield record.key[len(PROFILE) :], record.partition, record.value is not None
        elif record.key == SOURCE_POSITION_KEY and record.value is not None:
            next_offsets[record.partition] = decode_source_position(record.value).next_offset
    begins = {partition: next_offsets.get(partition, 0) for partition in range(settings.partitions)}
    for record in read_from(settings, settings.topics.profile_events, begins):
        if record.key:
            yield record.key, record.partition, True


def _on_several(partitions: list[int]) -> str:
    named = f"{', '.join(map(str, partitions[:-1]))} and {partitions[-1]}"
    return (
        f"its profile is on partitions {named}, half each; delete what is wrong with `profile-exporter profiles delete"
        " --partition`"
    )
