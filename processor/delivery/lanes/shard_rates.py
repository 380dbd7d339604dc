"""How fast each shard of a stream is fed, by what answers alone tell: no DescribeStream, no ListShards.

A shard takes 1,000 records and 1 MiB a second (Amazon Kinesis Data Streams, "Quotas and limits"); what is more is
refused. Which shard a record goes to is learned: shards divide the 128-bit hash keys among them in ranges, so what lies
between two hash keys of one shard is that shard's too.

    answers: hash key 5 → A, 900 → A, 2000 → B        5 … 900 is A's; of 901 … 1999 nobody knows, such a record leaves
                                                      at once

A shard's allowance is kept as the time up to which it is spent (GCRA, the leaky bucket as a meter: ITU-T I.371), for
records and for bytes. What finds it spent waits for its shard alone. Others may write to the same stream: a shard that
refuses what was within its allowance is fed less, and every second a little more again.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import md5
from math import ceil
from typing import Any, Final

from processor.delivery.kinesis.responses import FaultKind, Verdict
from processor.delivery.lanes.lanes import Lane
from processor.delivery.limits import ShardLimits
from schemas.export import Export

BURST_SECONDS: Final = 0.5  # of a shard's allowance that may leave at once after a rest; AWS meters by the second
GRID_SECONDS: Final = 0.5  # turns come on this grid, so that a call is full (500 of a shard's 1,000 records): small calls cost three times the CPU
SHARED_GRID_SECONDS: Final = 0.2  # of a shard that others feed too: smaller portions, of which it refuses fewer
LESS: Final = 0.7  # of its share is left to a shard that refused
LEAST_SHARE: Final = 0.05
MORE_A_SECOND: Final = 0.1  # of the whole allowance that its share grows by
REFUSALS_SECONDS: Final = 0.5  # refusals so close to each other are one


NOWHERE: Final = -1  # the hash key of what Kinesis will reject


class ShardMap:
    """Which hash keys are known to be whose. What an answer contradicts is forgotten: the stream was resharded."""

    def __init__(self) -> None:
        self._lows: list[
            int
        ] = []  # of each range the lowest and the highest hash key seen, and its shard; disjoint, in order
        self._highs: list[int] = []
        self._names: list[str] = []
        self._low_of: dict[str, int] = {}

    def shard_of(self, hash_key: int) -> str | None:
        """The shard, where it is known."""
        place = bisect_right(self._lows, hash_key) - 1
        return self._names[place] if place >= 0 and hash_key <= self._highs[place] else None

    def learn(self, hash_key: int, shard: str) -> list[str]:
        """A record with this hash key went to this shard; the shards that are known no more, since of two answers the
        newer one is true.
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
        """Whether the range at this place may reach to the hash key; then it does."""
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


class _Shard:
    """One shard: its allowance, and the lanes whose heads wait for it, in the order they came.

    Times by the sink's clock.
    """

    __slots__ = ("_bytes_spent", "_grown_at", "_records_spent", "_refused_at", "held", "share")

    def __init__(self, now: float) -> None:
        self.held: deque[Lane] = deque()
        self.share = 1.0
        self._records_spent = self._bytes_spent = now - BURST_SECONDS  # up to when the allowance is spent
        self._grown_at = now
        self._refused_at = now - REFUSALS_SECONDS

    @property
    def opens_at(self) -> float:
        """When everything that left is paid."""
        return max(self._records_spent, self._bytes_spent)

    @property
    def turn_at(self) -> float:
        """When what is held may go on: at the next point of the grid, whatever else is looked at before."""
        grid = GRID_SECONDS if self.share == 1.0 else SHARED_GRID_SECONDS
        return ceil(self.opens_at / grid) * grid

    def hold(self, lane: Lane) -> None:
        """Have the lane wait; one whose head was refused before waits in front, or its partition would stand still for
        the whole queue.
        """
        if lane.tries:
            self.held.appendleft(lane)
        else:
            self.held.append(lane)

    def spend(self, size_bytes: int, limits: ShardLimits, now: float) -> None:
        """A record of this size leaves, or has left."""
        if self.share < 1.0:
            self.share = min(1.0, self.share + (now - self._grown_at) * MORE_A_SECOND)
            self._grown_at = now
        rested = now - BURST_SECONDS
        if limits.records:
            self._records_spent = max(self._records_spent, rested) + 1 / (limits.records * self.share)
        if limits.size_bytes:
            self._bytes_spent = max(self._bytes_spent, rested) + size_bytes / (limits.size_bytes * self.share)

    def refused(self, now: float, *, paid: bool) -> None:
        """It took less than we thought, by now. One that was `paid` says that others feed it too."""
        self._records_spent = max(self._records_spent, now)
        if paid and now - self._refused_at >= REFUSALS_SECONDS:
            self.share = max(LEAST_SHARE, self.share * LESS)
            self._refused_at = self._grown_at = now


