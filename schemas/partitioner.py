"""The partitioners by which producers choose the partition of a key (I12)."""

from enum import StrEnum


class Partitioner(StrEnum):
    """The hash of a key that, modulo the number of partitions, is the partition of its events."""

    MURMUR2 = "murmur2"  # Java's default, and that of most clients that follow it
    CRC32 = "crc32"  # librdkafka's default, `consistent_random`
    NONE = "none"  # nobody knows: several, one of the producers' own, or an older number of partitions
