"""The shard that a record goes to, learned from responses alone: no DescribeStream, no ListShards.

Shards divide the 128-bit hash keys among them in ranges, so what lies between two hash keys of one shard is that
shard's too.

    responses: hash key 5 → A, 900 → A, 2000 → B      5 … 900 is A's; of 901 … 1999 nobody knows
"""

from bisect import bisect_left, bisect_right
from functools import lru_cache
from hashlib import md5
from typing import Final

from schemas.export import Export

NOWHERE: Final = -1  # the hash key of what Kinesis will reject


class ShardMap:
    """The hash keys that are known to be a shard's; what a response contradicts is forgotten: it was resharded."""

    def __init__(self) -> None:
        self._lows: list[int] = []  # of each range the lowest hash key seen, in order; ranges are disjoint
        self._highs: list[int] = []
        self._names: list[str] = []
        self._low_of: dict[str, int] = {}

    def shard_of(self, hash_key: int) -> str | None:
        """Return the shard of a hash key, where it is known."""
        place = bisect_right(self._lows, hash_key) - 1
        return self._names[place] if place >= 0 and hash_key <= self._highs[place] else None

    def learn(self, hash_key: int, shard: str) -> list[str]:
        """Learn that a record with this hash key went to this shard; return the shards that are known no more.

        Of two responses the newer one is true.
        """
        forgotten: list[str] = []
        low = self._low_of.get(shard)
        if low is not None:
            place = bisect_left(self._lows, low)
            if self._widen(place, hash_key):
                return forgotten
            self._forget(place)  # another shard lies between
        place = bisect_right(self._lows, hash_key) - 1
        if place >= 0 and hash_key <= self._highs[place]:
            forgotten.append(self._names[place])
            self._forget(place)
        place = bisect_right(self._lows, hash_key)
        self._lows.insert(place, hash_key)
        self._highs.insert(place, hash_key)
        self._names.insert(place, shard)
        self._low_of[shard] = hash_key
        return forgotten

    def _widen(self, place: int, hash_key: int) -> bool:
        """Let the range at this place reach to the hash key, where it may; return whether it does."""
        if hash_key > self._highs[place]:
            if place + 1 < len(self._lows) and self._lows[place + 1] <= hash_key:
                return False
            self._highs[place] = hash_key
        elif hash_key < self._lows[place]:
            if place > 0 and self._highs[place - 1] >= hash_key:
                return False
            self._lows[place] = self._low_of[self._names[place]] = hash_key
        return True

    def _forget(self, place: int) -> None:
        del self._low_of[self._names[place]]
        for column in (self._lows, self._highs, self._names):
            del column[place]


def hash_key_of(export: Export) -> int:
    """Return the explicit hash key, else the MD5 of the partition key as a number (AWS API reference, PutRecords)."""
    explicit = export.explicit_hash_key
    if explicit is not None:
        return int(explicit) if explicit.isascii() and explicit.isdigit() else NOWHERE
    return _md5(export.partition_key)


@lru_cache(maxsize=65_536)  # asked when the record leaves and when its call ends
def _md5(partition_key: str) -> int:
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())