class ShardRates:
    """Of one destination.

    A lane's `paid` says that its head left, or may leave, at the expense of a shard's allowance.
    """

    def __init__(self, limits: ShardLimits) -> None:
        self._limits = limits
        self._map = ShardMap()
        self._shards: dict[str, _Shard] = {}
        self._holding: set[str] = set()  # shards for which lanes wait
        self._freed: list[Lane] = []  # their shards are forgotten

    def may_leave(self, lane: Lane, now: float) -> bool:
        """Whether the lane's head may leave now; if not, it is held here until `release`."""
        if lane.paid or self._limits.are_off:
            return True
        export = lane.head.export
        name = self._map.shard_of(hash_key_of(export))
        if name is None:
            return True
        shard = self._shards[name]
        if shard.held or shard.opens_at > now:
            shard.hold(lane)
            self._holding.add(name)
            return False
        shard.spend(export.size_bytes, self._limits, now)
        lane.paid = True
        return True

    def knows(self, lane: Lane) -> bool:
        """Whether the shard of the lane's head is known: then its pace is what keeps it from being refused again."""
        return not self._limits.are_off and self._map.shard_of(hash_key_of(lane.head.export)) is not None

    def due_at(self) -> float | None:
        """When `release` has something; None: nothing is held."""
        if self._freed:
            return 0.0
        return min((self._shards[name].turn_at for name in self._holding), default=None)

    def release(self, now: float) -> Iterator[Lane]:
        """Lanes whose turn has come."""
        while self._freed:
            yield self._freed.pop()
        for name in list(self._holding):
            shard = self._shards[name]
            if shard.turn_at > now:
                continue
            while shard.held and shard.opens_at <= now:
                lane = shard.held.popleft()
                shard.spend(lane.head.export.size_bytes, self._limits, now)
                lane.paid = True
                yield lane
            if not shard.held:
                self._holding.discard(name)

    def keep(self, wanted: Callable[[Lane], bool]) -> list[Lane]:
        """Hold only the wanted lanes; returns the others."""
        others = [lane for name in self._holding for lane in self._shards[name].held if not wanted(lane)]
        others += [lane for lane in self._freed if not wanted(lane)]
        for name in self._holding:
            shard = self._shards[name]
            shard.held = deque(lane for lane in shard.held if wanted(lane))
        self._holding = {name for name in self._holding if self._shards[name].held}
        self._freed = [lane for lane in self._freed if wanted(lane)]
        return others

    def note(self, lanes: Sequence[Lane], answer: Any, verdict: Verdict, now: float) -> None:
        """A call ended: the heads of `lanes`, still in flight. Entries that name no shard teach nothing."""
        if not self._limits.are_off and verdict.whole is None:
            for index, (lane, entry) in enumerate(zip(lanes, answer["Records"], strict=True)):
                fault = verdict.faults.get(index)
                if fault is None:
                    self._stored(lane, entry.get("ShardId"), now)
                elif fault.kind is FaultKind.THROTTLED:
                    self._refused(lane, now)
        for lane in lanes:
            lane.paid = False

    def _stored(self, lane: Lane, name: object, now: float) -> None:
        if type(name) is not str:
            return
        export = lane.head.export
        hash_key = hash_key_of(export)
        if self._map.shard_of(hash_key) != name:
            for forgotten in self._map.learn(hash_key, name):
                self._freed += self._shards.pop(forgotten).held  # what waited for it waits for nobody
                self._holding.discard(forgotten)
            if name not in self._shards:
                self._shards[name] = _Shard(now)
        elif lane.paid:
            return  # the shortest way for nearly all
        self._shards[name].spend(export.size_bytes, self._limits, now)

    def _refused(self, lane: Lane, now: float) -> None:
        name = self._map.shard_of(hash_key_of(lane.head.export))
        if name is not None:
            self._shards[name].refused(now, paid=lane.paid)


def hash_key_of(export: Export) -> int:
    """The explicit hash key, else the MD5 of the partition key as a number of 128 bits (AWS API reference,
    PutRecords).
    """
    explicit = export.explicit_hash_key
    if explicit is not None:
        return int(explicit) if explicit.isascii() and explicit.isdigit() else NOWHERE
    return _md5(export.partition_key)


@lru_cache(maxsize=65_536)  # asked when the record leaves and when it is answered
def _md5(partition_key: str) -> int:
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())
