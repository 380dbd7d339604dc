"""Takeover, release, restore and rebalance in any order, on the real parts: what they must never do.

assign ─► take over ─► seek          a rebalance, a fault, a stop begin between any two steps of these
revoke ─► release
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.kit.memory_kafka import MemoryKafka, unreachable
from tests.kit.memory_worker import MemoryWorker
from tests.kit.rows import require_whole_index, says_whole

SECONDS: Final = 60.0
PARTITIONS: Final = (0, 1)
FIRST_ROWS: Final = 7  # four reads of a restore from nothing
assignments = st.sets(st.sampled_from(PARTITIONS))
reads_ = st.integers(0, 4)
steps_ = st.sampled_from((0, 1, 3, 10, 100))
Result = TypeVar("Result")


class Takeovers(RuleBasedStateMachine):
    """One worker, what the group assigns it, and other owners whenever it has nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.kafka = self.run(self.new_kafka())
        self.worker = self.run(self.new_worker())
        self.assigned: set[int] | None = None  # None: the group rebalances
        self.keys = 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def new_kafka(self) -> MemoryKafka:
        kafka = MemoryKafka(PARTITIONS)
        for partition in PARTITIONS:
            kafka.write_as_another(partition, FIRST_ROWS)
        return kafka

    async def new_worker(self) -> MemoryWorker:
        return MemoryWorker(Path(self.folder.name), self.kafka)

    @precondition(lambda self: self.assigned is None)
    @rule(partitions=assignments, reads=reads_, steps=steps_)
    def assign(self, partitions: set[int], reads: int = 0, steps: int = 0) -> None:
        self.assigned = partitions
        self.run(self.begin(partitions))
        self.go_on(reads, steps)

    async def begin(self, partitions: set[int]) -> None:
        self.worker.assign(partitions)

    @precondition(lambda self: self.assigned is not None)
    @rule(reads=reads_, steps=steps_)
    def revoke(self, reads: int, steps: int) -> None:
        assert self.assigned is not None
        self.run(self.worker.revoke(self.assigned))
        self.assigned = None
        self.go_on(reads, steps)

    @rule(reads=reads_, steps=steps_)
    def go_on(self, reads: int, steps: int) -> None:
        """So many reads of the changelog, and so many turns of the event loop."""

        async def turns() -> None:
            for _ in range(reads):
                self.kafka.reads.release()
            for _ in range(steps):
                await asyncio.sleep(0)

        self.run(turns())

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 3))
    def process(self, partition: int, count: int) -> None:
        keys = [f"k{self.keys + number}" for number in range(count)]
        self.keys += count
        if partition in self.worker.parts.pipeline.committed_offsets:
            self.run(self.submit(partition, keys))

    async def submit(self, partition: int, keys: list[str]) -> None:
        self.worker.process(partition, keys)
        await asyncio.sleep(0)

    @precondition(lambda self: self.assigned is None)
    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 5))
    def another_owner_writes(self, partition: int, count: int) -> None:
        self.kafka.write_as_another(partition, count)

    @rule(is_cancelled=st.booleans())
    def fail_the_next_request(self, is_cancelled: bool) -> None:
        self.kafka.faults.append(asyncio.CancelledError() if is_cancelled else unreachable())

    @precondition(lambda self: self.assigned is not None)
    @rule()
    def stop_and_start_again(self) -> None:
        self.run(self.worker.stop())
        self.require_nothing_unexpected()
        assert self.worker.store.partitions == {}
        self.worker = self.run(self.new_worker())
        self.assigned = None

    @precondition(lambda self: self.assigned is not None)
    @rule()
    def settle(self) -> None:
        """The dust settles: the broker answers, and what failed was started again.

        The worker owns what it was assigned, whole.
        """
        self.kafka.faults.clear()
        self.kafka.open_reads()
        assert self.assigned is not None
        assigned = self.assigned
        self.run(self.until(self.is_recovered))
        if self.worker.has_failed:
            self.stop_and_start_again()
            self.assign(assigned)
            self.run(self.until(self.is_recovered))
        assert self.worker.parts.view.stored.keys() == assigned
        assert self.worker.parts.pipeline.committed_offsets.keys() == assigned
        self.run(
            self.until(lambda: all(self.rows_of(partition) == self.kafka.rows(partition) for partition in assigned))
        )
        self.run(self.until(lambda: all(says_whole(self.kafka.rows(partition)) for partition in assigned)))
        for partition in assigned:
            require_whole_index(self.kafka.rows(partition))
        assert not self.worker.has_failed
        self.kafka.is_open = False

    def is_recovered(self) -> bool:
        assert self.worker.recovery is not None
        return self.worker.recovery.done()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not holds():
                self.require_nothing_unexpected()
                await asyncio.sleep(0.001)

    def rows_of(self, partition: int) -> dict[bytes, bytes]:
        return dict(self.worker.store.partitions[partition].scan_from(b"", b"\x01"))

    @invariant()
    def require_nothing_unexpected(self) -> None:
        assert self.worker.unexpected == []

    def settle_and_stop(self) -> None:
        if self.assigned is None:
            self.assign(set(PARTITIONS))
        self.settle()
        self.run(self.worker.stop())
        self.require_nothing_unexpected()

    def teardown(self) -> None:
        try:
            if not self.worker.unexpected:
                self.settle_and_stop()
        finally:
            self.runner.close()
            self.folder.cleanup()


TestTakeovers = Takeovers.TestCase
TestTakeovers.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink a history takes minutes
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=False,
)
