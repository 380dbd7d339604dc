"""Token buckets for records and for bytes of a shard, as AWS throttles.

Kinesis quotas: 1,000 records/s and 1 MiB/s a shard.
"""

import hashlib
import time
from collections.abc import Callable

from tests.faults.kinesis_proxy.plan import Buckets, Entry

_HASH_KEYS = 1 << 128


class Shards:
    """The shards of a stream, which divide the hash keys evenly. `clock` in seconds, only forward."""

    def __init__(self, limits: Buckets, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._left = [(limits.records * limits.burst, limits.bytes * limits.burst, clock())] * limits.shards

    def shard_of(self, entry: Entry) -> int:
        """By the explicit hash key, else by the MD5 of the partition key (AWS API reference, PutRecords)."""
        explicit = entry.get("ExplicitHashKey")
        key = int(explicit) if explicit else int.from_bytes(hashlib.md5(entry["PartitionKey"].encode()).digest())
        return min(key * self._limits.shards // _HASH_KEYS, self._limits.shards - 1)

    def takes(self, entry: Entry, size_bytes: int) -> bool:
        """Return whether its shard has room for it now; then the shard has less."""
        limits, shard, now = self._limits, self.shard_of(entry), self._clock()
        records, room, since = self._left[shard]
        records = min(limits.records * limits.burst, records + (now - since) * limits.records)
        room = min(limits.bytes * limits.burst, room + (now - since) * limits.bytes)
        taken = records >= 1 and room >= size_bytes
        self._left[shard] = (records - taken, room - taken * size_bytes, now)
        return taken
