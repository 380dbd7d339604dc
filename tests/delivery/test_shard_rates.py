"""How fast shards are fed, learned from responses alone (below 1,000 records/s and 1 MiB/s a shard without
DescribeStream).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.lanes.shard_map import NOWHERE, ShardMap, hash_key_of
from processor.delivery.limits import ShardLimits
from schemas.destination import Destination
from schemas.export import Export
from tests.delivery.fakes import FakeKinesis, World, export_record
from tests.faults.kinesis_proxy.buckets import Shards
from tests.faults.kinesis_proxy.plan import Buckets
from tests.kit.virtual_time import in_virtual_time

TOP = 1 << 128
BEFORE_THE_FIRST_ANSWER = 3 * 500  # calls that leave beside the first one, and may be too much

hash_keys = st.one_of(st.integers(0, TOP - 1), st.sampled_from([0, 1, TOP // 2 - 1, TOP // 2, TOP - 1]))


def owner(hash_key: int, shards: int, generation: int = 0) -> str:
    return f"shardId-{generation}-{hash_key * shards // TOP}"


@given(st.integers(1, 9), st.lists(hash_keys), st.lists(hash_keys))
def test_what_is_known_of_a_shard_is_never_wrong(shards: int, answered: list[int], asked: list[int]) -> None:
    known = ShardMap()
    for hash_key in answered:
        known.learn(hash_key, owner(hash_key, shards))

    assert all(known.shard_of(hash_key) == owner(hash_key, shards) for hash_key in answered)
    assert all(known.shard_of(hash_key) in (None, owner(hash_key, shards)) for hash_key in asked)


@given(st.integers(1, 9), st.integers(1, 9), st.lists(hash_keys), st.lists(hash_keys, min_size=1))
def test_after_a_reshard_the_newest_response_counts_and_ranges_never_overlap(
    before: int, after: int, old: list[int], new: list[int]
) -> None:
    known = ShardMap()
    for hash_key in old:
        known.learn(hash_key, owner(hash_key, before))

    for hash_key in new:
        known.learn(hash_key, owner(hash_key, after, generation=1))
        assert known.shard_of(hash_key) == owner(hash_key, after, generation=1)
    named = [known.shard_of(hash_key) for hash_key in sorted({*old, *new})]
    runs = [
        shard for place, shard in enumerate(named) if shard is not None and (place == 0 or named[place - 1] != shard)
    ]
    assert len(runs) == len(set(runs)) or None in named, "a shard's range is in one piece"


def test_the_hash_key_is_the_md5_of_the_partition_key_unless_it_is_named() -> None:
    """AWS API reference, PutRecords; contract G5. `md5("p-1")` by coreutils' md5sum."""

    def export(**fields: Any) -> Export:
        return Export(export_record(1), "vip", b"", fields.get("key", "p-1"), fields.get("explicit"), 0, 0)

    assert hash_key_of(export()) == 0x70FF83728FB2701CBC52FAC8DF762BF1
    assert hash_key_of(export(explicit="12")) == 12
    assert hash_key_of(export(explicit="1²")) == NOWHERE


class ShardedKinesis:
    """Behaviour of FakeKinesis: shards that refuse what is too much, as AWS' do, and name themselves in responses."""

    def __init__(self, kinesis: FakeKinesis, buckets: Buckets) -> None:
        self._kinesis, self._buckets = kinesis, buckets
        self._shards = Shards(buckets, asyncio.get_running_loop().time)
        self.refused = 0
        self.delivered_at: dict[int, float] = {}

    def __call__(self, destination: Destination, exports: Sequence[Export]) -> object:
        entries: list[dict[str, Any]] = []
        for export in exports:
            entry = {"PartitionKey": export.partition_key, "ExplicitHashKey": export.explicit_hash_key}
            shard = self._shards.shard_of(entry)
            if self._shards.takes(entry, export.size_bytes):
                self._kinesis.store(destination, [export])
                self.delivered_at[export.record.offset] = asyncio.get_running_loop().time()
                entries.append({"SequenceNumber": f"{len(self.delivered_at):056}", "ShardId": f"shardId-{shard}"})
            else:
                self.refused += 1
                entries.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"})
        return {"FailedRecordCount": sum("ErrorCode" in entry for entry in entries), "Records": entries}


