"""Owners of one partition of `exports` that come, go, die and come back as zombies, in virtual time; and what then must
hold.

What the group knows is here: who owns the partition, and what was committed. Who owns it no more cannot commit, and
does not know it.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress

from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from processor.delivery.sink_state import DeliveryStopped
from schemas.destination import Destination
from schemas.export import Export
from schemas.parked_flow import ParkedFlowRow
from tests.delivery.fakes import (
    ANSWER_SECONDS,
    FakeDeadLetters,
    FakeDestinations,
    FakeKinesis,
    FakeParking,
    Record,
    a_destination,
    export_record,
)
from tests.delivery.kinesis.test_responses import client_error

FLOWS = {"vip": a_destination("one"), "other": a_destination("two"), "third": a_destination("one")}
PARTITION = 0
BATCH_RECORDS = 40
COMMIT_SECONDS = 0.5
SECONDS_OF = {"leisurely": 1.0, "slow": 5.0, "silent": 5.0}
RESTART_SECONDS = 1.0


class Group:
    """The partition, its records, its owner, and the streams."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self.limits = limits
        self.kinesis = FakeKinesis(limits)
        self.kinesis.behaviour = self._respond
        self.kinesis.seconds = lambda: SECONDS_OF.get(self._how, ANSWER_SECONDS)
        self._how: str | None = None  # the call that is being made goes
        self.parked = FakeParking()
        self.flows = FakeDestinations(FLOWS)
        self.dead_letters = FakeDeadLetters()
        self.committed = 0
        self.owner: Owner | None = None
        self.zombies: list[Owner] = []
        self.broken: dict[str, str] = {}  # stream → how
        self.in_doubt = 0  # records that were stored by a call that did not say so
        self._restarts: set[asyncio.Task[None]] = set()

    @property
    def log(self) -> list[Record]:
        return self.parked.exports.log[PARTITION]

    def produce(self, lanes: Sequence[tuple[int, str]], value: bytes | None = None) -> None:
        """Records of (profile, flow), with gaps between offsets."""
        for profile, flow in lanes:
            offset = self.log[-1].offset + 1 + profile % 2 if self.log else 0
            self.log.append(export_record(offset, f"p-{profile}", flow, value=value))

    def change_rows(self, how: str) -> None:
        """Writing rows hangs, fails or works from now on."""
        self.parked.rows.error = OSError("Kafka refuses the row") if how == "fail" else None
        _set(self.parked.rows.gate, how != "hang")

    def change_dead_letters(self, how: str) -> None:
        """Writing dead letters hangs or works from now on."""
        _set(self.dead_letters.gate, how != "hang")

    def mend(self) -> None:
        """Everything works from now on."""
        self.broken.clear()
        self.change_rows("work")
        self.change_dead_letters("work")

    async def next_owner(self) -> None:
        self.owner = Owner(self)
        await self.owner.start()

    def may_send(self, owner: "Owner") -> bool:  # a group with leases looks at it
        """Whether an owner believes that it still is one: without leases, zombies do."""
        return True

    def restart(self, failed: "Owner") -> None:
        """Somebody else takes over soon, as a supervisor sees to it; a zombie is left alone."""

        async def soon() -> None:
            await asyncio.sleep(RESTART_SECONDS)
            if self.owner is failed:
                await self.next_owner()

        if self.owner is failed:
            task = asyncio.get_running_loop().create_task(soon())
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    async def rebalance(self) -> None:
        assert self.owner is not None
        await self.owner.leave()
        await self.next_owner()

    async def crash(self) -> None:
        assert self.owner is not None
        await self.owner.die()
        await self.next_owner()

    async def freeze(self) -> None:
        """The owner loses the partition and goes on as if it had it, until `end`."""
        assert self.owner is not None
        self.zombies.append(self.owner)
        await self.next_owner()

    async def heal(self) -> None:
        """Everything works again; returns when everything was delivered."""
        self.mend()
        for zombie in self.zombies:
            await zombie.die()
        if self.zombies:
            await self.rebalance()  # what they wrote last is there until the next takeover
        async with asyncio.timeout(10_000.0):
            while self.committed <= self.log[-1].offset or any(self.parked.rows.rows[PARTITION].values()):
                await asyncio.sleep(1.0)
        assert self.owner is not None
        await self.owner.die()

    def require_everything_in_order(self) -> Counter[int]:
        """Nothing is lost, no lane is out of order once repeats are dropped; how often which record was repeated."""
        assert self.kept() == {record.offset for record in self.log}
        self.require_order()
        times = Counter(export.record.offset for export in self._stored())
        return Counter({offset: count - 1 for offset, count in times.items() if count > 1})

    def require_order(self) -> None:
        """No lane is out of order once repeats are dropped."""
        lanes: dict[tuple[bytes | None, str], dict[int, None]] = defaultdict(dict)
        for export in self._stored():
            lanes[export.record.key, export.flow_id].setdefault(export.record.offset)
        assert all(list(lane) == sorted(lane) for lane in lanes.values())

    def kept(self) -> set[int]:
        """The offsets of what is stored or a durable dead letter."""
        return {export.record.offset for export in self._stored()} | {
            offset for offset, _ in self.dead_letters.reasons()
        }

    def owed_by_nobody(self) -> list[int]:
        """What the group's offset has passed although it is not kept, and no row says that it is still to be
        delivered.
        """
        kept, rows = self.kept(), self.parked.rows
        return [
            each.offset
            for each in self.log
            if each.offset < self.committed and each.offset not in kept and not rows.hold(each)
        ]

    def _stored(self) -> list[Export]:
        return [export for stream in ("one", "two") for export in self.kinesis.stored[stream]]

    def _respond(self, destination: Destination, exports: Sequence[Export]) -> object:
        how = self._how = self.broken.get(destination.stream)
        match how:
            case "silent":
                return OSError("no answer")
            case "refused":
                return client_error("AccessDeniedException", 400)
            case "away":
                return client_error("ServiceUnavailable", 503)
            case "doubtful":
                self.kinesis.store(destination, exports)
                self.in_doubt += len(exports)
                return client_error("InternalFailure", 500)
            case "throttling":
                failed = dict.fromkeys(
                    range(len(self.kinesis.calls) % 2, len(exports), 2), "ProvisionedThroughputExceededException"
                )
                return self.kinesis.partly(destination, exports, failed)
        return self.kinesis.all_well(destination, exports)


