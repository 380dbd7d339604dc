"""A log may lose its beginning at any moment: each record is processed once, or the worker names the gap.

The consumer, aiokafka's fetcher, the positions and the pipeline are the real ones; Kafka, the changelog and delivery
are in memory.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any, Final

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from processor.foundation.errors import StoppedForOperator
from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings
from processor.foundation.tasks import end_task
from processor.pipeline.partition import PartitionPipeline
from processor.pipeline.pipeline import Pipeline
from processor.transport.owner import Partition
from processor.worker.faust_app import create_app
from processor.worker.gap_stop import FINISH_SECONDS, GapStop
from processor.worker.log_positions import LogPositions
from processor.worker.start_positions import GapFound, OffsetIsGone, RecordsAreGone, SeveralGaps
from schemas.kafka import Batch
from tests.kit.examples import law
from tests.kit.given import a_catalog, a_flow
from tests.kit.virtual_time import VirtualTimeLoop
from tests.pipeline.fakes import FixedCatalog, MemoryLog, MemoryRows, partition_settings
from tests.transport.memory_logs import InLoopConsumer, MemoryBroker, MemoryConsumer, offsets_between

SOURCE: Final = Partition("profile-events", 0)
EXPORTS: Final = Partition("exports", 0)
CATALOG: Final = a_catalog({"flows": [a_flow(attributes=["n"], membershipGate="none")]})
"""Every event leaves as one record: what was processed can be counted."""
EVENT: Final = (
    b'{"specversion":"1.0","id":"%d","source":"/u","type":"profile.patched","time":"2026-01-11T12:00:00Z",'
    b'"data":{"n":%d}}'
)
EXAMPLES: Final = 40
"""Enough: the policy earliest, an exports offset that is not kept, and progress without a position fail in them."""
RESET_POLICY: Final = "none"
SETTLE_SECONDS: Final = 2.0
FEW_BYTES: Final = 1500
"""Of events that wait: about ten, so that reading pauses often."""


class OutputLog(MemoryLog):
    """The pipeline's log; what it exports stands on the topic `exports`."""

    def __init__(self, exports: Callable[[bytes, bytes], object]) -> None:
        super().__init__()
        self._to_exports = exports

    async def commit(self, output: Any) -> int:
        changelog_next_offset = await super().commit(output)
        for record in output.exports:
            self._to_exports(record.key or b"", record.value or b"")
        return changelog_next_offset

    @property
    def processed(self) -> list[int]:
        """Offsets of the events of which a record was exported, in their order."""
        return [int(dict(record.headers)["record-id"].split(b"-")[3]) for record in self.exports]


class HeldCatalog(FixedCatalog):
    """A catalog that may be out of reach."""

    def __init__(self) -> None:
        super().__init__(CATALOG)
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def as_of(self, fetched_at: float) -> Any:
        await self.reachable.wait()
        return self.catalog


class NoHistory:
    """A history that nobody reads."""

    async def record_starts(self, starts: object) -> None: ...

    async def record_skip(self, place: Partition, skipped: object) -> None: ...


