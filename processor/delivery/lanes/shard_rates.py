"""The rate at which each shard of a stream is fed, by what responses alone tell.

A shard takes 1,000 records and 1 MiB a second (Amazon Kinesis Data Streams, "Quotas and limits"); what is more is
refused. Which shard a record goes to is learned (`shard_map.py`); one of which nobody knows it leaves at once.

A shard's allowance is kept as the time up to which it is spent (GCRA, the leaky bucket as a meter: ITU-T I.371), for
records and for bytes. What finds it spent waits for its shard alone. Others may write to the same stream: a shard that
refuses what was within its allowance is fed less, and every second a little more again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any, Final

from processor.delivery.kinesis.faults import FaultKind
from processor.delivery.kinesis.responses import Classification
from processor.delivery.lanes.lanes import Lane
from processor.delivery.lanes.shard_map import ShardMap, hash_key_of
from processor.delivery.limits import ShardLimits

BURST_SECONDS: Final = 0.5  # of a shard's allowance that may leave at once after a rest; AWS meters by the second
GRID_SECONDS: Final = 0.5
"""Held lanes resume on this grid, so that a call is full: small ones cost three times the CPU."""
SHARED_GRID_SECONDS: Final = 0.2  # of a shard that others feed too: smaller portions, of which it refuses fewer
LESS: Final = 0.7  # of its share is left to a shard that refused
LEAST_SHARE: Final = 0.05
MORE_A_SECOND: Final = 0.1  # of the whole allowance that its share grows by
REFUSALS_SECONDS: Final = 0.5  # refusals so close to each other are one


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
        """Return when everything that left is paid."""
        return max(self._records_spent, self._bytes_spent)

    @property
    def resumes_at(self) -> float:
        """Return when what is held may go on: at the next point of the grid, whatever else is looked at before."""
        grid = GRID_SECONDS if self.share == 1.0 else SHARED_GRID_SECONDS
        return ceil(self.opens_at / grid) * grid

    def hold(self, lane: Lane) -> None:
        """Have the lane wait: in front where its head was refused before, else its partition stood still meanwhile."""
        if lane.tries:
            self.held.appendleft(lane)
        else:
            self.held.append(lane)

    def spend(self, size_bytes: int, limits: ShardLimits, now: float) -> None:
        """Count a record of this size that leaves, or has left."""
        if self.share < 1.0:
            self.share = min(1.0, self.share + (now - self._grown_at) * MORE_A_SECOND)
            self._grown_at = now
        rested = now - BURST_SECONDS
        if limits.records:
            self._records_spent = max(self._records_spent, rested) + 1 / (limits.records * self.share)
        if limits.size_bytes:
            self._bytes_spent = max(self._bytes_spent, rested) + size_bytes / (limits.size_bytes * self.share)

    def refused(self, now: float, *, paid: bool) -> None:
        """Note that the shard took less than we thought; where the record was `paid`, others feed the shard too."""
        self._records_spent = max(self._records_spent, now)
        if paid and now - self._refused_at >= REFUSALS_SECONDS:
            self.share = max(LEAST_SHARE, self.share * LESS)
            self._refused_at = self._grown_at = now


class ShardRates:
    """The rates of one destination's shards, and the lanes that wait for them.

    A lane's `paid` says that its head left, or may leave, at the expense of a shard's allowance.
    """

    def __init__(self, limits: ShardLimits) -> None:
        self._limits = limits
        self._map = ShardMap()
        self._shards: dict[str, _Shard] = {}
        self._holding: set[str] = set()  # shards for which lanes wait
        self._freed: list[Lane] = []  # their shards are forgotten

    def may_leave(self, lane: Lane, now: float) -> bool:
        """Return whether the lane's head may leave now; if not, it is held here until `release`."""
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
        """Return whether the shard of the lane's head is known: its pace keeps it from being refused again."""
        return not self._limits.are_off and self._map.shard_of(hash_key_of(lane.head.export)) is not None

    def due_at(self) -> float | None:
        """Return when `release` has something; None: nothing is held."""
        if self._freed:
            return 0.0
        return min((self._shards[name].resumes_at for name in self._holding), default=None)

    def release(self, now: float) -> Iterator[Lane]:
        """Yield the lanes whose shard takes more by now."""
        while self._freed:
            yield self._freed.pop()
        for name in list(self._holding):
            shard = self._shards[name]
            if shard.resumes_at > now:
                continue
            while shard.held and shard.opens_at <= now:
                lane = shard.held.popleft()
                shard.spend(lane.head.export.size_bytes, self._limits, now)
                lane.paid = True
                yield lane
            if not shard.held:
                self._holding.discard(name)

    def keep(self, wanted: Callable[[Lane], bool]) -> list[Lane]:
        """Hold only the wanted lanes; return the others."""
        others = [lane for name in self._holding for lane in self._shards[name].held if not wanted(lane)]
        others += [lane for lane in self._freed if not wanted(lane)]
        for name in self._holding:
            shard = self._shards[name]
            shard.held = deque(lane for lane in shard.held if wanted(lane))
        self._holding = {name for name in self._holding if self._shards[name].held}
        self._freed = [lane for lane in self._freed if wanted(lane)]
        return others

    def learn(self, lanes: Sequence[Lane], response: Any, outcome: Classification, now: float) -> None:
        """Learn from a call that ended, the heads of `lanes` still in flight; entries without a shard teach nothing."""
        if not self._limits.are_off and outcome.whole is None:
            for index, (lane, entry) in enumerate(zip(lanes, response["Records"], strict=True)):
                fault = outcome.faults.get(index)
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