class LeasedGroup(Group):
    """Its owners send nothing any more when the partition is another's: their leases are over by then."""

    def may_send(self, owner: "Owner") -> bool:
        return owner is self.owner


class Owner:
    """A worker, as far as it delivers: it feeds its sink from where the group stands."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._reported = group.committed
        self._tasks: list[asyncio.Task[None]] = []
        self.sink = Sink(
            destinations=group.flows,
            open_stream=group.kinesis.open,
            dead_letters=group.dead_letters,
            parked=group.parked.ports(),
            limits=group.limits,
            on_delivered=self._note_progress,
            may_send=lambda: group.may_send(self),
            clock=asyncio.get_running_loop().time,
            wall_clock=asyncio.get_running_loop().time,
            draw=lambda: 0.5,
        )

    async def start(self) -> None:
        """Begin; what ends it, as a row that is not written, ends the worker."""
        work = asyncio.create_task(self._work(self._group.committed, dict(self._group.parked.rows.rows[PARTITION])))
        work.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() is None else self._group.restart(self)
        )
        self._tasks = [work]

    async def _work(self, position: int, rows: dict[str, ParkedFlowRow]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sink.run())
            tasks.create_task(self._commit_for_ever())
            await self.sink.take_over(PARTITION, position, rows)
            await self._feed(position)

    async def leave(self) -> None:
        """In order: the rebalance waits for it."""
        await self.sink.release([PARTITION])
        self._commit()
        await self.die()

    async def die(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_progress(self, _: int, offset: int) -> None:
        self._reported = max(self._reported, offset)

    def _commit(self) -> None:
        if self._group.owner is self:
            self._group.committed = max(self._group.committed, self._reported)

    async def _commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            self._commit()

    async def _feed(self, position: int) -> None:
        with suppress(DeliveryStopped):
            while self.sink.has(PARTITION):
                batch = [record for record in self._group.log if record.offset >= position][:BATCH_RECORDS]
                position = batch[-1].offset + 1 if batch else position
                await self.sink.deliver(PARTITION, batch, position)
                await asyncio.sleep(0.1)


def _set(event: asyncio.Event, is_set: bool) -> None:
    if is_set:
        event.set()
    else:
        event.clear()
