"""Owners of one partition of `exports` that come, go, die and come back as zombies, in virtual time; and what then must hold.

What the group knows is here: who owns the partition, and what was committed. Who owns it no more cannot commit, and does not know it.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress

from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import Export
from processor.delivery.sink import DeliveryStopped, Sink
from schemas.destination import Destination
from tests.delivery.fakes import ANSWER_SECONDS, FakeDeadLetters, FakeDestinations, FakeKinesis, FakePlaces, Record, a_destination, export_record
from tests.delivery.test_answers import client_error

FLOWS = {"vip": a_destination("one"), "other": a_destination("two"), "third": a_destination("one")}
PARTITION = 0
BATCH_RECORDS = 40
COMMIT_SECONDS = 0.5
SILENT_SECONDS = 5.0


class Group:
    """The partition, its records, its owner, and the streams."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self.limits = limits
        self.kinesis = FakeKinesis(limits)
        self.kinesis.behaviour = self._answer
        self.kinesis.seconds = lambda: SILENT_SECONDS if self._is_silent else ANSWER_SECONDS
        self._is_silent = False  # in the call that is being made
        self.parked = FakePlaces()
        self.flows = FakeDestinations(FLOWS)
        self.dead_letters = FakeDeadLetters()
        self.committed = 0
        self.owner: Owner | None = None
        self.zombies: list[Owner] = []
        self.broken: dict[str, str] = {}  # stream → how
        self.in_doubt = 0  # records that were stored by a call that did not say so

    @property
    def log(self) -> list[Record]:
        return self.parked.exports.log[PARTITION]

    def produce(self, lanes: Sequence[tuple[int, str]]) -> None:
        """Records of (profile, flow), with gaps between offsets."""
        for profile, flow in lanes:
            offset = self.log[-1].offset + 1 + profile % 2 if self.log else 0
            self.log.append(export_record(offset, f"p-{profile}", flow))

    async def next_owner(self) -> None:
        self.owner = Owner(self)
        await self.owner.start()

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
        self.broken.clear()
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
        stored = [export for stream in ("one", "two") for export in self.kinesis.stored[stream]]
        times = Counter(export.record.offset for export in stored)
        assert times.keys() == {record.offset for record in self.log}
        lanes: dict[tuple[bytes | None, str], list[int]] = defaultdict(list)
        for export in stored:
            lane = lanes[export.record.key, export.flow_id]
            if export.record.offset not in lane:
                lane.append(export.record.offset)
        assert all(lane == sorted(lane) for lane in lanes.values())
        assert self.dead_letters.letters == []
        return Counter({offset: count - 1 for offset, count in times.items() if count > 1})

    def _answer(self, destination: Destination, exports: Sequence[Export]) -> object:
        how = self.broken.get(destination.stream)
        self._is_silent = how in ("slow", "silent")
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
                failed = dict.fromkeys(range(len(self.kinesis.calls) % 2, len(exports), 2), "ProvisionedThroughputExceededException")
                return self.kinesis.partly(destination, exports, failed)
        return self.kinesis.all_well(destination, exports)


class Owner:
    """A worker, as far as it delivers: it feeds its sink from where the group stands."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._reported = group.committed
        self._tasks: list[asyncio.Task[None]] = []
        self._has_the_partition = True
        self.sink = Sink(
            destinations=group.flows,
            open_stream=group.kinesis.open,
            dead_letters=group.dead_letters,
            parked=group.parked.places(),
            limits=group.limits,
            on_progress=self._note_progress,
            clock=asyncio.get_running_loop().time,
            wall_clock=asyncio.get_running_loop().time,
            draw=lambda: 0.5,
        )

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self.sink.run())]
        await self.sink.take_over(PARTITION, self._group.committed, dict(self._group.parked.rows.rows[PARTITION]))
        self._tasks += [asyncio.create_task(self._feed(self._group.committed)), asyncio.create_task(self._commit_for_ever())]

    async def leave(self) -> None:
        """In order: the rebalance waits for it."""
        self._has_the_partition = False
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
            while self._has_the_partition:
                batch = [record for record in self._group.log if record.offset >= position][:BATCH_RECORDS]
                position = batch[-1].offset + 1 if batch else position
                await self.sink.deliver(PARTITION, batch, position)
                await asyncio.sleep(0.1)
