"""Lanes: the waiting records of one profile and one flow, in order, at most one of them in flight.

                 ┌───────────── next head ─────────────┐
                 ▼                                     │ delivered, or a dead letter
    arrives ─► waits at its flow's route ─► in flight ─┤
                 ▲                                     │ throttled, ambiguous, not sent, …
                 └──────── the same head again ────────┘

Only a lane's head can be taken, and a lane that is in flight waits at no route: so nothing overtakes, whatever fails.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.progress import Progress
from schemas.dead_letter import DeadLetterReason
from schemas.destination import Destination
from schemas.export import Export


class Waiting(NamedTuple):
    """A record that is not finished, and the progress that must not pass it."""

    export: Export
    progress: Progress

    @property
    def is_abandoned(self) -> bool:
        """Return whether it is not to be sent any more: the next owner of its partition does."""
        return self.export.record.offset >= self.progress.sends_below


class RouteState(NamedTuple):
    """A route's state: why nothing is delivered, and what went wrong last, in words; all None where all is well."""

    paused: PauseReason | None = None
    trouble: str | None = None
    unavailable_since: float | None = None  # no call was answered since then, by the sink's clock; None: one was
    next_try: float | None = None  # by the same clock, where it waits for one
    silent_since: float | None = None  # a call waits for its response, and none came since then; by the same clock
    rejects_everything: bool = False
    is_idle: bool = False  # it could take more than it is given


class Route(Protocol):
    """A place where lanes with a head to send wait: a destination, or what takes its place."""

    def add(self, lane: "Lane") -> None:
        """Have the lane wait: its head may leave."""

    def remove(self, flow: "FlowLanes") -> "list[Lane]":
        """Give back the lanes of a flow; what is in flight stays."""

    def drop_emptied(self) -> None:
        """Forget lanes whose records were all taken away."""

    def state(self) -> RouteState:
        """Return how the route is."""


@dataclass(slots=True)
class DeliveryCounts:
    """Counts of what became of a flow's records, since this process started."""

    delivered: int = 0
    delivered_bytes: int = 0  # data and partition keys
    retried: int = 0  # records sent again
    throttled: int = 0  # refusals for throughput
    dead_lettered: Counter[DeadLetterReason] = field(default_factory=Counter)
    out_of_order: Counter[str] = field(default_factory=Counter)  # by OrderFault
    gone: int = 0  # offsets that the log lost before they were read; of flows that were parked

    def add(self, other: "DeliveryCounts") -> None:
        """Add the counts of another flow."""
        self.delivered += other.delivered
        self.delivered_bytes += other.delivered_bytes
        self.retried += other.retried
        self.throttled += other.throttled
        self.dead_lettered.update(other.dead_lettered)
        self.out_of_order.update(other.out_of_order)
        self.gone += other.gone


class Lane:
    """One profile's records of one flow, in order, of which one at most is in flight. Home of G3.

    It is never without a head, except `emptied`.

    `in_flight` is written by `depart` and `come_back` alone.

    Of the head: `tries` counts how often it was sent, `failures` its own faults (not those of whole calls),
    `rejections` which of them were rejections; `rejected_after`: how many calls had delivered something before the
    first of those.
    """

    __slots__ = (
        "_behind",
        "emptied",
        "failures",
        "flow",
        "head",
        "in_flight",
        "key",
        "paid",
        "rejected_after",
        "rejections",
        "tries",
    )

    def __init__(self, flow: "FlowLanes", key: bytes, head: Waiting) -> None:
        self.flow = flow
        self.key = key
        self.head = head
        self.in_flight = False
        self.emptied = False
        self.paid = False  # see ShardRates
        self.tries = self.failures = self.rejections = self.rejected_after = 0
        self._behind: deque[Waiting] | None = None  # most lanes hold one record

    def __len__(self) -> int:
        return 0 if self.emptied else 1 + len(self._behind or ())

    def __iter__(self) -> Iterator[Waiting]:
        """Yield all its records, in order."""
        if not self.emptied:
            yield self.head
            yield from self._behind or ()

    def append(self, waiting: Waiting) -> None:
        """Have a record wait behind the others."""
        if self._behind is None:
            self._behind = deque()
        self._behind.append(waiting)

    def depart(self) -> None:
        """Send the head: until `come_back` it is in flight, and the lane waits at no route."""
        self.in_flight = True
        self.flow.counts.retried += self.tries > 0
        self.tries += 1

    def come_back(self) -> None:
        """Note that the head's call has ended."""
        self.in_flight = False

    def advance(self) -> bool:
        """Put the next record in the place of the finished head; return False where the lane is at its end."""
        self.tries = self.failures = self.rejections = 0
        if not self._behind:
            self.emptied = True
            return False
        self.head = self._behind.popleft()
        return True

    def take(self, unwanted: Callable[[Waiting], bool]) -> list[Waiting]:
        """Take out what is unwanted, except a head in flight."""
        taken = [waiting for waiting in self._behind or () if unwanted(waiting)]
        if taken:
            self._behind = deque(waiting for waiting in self._behind or () if not unwanted(waiting))
        if not self.in_flight and unwanted(self.head):
            taken.append(self.head)
            self.advance()
        return taken


class FlowLanes:
    """All lanes of one flow, and the route that they take now."""

    def __init__(self, flow_id: str, route: Route) -> None:
        self.id = flow_id
        self.route = route
        self.destination: Destination | None = None  # of `route`; None: there is none
        self.lanes: dict[bytes, Lane] = {}
        self.counts = DeliveryCounts()

    def add(self, key: bytes, waiting: Waiting) -> None:
        """Have a record wait behind all earlier ones of its lane."""
        lane = self.lanes.get(key)
        if lane is not None:
            lane.append(waiting)
            return
        lane = self.lanes[key] = Lane(self, key, waiting)
        self.route.add(lane)

    def finish_head(self, lane: Lane) -> None:
        """Go on with the lane's next record: its head is finished."""
        lane.come_back()
        if lane.advance():
            self.route.add(lane)
        else:
            del self.lanes[lane.key]

    def change_route(self, route: Route, destination: Destination | None) -> None:
        """Move waiting lanes to another route, in their order; those in flight follow when their call has ended."""
        waiting = self.route.remove(self)
        self.route, self.destination = route, destination
        for lane in waiting:
            route.add(lane)

    def take(self, unwanted: Callable[[Waiting], bool]) -> list[Waiting]:
        """Take out everything that is unwanted, except heads in flight."""
        taken = [waiting for lane in self.lanes.values() for waiting in lane.take(unwanted)]
        if taken:
            self.lanes = {key: lane for key, lane in self.lanes.items() if not lane.emptied}
        return taken

    def heads(self) -> Iterable[Waiting]:
        """Return each lane's oldest record."""
        return (lane.head for lane in self.lanes.values())
