"""In which partition a key belongs (contract I12): the hashes of Java's clients and of librdkafka. Pure.

    murmur2   Java:        Utils.toPositive(Utils.murmur2(key)) % partitions
    crc32     librdkafka:  rd_crc32(key) % partitions                            (partitioner=consistent_random)

A key without bytes belongs nowhere: librdkafka puts it anywhere.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from zlib import crc32

from schemas.partitioner import Partitioner

if TYPE_CHECKING:
    from mypy_extensions import (
        i64,
    )  # machine integers where this is compiled; interpreted, nobody reads the annotations

_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_NOBODY_KNOWS: Final = "PARTITIONER=none does not say where a key belongs"
_MURMUR2: Final = Partitioner.MURMUR2
_CRC32: Final = Partitioner.CRC32


def partition_of(key: bytes, partitions: int, partitioner: Partitioner) -> int:
    """Tell where producers with this partitioner put a record with this key.

    Raises ValueError for NONE, which nobody can tell.
    """
    if partitioner is _MURMUR2:
        return (murmur2(key) & _POSITIVE) % partitions
    if partitioner is _CRC32:
        return crc32(key) % partitions
    raise ValueError(_NOBODY_KNOWS)


def murmur2(key: bytes) -> int:
    """Hash as Kafka's Java clients do (org.apache.kafka.common.utils.Utils.murmur2), as an unsigned number of 32 bits.

    Masks stand in the place of Java's overflow: a product of two numbers of 32 and 31 bits fits in a machine integer.
    """
    size: i64 = len(key)
    hashed: i64 = (_SEED ^ size) & _MASK
    index: i64 = 0
    while index + 4 <= size:
        word: i64 = key[index] | key[index + 1] << 8 | key[index + 2] << 16 | key[index + 3] << 24
        word = (word * _MULTIPLIER) & _MASK
        word ^= word >> 24
        hashed = ((hashed * _MULTIPLIER) & _MASK) ^ ((word * _MULTIPLIER) & _MASK)
        index += 4
    rest: i64 = size - index
    if rest:
        if rest == 3:
            hashed ^= key[index + 2] << 16
        if rest >= 2:
            hashed ^= key[index + 1] << 8
        hashed = ((hashed ^ key[index]) * _MULTIPLIER) & _MASK
    hashed ^= hashed >> 13
    hashed = (hashed * _MULTIPLIER) & _MASK
    return hashed ^ (hashed >> 15)


def keys_elsewhere(keys: Iterable[bytes], partition: int, partitions: int, partitioner: Partitioner) -> list[bytes]:
    """Return those of `keys`, read from `partition`, that belong in another one. Home of I12.

    It has a loop for each hash, since every event passes here.
    """
    if partitioner is _MURMUR2:
        return [key for key in keys if key and (murmur2(key) & _POSITIVE) % partitions != partition]
    if partitioner is _CRC32:
        return [key for key in keys if key and crc32(key) % partitions != partition]
    raise ValueError(_NOBODY_KNOWS)
