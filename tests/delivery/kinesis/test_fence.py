"""A worker that may have lost its partitions sends nothing (G3: Kinesis fences nobody)."""

import asyncio

import pytest

from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.faults import FaultKind
from processor.delivery.kinesis.fence import FENCED, Fence, Fenced
from processor.delivery.kinesis.responses import classify_response
from processor.sandbox.streams import create_stream, read_stream
from schemas.wire.exports import decode_export
from tests.delivery.fakes import World, export_record
from tests.faults.kinesis_proxy.traffic import ENVIRON, REGION, destination
from tests.kit.virtual_time import in_virtual_time


class Group:
    """Whether it still counts on us."""

    counts_on_us = True

    def __call__(self) -> bool:
        return self.counts_on_us


@in_virtual_time
async def test_nothing_is_sent_while_the_fence_is_closed_and_all_of_it_in_order_afterwards() -> None:
    group = Group()
    world = World(may_send=group)
    async with world.running():
        await world.deliver_all(export_record(1))
        group.counts_on_us = False
        await world.deliver(export_record(2), export_record(3, "p-2"), export_record(4))
        await asyncio.sleep(60.0)
        fenced = world.kinesis.offsets()
        trouble = world.sink.status()["vip"].trouble
        group.counts_on_us = True
        assert await world.sink.drain(1.0)

    assert fenced == [1]
    assert trouble == FENCED
    assert world.kinesis.offsets() == [1, 2, 3, 4]
    assert world.sink.status()["vip"].trouble is None


async def test_a_request_is_held_back_when_it_is_about_to_be_written(kinesis: str) -> None:
    """The worker may be stopped between the beginning of a call and its request."""
    group = Group()
    create_stream(kinesis, REGION, "fenced", 1)
    stream = KinesisStream(destination(kinesis, "fenced"), KinesisOptions(1, 5.0, 5.0), ENVIRON, group)
    export = decode_export(export_record(1))

    await stream.put([export])
    group.counts_on_us = False
    with pytest.raises(Fenced) as refused:
        await stream.put([export])
    stream.close()

    assert len(read_stream(kinesis, REGION, "fenced")) == 1
    outcome = classify_response(refused.value, 1)
    assert outcome.whole is not None
    assert outcome.whole.kind is FaultKind.NOT_SENT


def test_how_often_it_closed_is_counted() -> None:
    group = Group()
    fence = Fence(group)
    for counts in (True, False, False, True, False):
        group.counts_on_us = counts
        assert fence.is_open() is counts

    assert fence.times_closed == 2