@pytest.mark.parametrize(
    ("buckets", "size", "a_second"),
    [
        (Buckets(shards=2), 100, 2_000),
        (Buckets(shards=4), 8 << 10, 4 * 128),  # 1 MiB/s is 128 of 8 KiB
    ],
)
@in_virtual_time
async def test_shards_are_fed_what_they_take_and_hardly_ever_more(buckets: Buckets, size: int, a_second: int) -> None:
    world = World()
    world.kinesis.behaviour = kinesis = ShardedKinesis(world.kinesis, buckets)
    count = 10 * a_second
    async with world.running():
        began = asyncio.get_running_loop().time()
        await world.deliver_all(*(export_record(offset, f"p-{offset}", value=b"x" * size) for offset in range(count)))
        seconds = asyncio.get_running_loop().time() - began

    assert len(world.kinesis.offsets()) == count
    assert count / seconds > 0.9 * a_second
    assert kinesis.refused <= BEFORE_THE_FIRST_ANSWER + 0.02 * count


@in_virtual_time
async def test_where_others_feed_the_same_shards_refusals_stay_few() -> None:
    """A stream that leaves us 300 records a second and shard, which nobody told us."""
    world = World()
    world.kinesis.behaviour = kinesis = ShardedKinesis(world.kinesis, Buckets(shards=2, records=300))
    async with world.running():
        began = asyncio.get_running_loop().time()
        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(12_000)))
        seconds = asyncio.get_running_loop().time() - began

    assert 12_000 / seconds > 0.8 * 600
    assert kinesis.refused < 0.25 * 12_000
    assert world.dead_letters.letters == []


@in_virtual_time
async def test_what_a_shard_refused_leaves_before_what_came_later() -> None:
    """Else a partition's oldest record waits for the whole queue, and with it the offset that the group has
    committed.
    """
    world = World()
    world.kinesis.behaviour = kinesis = ShardedKinesis(world.kinesis, Buckets(shards=1))
    async with world.running():
        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(10_000)))

    assert kinesis.refused > 100
    assert max(kinesis.delivered_at[offset] for offset in range(2_000)) < 3.5


@in_virtual_time
async def test_a_hot_shard_does_not_hold_up_the_others() -> None:
    """Ten seconds' worth of one partition key, and behind it a record for each of a hundred other keys."""
    world = World()
    world.kinesis.behaviour = kinesis = ShardedKinesis(world.kinesis, Buckets(shards=8))
    hot = [export_record(offset, f"p-{offset}", partition_key="hot") for offset in range(10_000)]
    others = [export_record(10_000 + number, f"q-{number}", partition_key=f"k-{number}") for number in range(100)]
    in_the_hot_shard = {10_000 + number for number in range(100) if shard_of(f"k-{number}", 8) == shard_of("hot", 8)}
    async with world.running():
        await world.deliver_all(*hot, *others)

    cold = [at for offset, at in kinesis.delivered_at.items() if offset >= 10_000 and offset not in in_the_hot_shard]
    assert max(kinesis.delivered_at.values()) > 8
    assert max(cold) < 1
    assert kinesis.refused <= BEFORE_THE_FIRST_ANSWER


@in_virtual_time
async def test_profiles_keep_their_order_and_limits_may_be_off() -> None:
    """G3; with 0 nothing is held back, and the shards refuse."""
    world = World(shard=ShardLimits(0, 0))
    world.kinesis.behaviour = kinesis = ShardedKinesis(world.kinesis, Buckets(shards=1, records=200))
    async with world.running():
        await world.deliver_all(*(export_record(offset, f"p-{offset % 50}") for offset in range(2_000)))

    for number in range(50):
        lane = [offset for offset in world.kinesis.offsets() if offset % 50 == number]
        assert lane == sorted(lane)
    assert kinesis.refused > 100


def shard_of(partition_key: str, shards: int) -> int:
    return Shards(Buckets(shards=shards)).shard_of({"PartitionKey": partition_key})
