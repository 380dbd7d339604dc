"""The lanes that wait at one destination, and what of them leaves in the next call.

ready ──────► full, or lingered long enough ─► a call, without those whose shard has had its share
later, held ─ due ─► ready
groups ──────► a call each, as they are (parts of a rejected call, on the way to the culprit)
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final

from processor.delivery.lanes.lanes import FlowLanes, Lane
from processor.delivery.lanes.shard_rates import ShardRates
from processor.delivery.limits import DeliveryLimits
from processor.foundation.clocks import Clock

_MOST_HELD_BACK: Final = 1_000  # about 2 ms


class Outbox:
    """Lanes with a head to send, none of them in flight, composed into calls. Home of G2.

    What is too large for any call never comes here: `Backlog.add` dead-letters it.
    """

    def __init__(self, limits: DeliveryLimits, clock: Clock, rates: ShardRates) -> None:
        self._limits = limits
        self._rates = rates
        self._clock = clock
        self._ready: deque[Lane] = deque()
        self._ready_bytes = 0
        self._leaves_at = 0.0  # when what is ready leaves although the call is not full
        self._later: list[tuple[float, int, Lane]] = []  # a heap
        self._numbers = count()  # equal times leave in the order they came
        self._groups: deque[list[Lane]] = deque()

    def add(self, lane: Lane) -> None:
        """Have the lane ready, behind the others."""
        if not self._ready:
            self._leaves_at = self._clock() + self._limits.linger_seconds
        self._ready.append(lane)
        self._ready_bytes += lane.head.export.size_bytes

    def put_back(self, lanes: Sequence[Lane]) -> None:
        """Have the lanes ready before all others, at once: their call failed as a whole."""
        self._ready.extendleft(reversed(lanes))
        self._ready_bytes += _bytes_of(lanes)
        self._leaves_at = 0.0

    def add_later(self, lane: Lane, seconds: float) -> None:
        """Have the lane ready after a wait."""
        heapq.heappush(self._later, (self._clock() + seconds, next(self._numbers), lane))

    def add_group(self, lanes: list[Lane]) -> None:
        """Have the lanes leave together, and without others."""
        if lanes:
            self._groups.append(lanes)

    def dissolve_groups(self) -> None:
        """Have the lanes of groups ready like all others."""
        self.put_back([lane for group in self._groups for lane in group])
        self._groups.clear()

    def due_at(self) -> float | None:
        """Return when `take` has something; None: never, as things stand."""
        times = [self._later[0][0]] if self._later else []
        if (released_at := self._rates.due_at()) is not None:
            times.append(released_at)
        if self._groups or self._is_full():
            times.append(0.0)
        elif self._ready:
            times.append(self._leaves_at)
        return min(times) if times else None

    def take(self, most: int) -> list[Lane]:
        """Take the lanes of the next call, `most` of them unless it is a group; [] when nothing is due."""
        now = self._clock()
        self._wake(now)
        if self._groups:
            return self._groups.popleft()
        if not self._is_full() and now < self._leaves_at:
            return []
        lanes = self._compose(min(most, self._limits.max_records_per_call), now)
        self._leaves_at = now + self._limits.linger_seconds
        return lanes

    def take_one(self) -> list[Lane]:
        """Take one lane, rather one whose head was never sent than another; [] when nothing is due."""
        self._wake(self._clock())
        self.dissolve_groups()
        self._ready.rotate(-next((place for place, lane in enumerate(self._ready) if not lane.tries), 0))
        return self.take(1)

    def remove(self, flow: FlowLanes) -> list[Lane]:
        """Give back the lanes of a flow."""
        return self._keep(lambda lane: lane.flow is not flow)

    def drop_emptied(self) -> None:
        """Forget lanes that hold nothing any more."""
        self._keep(lambda lane: not lane.emptied)

    def is_held_up(self) -> bool:
        """Return whether lanes wait for more than company: for their shard, another try, or a call that is not full."""
        return bool(self._later or self._groups) or self._rates.due_at() is not None or self._is_full()

    def _is_full(self) -> bool:
        return len(self._ready) >= self._limits.max_records_per_call or self._ready_bytes >= self._limits.max_call_bytes

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            lane = heapq.heappop(self._later)[2]
            if lane.rejections:
                self._groups.append([lane])
            else:
                self.add(lane)
        for lane in self._rates.release(now):
            self.add(lane)

    def _compose(self, most: int, now: float) -> list[Lane]:
        """Compose a call of `most` lanes at most.

        Those of shards that have had their share are held back; of very many not all at once: the loop goes on.
        """
        ready, left = self._ready, self._limits.max_call_bytes
        lanes: list[Lane] = []
        held_back = 0
        while (
            ready
            and len(lanes) < most
            and held_back < _MOST_HELD_BACK
            and (size := ready[0].head.export.size_bytes) <= left
        ):
            lane = ready.popleft()
            self._ready_bytes -= size
            if self._rates.may_leave(lane, now):
                left -= size
                lanes.append(lane)
            else:
                held_back += 1
        return lanes

    def _keep(self, wanted: Callable[[Lane], bool]) -> list[Lane]:
        """Keep the wanted lanes; return the others, in their order."""
        held = self._rates.keep(wanted)
        before = [
            *self._ready,
            *held,
            *(lane for group in self._groups for lane in group),
            *(entry[2] for entry in sorted(self._later)),
        ]
        self._ready = deque(lane for lane in self._ready if wanted(lane))
        self._ready_bytes = _bytes_of(self._ready)
        groups = ([lane for lane in group if wanted(lane)] for group in self._groups)
        self._groups = deque(group for group in groups if group)
        self._later = [entry for entry in self._later if wanted(entry[2])]
        heapq.heapify(self._later)
        return [lane for lane in before if not wanted(lane)]


def _bytes_of(lanes: Iterable[Lane]) -> int:
    return sum(lane.head.export.size_bytes for lane in lanes)
