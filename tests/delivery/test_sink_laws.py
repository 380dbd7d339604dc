"""Generated histories of the sink: outages, relapses, rows and dead letters that are slow or fail, kills, takeovers,
zombies (G1, G3, G4).

What must hold at every moment is what the next owner would find if this one were killed now.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from processor.delivery.backoff import Backoff
from processor.delivery.limits import DeliveryLimits
from tests.delivery.owners import FLOWS, PARTITION, SECONDS_OF, Group, LeasedGroup
from tests.kit.virtual_time import VirtualTimeLoop

LIMITS: Final = DeliveryLimits(
    max_records_per_call=5,
    max_record_bytes=100,
    max_buffered_records=60,
    calls_in_flight=2,
    probe_records=3,
    probe_seconds=2.0,
    park_after_seconds=3.0,
    release_seconds=5.0,
    backoff=Backoff(base_seconds=0.1, cap_seconds=2.0),
)
MOST_INTERVALS_A_STEP: Final = 5
PATIENCE_SECONDS: Final = 30.0  # of a step that waits for something to happen
FLOWS_OF: Final = {"one": ("third", "vip"), "two": ("other",)}
"""By stream."""

STREAMS: Final = st.sampled_from(sorted(FLOWS_OF))
LANES: Final = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(sorted(FLOWS))), min_size=1, max_size=40)
WAYS: Final = st.sampled_from(("well", "refused", "leisurely", "slow", "away", "silent", "throttling", "doubtful"))


class SinkHistories(RuleBasedStateMachine):
    """One partition of `exports`, three flows, two streams; somebody always owns the partition."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._intervals = dict.fromkeys(FLOWS, 0)
        self._group = self._run(_new_group())

    @initialize(lanes=LANES)
    def begin(self, lanes: list[tuple[int, str]]) -> None:
        self._group.produce([(0, "vip"), (0, "third"), (1, "other"), *lanes])
        self._run(self._group.next_owner())

    # what happens ---------------------------------------------------------------------------------------------------

    @rule(lanes=LANES)
    def produce(self, lanes: list[tuple[int, str]]) -> None:
        self._group.produce(lanes)
        self._play(0.3)

    @rule(flow=st.sampled_from(sorted(FLOWS)))
    def produce_what_is_too_large(self, flow: str) -> None:
        """It becomes a dead letter."""
        self._group.produce([(0, flow)], value=b"x" * 200)
        self._play(0.3)

    @rule(seconds=st.sampled_from((0.02, 1.5, 6.0)))
    def wait(self, seconds: float) -> None:
        self._play(seconds)

    @rule(stream=STREAMS)
    def wait_for_an_outage(self, stream: str) -> None:
        """Until a flow is parked."""
        self._group.broken[stream] = "refused"
        self._wait_for(lambda: any(row.until is None for row in self._rows_of(stream)))

    @rule(stream=STREAMS, how=st.sampled_from(("leisurely", "well")))
    def wait_for_the_end_of_an_outage(self, stream: str, how: str) -> None:
        """Until the partition takes a flow's records again; what was parked may not have left by then."""
        self._group.broken[stream] = how
        self._wait_for(lambda: all(row.until is not None for row in self._rows_of(stream)))

    @rule(stream=STREAMS, rows=st.sampled_from(("hang", "fail", "work")))
    def relapse(self, stream: str, rows: str) -> None:
        """An outage ends, and begins again before everything that was parked has left."""
        self._group.produce([(profile % 5, FLOWS_OF[stream][-1]) for profile in range(30)])
        self.wait_for_an_outage(stream)
        self.wait_for_the_end_of_an_outage(stream, "leisurely")
        self._group.broken[stream] = "refused"
        self._wait_for(lambda: self._is_paused(stream))
        self._play(0.5)  # what was delivered last is in the row, and the flow is not parked yet
        self._group.change_rows(rows)
        self._play(LIMITS.park_after_seconds)

    @rule(stream=STREAMS)
    def fall_silent(self, stream: str) -> None:
        """Whole calls of one flow are in flight when it is parked, and are not answered for many looks."""
        self._group.broken[stream] = "well"
        self._play(LIMITS.park_after_seconds)
        self._group.broken[stream] = "silent"
        self._group.produce([(profile % 5, FLOWS_OF[stream][-1]) for profile in range(20)])
        self._play(SECONDS_OF["silent"])

    @rule(stream=STREAMS, how=WAYS, seconds=st.sampled_from((0.02, 6.0)))
    def change_a_stream(self, stream: str, how: str, seconds: float) -> None:
        self._group.broken[stream] = how
        self._play(seconds)

    @rule(rows=st.sampled_from(("hang", "fail", "work")), dead_letters=st.sampled_from(("hang", "work")))
    def change_kafka(self, rows: str, dead_letters: str) -> None:
        self._group.change_rows(rows)
        self._group.change_dead_letters(dead_letters)
        self._play(0.02)

    @rule()
    def delete_or_create_a_flow(self) -> None:
        if self._group.flows.pop("third", None) is None:
            self._group.flows["third"] = FLOWS["third"]
        self._play(0.02)

    @rule(how=st.sampled_from(("rebalance", "crash", "freeze")))
    def change_the_owner(self, how: str) -> None:
        self._run(getattr(self._group, how)())
        self._play(0.02)

    # what must hold -------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_committed_past_what_is_owed(self) -> None:
        """What the group's offset has passed is stored, a durable dead letter, or owed by a durable row."""
        assert self._group.owed_by_nobody() == [], (
            f"committed {self._group.committed}, rows {dict(self._group.parked.rows.rows[PARTITION])}"
        )

    @invariant()
    def no_lane_is_overtaken(self) -> None:
        self._group.require_order()

    @invariant()
    def rows_are_bounded(self) -> None:
        """A flow is parked some times a step, however long the step lasts, and its row is written once a second."""
        intervals: dict[str, set[str]] = {flow: set() for flow in FLOWS}
        writes: Counter[str] = Counter()
        for _, key, row in self._group.parked.rows.written:
            if row is not None:
                intervals[row.flow].add(key)
                writes[row.flow] += 1
        seconds = self._runner.run(_now())
        assert {
            flow: len(keys)
            for flow, keys in intervals.items()
            if len(keys) > self._intervals[flow] + MOST_INTERVALS_A_STEP
        } == {}
        assert {
            flow: count
            for flow, count in writes.items()
            if count > seconds * (1 + len(self._group.zombies)) + 4 * len(intervals[flow])
        } == {}
        self._intervals = {flow: len(keys) for flow, keys in intervals.items()}

    def teardown(self) -> None:
        try:
            if self._group.owner is not None:
                self._run(self._group.heal())
                self._group.require_everything_in_order()
        finally:
            self._runner.close()

    # how it is played -----------------------------------------------------------------------------------------------

    def _play(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    def _is_paused(self, stream: str) -> bool:
        owner = self._group.owner
        return owner is not None and any(owner.sink.pause_of(flow) is not None for flow in FLOWS_OF[stream])

    def _rows_of(self, stream: str) -> list[Any]:
        return [row for flow in FLOWS_OF[stream] for row in self._group.parked.rows.of(flow)]

    def _wait_for(self, holds: Callable[[], bool]) -> None:
        async def waiting() -> None:
            deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
            while not holds() and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.1)

        self._run(waiting())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)


async def _now() -> float:
    return asyncio.get_running_loop().time()


async def _new_group() -> Group:
    return LeasedGroup(LIMITS)


TestSinkHistories = SinkHistories.TestCase
TestSinkHistories.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
