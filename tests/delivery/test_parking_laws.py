"""Pauses, owners and responses in any order: what parking must never do (contract G3, G4)."""

import asyncio
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.delivery.backoff import Backoff
from processor.delivery.limits import DeliveryLimits
from tests.delivery.owners import FLOWS, Group
from tests.kit.virtual_time import in_virtual_time

LIMITS: Final = DeliveryLimits(
    max_records_per_call=20,
    max_buffered_records=60,
    probe_records=3,
    probe_seconds=4.0,
    park_after_seconds=1.0,
    release_seconds=30.0,
    backoff=Backoff(base_seconds=0.1, cap_seconds=2.0),
)

Step = tuple[Any, ...]
lanes = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(sorted(FLOWS))), min_size=1, max_size=120)
produce = st.tuples(st.just("produce"), lanes)
wait = st.tuples(st.just("wait"), st.sampled_from((0.01, 0.1, 0.5, 1.5, 6.0, 20.0)))
breaks = st.tuples(
    st.just("break"),
    st.sampled_from(("one", "two")),
    st.sampled_from(("refused", "away", "throttling", "slow", "silent")),
)
mends = st.tuples(st.just("mend"), st.sampled_from(("one", "two")))
moves = st.tuples(st.just("rebalance"))
orderly = st.lists(st.one_of(produce, wait, breaks, mends, moves), max_size=25)
harsh = st.lists(
    st.one_of(produce, wait, breaks, mends, moves, *(st.tuples(st.just(way)) for way in ("crash", "freeze", "doubt"))),
    max_size=25,
)


async def play(steps: list[Step]) -> Group:
    group = Group(LIMITS)
    group.produce([(0, "vip"), (0, "third"), (1, "other")])
    await group.next_owner()
    for step in steps:
        match step:
            case ("produce", wanted):
                group.produce(wanted)
            case ("wait", seconds):
                await asyncio.sleep(seconds)
            case ("break", stream, how):
                group.broken[stream] = how
            case ("mend", stream):
                group.broken.pop(stream, None)
            case ("doubt",):
                group.broken["one"] = "doubtful"
            case (way,):
                await getattr(group, way)()
    await group.heal()
    return group


@settings(max_examples=100, deadline=None, derandomize=True)
@given(orderly)
def test_g3_g4_no_pause_and_no_rebalance_loses_overtakes_or_repeats_a_record(steps: list[Step]) -> None:
    """In order given away, and without a call in doubt, nothing leaves twice."""

    @in_virtual_time
    async def story() -> None:
        group = await play(steps)
        assert not group.require_everything_in_order()
        assert group.dead_letters.letters == []
        assert group.kinesis.broken_rules == []

    story()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(harsh)
def test_g3_g4_no_crash_and_no_zombie_loses_a_record_or_lets_one_overtake(steps: list[Step]) -> None:
    """Whoever dies or goes on as a zombie may have records sent twice; after dropping those, everything is there, and
    in order.
    """

    @in_virtual_time
    async def story() -> None:
        group = await play(steps)
        group.require_everything_in_order()
        assert group.dead_letters.letters == []

    story()