class Worker:
    """One worker, from its takeover to its end: the transport's Owner, put together as the runtime does it."""

    def __init__(self, world: "World", accept_gaps: str) -> None:
        settings = Settings(_env_file=None, data_dir=world.folder, partitions=1, accept_gaps=accept_gaps)  # type: ignore[call-arg]  # pydantic-settings' own
        app = create_app(settings)
        self._world = world
        self.failure: BaseException | None = None
        self.client = MemoryConsumer(world.broker, RESET_POLICY)
        self.consumer = InLoopConsumer(app.transport, self._take, _nothing, _nothing)
        self.consumer._thread.client = self.client  # type: ignore[attr-defined]  # InLoopThread's own
        self.consumer.owner = self
        self._rows = MemoryRows(dict(world.log.changelog))
        self._gap_stop = GapStop(self._fail, self._finish)
        self._states = SimpleNamespace(partitions={0: self._rows})
        self._positions = LogPositions(
            settings, self.consumer, self._states, lambda _: True, self._gap_stop, NoHistory()
        )
        self._pipeline = Pipeline(self.consumer, self._fail)
        self._delivered_up_to = 0
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._pipeline.add({0: self._new_part()})
        self.consumer.resume_partitions({SOURCE, EXPORTS})
        try:
            await self.consumer.perform_seek()
        except StoppedForOperator as error:
            self._fail(error)
            return
        fetcher: Any = SimpleNamespace(_stopped=asyncio.Event())
        self._draining = asyncio.create_task(self.consumer._drain_messages(fetcher))

    def _new_part(self) -> PartitionPipeline:
        settings = partition_settings(max_waiting_bytes=FEW_BYTES)
        progress, rows, catalog = partial(self._done, SOURCE), self._rows, self._world.catalog
        ids = ("source", "changelog")
        return PartitionPipeline(
            rows,
            self._world.log,
            catalog,
            settings,
            ids,
            on_processed=progress,
            on_failure=self._fail,
            is_positioned=False,
        )

    async def leave(self, *, commits: bool) -> None:
        """End, in order or (without the last commit) as one that is killed."""
        if self._draining is not None:
            await end_task(self._draining)
        if commits:
            await self.consumer.on_partitions_revoked({SOURCE, EXPORTS})
        await self._pipeline.close()
        await self.client.close()

    async def commit(self) -> None:
        await self.consumer.commit()

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error

    def _done(self, place: Partition, next_offset: int) -> None:
        self.consumer.mark_done(*place, next_offset)
        done = self._pipeline.committed_offsets.get(0, 0) if place == SOURCE else next_offset
        self._gap_stop.note_done(place, done)
        if place == SOURCE:
            self._pipeline.resume_where_room(*place)

    def _finish(self, place: Partition) -> None:
        if place == SOURCE:
            self._pipeline.pass_at_once(0)

    async def _take(self, message: Any) -> None:
        batch: Batch = message.value
        if batch.topic == SOURCE.topic:
            self._pipeline.submit(batch)
            return
        self._world.delivered += [record.offset for record in batch.records]
        self._done(EXPORTS, batch.position)

    # the transport's Owner

    async def start_positions(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        starts, _ = await self._positions.find_starts(partitions)
        for place, start in starts.items():
            if place == SOURCE:
                self._pipeline.begin_at(0, start.position)
        return {place: start.position for place, start in starts.items()}

    async def positions_in_log(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int | None]:
        return await self._positions.find_in_log(reached)

    async def release(self, partitions: Iterable[Partition]) -> None:
        self._gap_stop.forget(list(partitions))
        await self._pipeline.release([0])

    async def drain(self) -> None: ...


async def _nothing(*_: object) -> None: ...


class World:
    """What outlives a worker."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp())
        self.broker = MemoryBroker([SOURCE, EXPORTS])
        self.log = OutputLog(self.broker.logs[EXPORTS].append)
        self.catalog = HeldCatalog()
        self.delivered: list[int] = []


class LogLaw(RuleBasedStateMachine):
    """Kafka, a group and one worker after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.passed: list[Gap] = []
        self.forgotten = False
        self.told: BaseException | None = None

    @initialize(markers=st.integers(0, 2), restarts=st.booleans())
    def begin(self, markers: int, restarts: bool) -> None:
        """A topic that is new, or that holds aborted transactions alone; its first owner may be its second one soon."""
        self._run(self._begin(markers, restarts=restarts))

    async def _begin(self, markers: int, *, restarts: bool) -> None:
        self.world = World()
        for _ in range(markers):
            self.world.broker.logs[SOURCE].append_marker()
        await self._start("")
        if restarts:
            await asyncio.sleep(SETTLE_SECONDS)
            await self._restart(commits=True)

    async def _start(self, accept_gaps: str) -> None:
        if (
            not self.world.log.changelog
        ):  # a new installation: what is gone before its first source position is nobody's
            self.passed.append(Gap(*SOURCE, 0, self.world.broker.logs[SOURCE].begin))
        exports = self.world.broker.logs[EXPORTS]
        if (
            EXPORTS not in self.world.broker.committed and exports.begin == exports.end
        ):  # neither offset nor record: nothing is there to decide about
            self.passed.append(Gap(*EXPORTS, 0, exports.begin))
            self.forgotten = False
        self.worker = Worker(self.world, accept_gaps)
        await self.worker.start()

    def _run(self, story: Any) -> None:
        self._runner.run(story)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._run(self._settle())
        self._runner.close()

    # what happens ---------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 30))
    def append(self, count: int) -> None:
        log = self.world.broker.logs[SOURCE]
        for _ in range(count):
            log.append(b"p-%d" % (log.end % 3), EVENT % (log.end, log.end))

    @rule(count=st.integers(1, 3))
    def append_markers(self, count: int) -> None:
        for _ in range(count):
            self.world.broker.logs[SOURCE].append_marker()

    @rule(place=st.sampled_from([SOURCE, EXPORTS]), left=st.integers(0, 12))
    def retention(self, place: Partition, left: int) -> None:
        log = self.world.broker.logs[place]
        log.remove_below(log.end - left)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.01, 0.3, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    @rule(reachable=st.booleans())
    def catalog(self, reachable: bool) -> None:
        (self.world.catalog.reachable.set if reachable else self.world.catalog.reachable.clear)()

    @rule()
    def commit(self) -> None:
        self._run(self.worker.commit())

    @precondition(lambda self: self.worker.failure is None)
    @rule(commits=st.booleans())
    def restart(self, commits: bool) -> None:
        self._run(self._restart(commits=commits))

    @precondition(lambda self: self.worker.failure is None)
    @rule()
    def restart_without_the_groups_offsets(self) -> None:
        self._run(self._restart(commits=True, forgets=True))

    @precondition(lambda self: isinstance(self.worker.failure, (GapFound, SeveralGaps)))
    @rule(accepts=st.booleans())
    def operator_answers(self, accepts: bool) -> None:
        """Start once more, with the gaps accepted or not."""
        self._run(self._answer(accepts=accepts))

    # what must hold -------------------------------------------------------------------------------------------------

    @invariant()
    def processed_once_and_in_order(self) -> None:
        if hasattr(self, "world"):
            processed = self.world.log.processed
            assert processed == sorted(set(processed))

    @invariant()
    def stopped_for_nothing_but_a_gap(self) -> None:
        if hasattr(self, "worker") and self.worker.failure is not None and self.worker.failure is not self.told:
            self.told = self.worker.failure
            assert isinstance(self.told, (GapFound, SeveralGaps)), repr(self.told)
            for found in self._found():
                self._require_exact(found)

    def _found(self) -> list[GapFound]:
        failure = self.worker.failure
        return (
            list(failure.found)
            if isinstance(failure, SeveralGaps)
            else [failure]
            if isinstance(failure, GapFound)
            else []
        )

    def _require_exact(self, found: GapFound) -> None:
        gap, logs = found.gap, self.world.broker.logs
        if isinstance(found, OffsetIsGone):
            assert self.forgotten, "an offset that nobody removed"
            return
        assert isinstance(found, RecordsAreGone), "there was state all the time"
        place = Partition(gap.topic, gap.partition)
        done = self.world.log.processed if place == SOURCE else self.world.delivered
        assert gap.first < gap.next <= logs[place].begin
        assert place == EXPORTS or not set(done) & set(range(gap.first, gap.next)), "what was done is no gap"
        before = {offset for offset in range(gap.first) if logs[place].records[offset] is not None}
        assert before <= set(done) | set(offsets_between(self._passed(place))), "the gap begins too late"

    def _passed(self, place: Partition) -> list[tuple[int, int]]:
        return [(gap.first, gap.next) for gap in self.passed if (gap.topic, gap.partition) == place]

    async def _restart(self, *, commits: bool, forgets: bool = False) -> None:
        self.world.catalog.reachable.set()
        await self.worker.leave(commits=commits)
        if forgets:
            self.world.broker.committed.clear()
            self.forgotten = True
        await self._start("")
        if forgets and self.world.broker.logs[EXPORTS].offsets():
            assert any(isinstance(found, OffsetIsGone) for found in self._found()), "everything on exports leaves again"

    async def _answer(self, *, accepts: bool) -> None:
        found = self._found()
        self.world.catalog.reachable.set()
        await self.worker.leave(commits=True)
        begins = {place: log.begin for place, log in self.world.broker.logs.items()}
        await self._start(",".join(each.gap.name for each in found) if accepts else "")
        names = {each.gap.name for each in self._found()}
        if not accepts:
            there = {
                each.gap.name
                for each in found
                if not isinstance(each, OffsetIsGone) or self.world.broker.logs[EXPORTS].offsets()
            }
            assert names >= there, "the same gap is told again"
            return
        assert not names & {each.gap.name for each in found}
        if self.worker.failure is None:
            first = {each: 0 if isinstance(each, OffsetIsGone) else each.gap.first for each in found}
            self.passed += [
                each.gap._replace(first=first[each], next=begins[Partition(each.gap.topic, 0)]) for each in found
            ]
            self.forgotten = self.forgotten and not any(isinstance(each, OffsetIsGone) for each in found)

    async def _settle(self) -> None:
        """With time, all that the logs hold is done, or a gap is told."""
        self.world.catalog.reachable.set()
        await asyncio.sleep(SETTLE_SECONDS)
        if self.worker.failure is None and self._lost():
            await asyncio.sleep(FINISH_SECONDS)  # a gap that waits for what was read before
        self.processed_once_and_in_order()
        self.stopped_for_nothing_but_a_gap()
        if self.worker.failure is None:
            assert not self._lost(), f"lost without a word: {self._lost()}"
        await self.worker.leave(commits=False)

    def _lost(self) -> dict[str, list[int]]:
        """Records that were not done and not given up, by topic."""
        lost = {}
        for place, done in ((SOURCE, self.world.log.processed), (EXPORTS, self.world.delivered)):
            written = {offset for offset, record in self.world.broker.logs[place].records.items() if record is not None}
            if left := written - set(done) - set(offsets_between(self._passed(place))):
                lost[place.topic] = sorted(left)
        return lost


def test_every_record_is_processed_once_or_the_worker_stops_and_names_exactly_the_gap() -> None:
    run_state_machine_as_test(
        LogLaw, settings=settings(law(EXAMPLES), phases=[Phase.generate])
    )  # to shrink takes minutes
