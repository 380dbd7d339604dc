"""Events that are elsewhere than their keys belong (contract I12): counted, and told with what would mend it. Pure."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from processor.core.partitioner import keys_elsewhere, partition_of
from schemas.kafka import ConsumerRecord
from schemas.partitioner import Partitioner

NAMES: Final = {
    Partitioner.MURMUR2: "Java's default partitioner (murmur2)",
    Partitioner.CRC32: "librdkafka's default partitioner (crc32)",
}
_IN_THE_PRODUCER: Final = {
    Partitioner.MURMUR2: "partitioner=murmur2_random",
    Partitioner.CRC32: "partitioner=consistent_random",
}
_OTHERS: Final = {
    Partitioner.MURMUR2: (Partitioner.CRC32,),
    Partitioner.CRC32: (Partitioner.MURMUR2,),
    Partitioner.NONE: tuple(NAMES),
}
_UNKNOWN: Final = (
    "look for a producer that names partitions itself, or hashes otherwise, or wrote when the topic had fewer"
    " partitions; where that is meant, set PARTITIONER=none"
)


class Misplaced(NamedTuple):
    """Some events of one partition that belong in others.

    `fitting`: how many of them another partitioner puts where they are, by its name. `offset` is the last one's, and
    `belongs_in` the partition of its key.
    """

    events: int
    fitting: Mapping[str, int]
    topic: str
    offset: int
    belongs_in: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The partition of profile events that keys are compared with: its number, and how many there are.

    The partitioner is not NONE.
    """

    partition: int
    partitions: int
    partitioner: Partitioner

    def keys_elsewhere(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return those of `keys`, read from this partition, that belong in another one."""
        return keys_elsewhere(keys, self.partition, self.partitions, self.partitioner)

    def count_misplaced(self, records: Iterable[ConsumerRecord], keys: Container[bytes | None]) -> Misplaced | None:
        """Count the records with one of these keys, which belong elsewhere; None: there are none."""
        misplaced = [record for record in records if record.key in keys]
        if not misplaced:
            return None
        last = misplaced[-1]
        belongs_in = partition_of(last.key or b"", self.partitions, self.partitioner)
        return Misplaced(
            len(misplaced),
            self._fitting([record.key or b"" for record in misplaced]),
            last.topic,
            last.offset,
            belongs_in,
        )

    def _fitting(self, keys: list[bytes]) -> dict[str, int]:
        fits = {
            other: len(keys) - len(keys_elsewhere(keys, self.partition, self.partitions, other))
            for other in _OTHERS[self.partitioner]
        }
        return {other.value: count for other, count in fits.items() if count}


def tell_misplaced(partitioner: Partitioner, events: int) -> str:
    """Say how many events are not where their keys belong by `partitioner`."""
    are = "event is" if events == 1 else "events are"
    return (
        f"{events:,} {are} not in the partition where {NAMES[partitioner]} puts the key: such a profile may be on two"
        " partitions, half each"
    )


def remedy_of_misplaced(partitioner: Partitioner, events: int, fitting: Mapping[str, int]) -> str:
    """Say which partitioner would fit such events, and what to set."""
    for other in _OTHERS[partitioner]:
        fits = fitting.get(other.value, 0)
        if fits == events:
            return (
                f"{NAMES[other]} fits all of them: set PARTITIONER={other}, or {_IN_THE_PRODUCER[partitioner]} in the"
                " producer"
            )
        if fits:
            mended = f"set {_IN_THE_PRODUCER[partitioner]} in that producer"
            return f"{NAMES[other]} fits {fits:,} of {events:,} of them: {mended}; for the others, {_UNKNOWN}"
    return f"no partitioner that is known fits them: {_UNKNOWN}"
