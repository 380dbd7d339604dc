"""The whole way with real boto3 and endpoints that store: moto and kinesis-local, so that no habit of one is taken for
Kinesis' (section 6).

Where they differ, each test says how. Neither throttles, checks signatures, or minds calls over 500 records.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import boto3
import pytest

from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.lanes.order_check import OrderFault
from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from processor.foundation.sizes import MIB
from processor.sandbox.streams import StreamRecord, create_stream, delete_stream, read_stream
from schemas.destination import Destination
from tests.delivery.fakes import FakeDeadLetters, FakeDestinations, export_record, nowhere
from tests.faults.kinesis_proxy import Do, FaultProxy, Plan, Rule
from tests.kit.kafka import free_ports

REGION = "us-east-2"
SECONDS = 120.0
RAISED_LIMIT_BYTES = 2 * MIB


class Stream(NamedTuple):
    """A stream behind an endpoint, of a name that no other test has; there or not."""

    url: str
    name: str

    def destination(self, url: str | None = None, secret: str = "KINESIS_SECRET") -> Destination:
        credentials = {"type": "keys", "accessKeyId": "AKIDEXAMPLE", "secretKey": "${" + secret + "}"}
        return Destination.model_validate(
            {
                "type": "kinesis",
                "stream": self.name,
                "region": REGION,
                "endpointUrl": url or self.url,
                "credentials": credentials,
            }
        )

    def create(self) -> None:
        create_stream(self.url, REGION, self.name, shards=2)

    def records(self) -> list[StreamRecord]:
        return read_stream(self.url, REGION, self.name)

    def data(self) -> list[bytes]:
        return [record.data for record in self.records()]


@pytest.fixture
def new_stream(each_kinesis: str) -> Iterator[Callable[[], Stream]]:
    streams: list[Stream] = []

    def new() -> Stream:
        streams.append(Stream(each_kinesis, f"s-{uuid4().hex[:8]}"))
        return streams[-1]

    yield new
    for stream in streams:
        delete_stream(stream.url, REGION, stream.name)


@pytest.fixture
def stream(new_stream: Callable[[], Stream]) -> Stream:
    """It is there."""
    stream = new_stream()
    stream.create()
    return stream


class Worker:
    """A sink with real streams."""

    def __init__(self, flows: dict[str, Destination], **limits: Any) -> None:
        self.dead_letters = FakeDeadLetters()
        self.progress: dict[int, int] = {}
        options = KinesisOptions(calls_in_flight=3, connect_timeout_seconds=5.0, read_timeout_seconds=SECONDS)
        self.sink = Sink(
            destinations=FakeDestinations(flows),
            open_stream=lambda destination: KinesisStream(destination, options, {"KINESIS_SECRET": "secret"}),
            dead_letters=self.dead_letters,
            parked=nowhere(),
            limits=DeliveryLimits(calls_in_flight=3, park_after_seconds=3600.0, **limits),
            on_delivered=self.progress.__setitem__,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Worker"]:
        run = asyncio.create_task(self.sink.run())
        await self.sink.take_over(0, 0, {})
        try:
            yield self
        finally:
            self.sink.stop()
            await run

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not holds():
                await asyncio.sleep(0.01)

    async def until_paused(self, flow: str, reason: PauseReason) -> None:
        await self.until(lambda: self.sink.status()[flow].paused is reason)

    async def until_delivered(self, flow: str) -> None:
        await self.until(lambda: not self.sink.status()[flow].waiting)


async def test_g1_g2_full_calls_arrive_whole_and_in_the_order_of_each_lane(stream: Stream) -> None:
    profiles = ["Zoë", "李", "🜚", *(f"p-{number}" for number in range(597))]

    async with Worker({"vip": stream.destination()}).running() as worker:
        records = [export_record(offset, profiles[offset % 600]) for offset in range(1200)]
        await worker.sink.deliver(0, records, 1200)
        assert await worker.sink.drain(SECONDS)

    lanes: dict[str, list[int]] = defaultdict(list)
    for record in stream.records():
        lanes[record.partition_key].append(int(record.data.decode().split("-")[3]))
    assert lanes == {profile: [number, number + 600] for number, profile in enumerate(profiles)}
    assert worker.progress == {0: 1200}
    status = worker.sink.status()["vip"]
    assert (status.retried, status.out_of_order) == (0, {})


async def test_g4_a_stream_that_does_not_exist_pauses_its_flow_until_it_does_and_nothing_is_lost(
    stream: Stream, new_stream: Callable[[], Stream]
) -> None:
    later = new_stream()

    async with Worker(
        {"vip": later.destination(), "other": stream.destination()}, probe_seconds=0.2
    ).running() as worker:
        await worker.sink.deliver(
            0, [export_record(offset, flow=("vip", "other")[offset % 2]) for offset in range(20)], 20
        )
        await worker.until_paused("vip", PauseReason.STREAM_NOT_FOUND)
        await worker.until_delivered("other")
        assert worker.progress == {}

        await asyncio.to_thread(later.create)
        assert await worker.sink.drain(SECONDS)

    assert later.data() == [export_record(offset).value for offset in range(0, 20, 2)]
    assert len(stream.data()) == 10
    assert worker.progress == {0: 20}


async def test_g4_an_endpoint_that_is_not_there_keeps_its_flow_waiting_until_it_is_and_others_go_on(
    stream: Stream, new_stream: Callable[[], Stream]
) -> None:
    """Nobody has ever listened there."""
    (port,) = free_ports(1)
    behind = new_stream()
    behind.create()
    flows = {"vip": behind.destination(f"http://127.0.0.1:{port}"), "other": stream.destination()}

    async with Worker(flows, probe_seconds=0.2).running() as worker:
        await worker.sink.deliver(
            0, [export_record(offset, flow=("vip", "other")[offset % 2]) for offset in range(20)], 20
        )
        await worker.until(lambda: "EndpointConnectionError" in str(worker.sink.status()["vip"].trouble))
        await worker.until_delivered("other")
        assert worker.progress == {}
        with FaultProxy(behind.url, port=port):
            assert await worker.sink.drain(SECONDS)

    assert behind.data() == [export_record(offset).value for offset in range(0, 20, 2)]
    assert worker.progress == {0: 20}


async def test_g7_a_missing_secret_pauses_the_flow_and_others_go_on(stream: Stream) -> None:
    flows = {"vip": stream.destination(secret="NOT_SET"), "other": stream.destination()}

    async with Worker(flows, probe_seconds=0.2).running() as worker:
        await worker.sink.deliver(0, [export_record(1, flow="vip"), export_record(2, flow="other")], 3)
        await worker.until_paused("vip", PauseReason.CREDENTIALS_MISSING)
        await worker.until_delivered("other")
        status = worker.sink.status()["vip"]

    assert (status.waiting, status.delivered) == (1, 0)
    assert "NOT_SET" in str(status.trouble)
    assert len(stream.data()) == 1


def digests(values: list[bytes]) -> list[str]:
    return [hashlib.sha256(value).hexdigest() for value in values]


async def deliver_three(stream: Stream, limit: int, key: str, **limits: Any) -> Worker:
    """One that is `limit` bytes with its key, one of a byte more, and a small one after them in their lane."""
    fitting = limit - len(key.encode())
    records = [export_record(offset, value=b"x" * (fitting + offset), partition_key=key) for offset in (0, 1)]
    async with Worker({"vip": stream.destination()}, **limits).running() as worker:
        await worker.sink.deliver(0, [*records, export_record(2, partition_key=key)], 3)
        assert await worker.sink.drain(SECONDS)
    assert digests(stream.data()) == digests([b"x" * fitting, b"profile-events-0-2-vip"])
    return worker


async def test_g2_a_record_of_exactly_one_mebibyte_arrives_and_one_byte_more_is_a_dead_letter(stream: Stream) -> None:
    """The key counts, as UTF-8: moto counts so too, kinesis-local the data alone."""
    worker = await deliver_three(stream, DeliveryLimits().max_record_bytes, "é" * 256)

    assert worker.dead_letters.reasons() == [(1, "record_too_large")]


async def test_g2_with_a_raised_limit_a_record_of_exactly_that_arrives_and_one_byte_more_is_a_dead_letter(
    kinesis_local: str,
) -> None:
    """A stream may take up to 10 MiB (AWS API reference, UpdateMaxRecordSize); moto never takes more than 1 MiB."""
    stream = Stream(kinesis_local, "raised")
    client = boto3.client(
        "kinesis", endpoint_url=kinesis_local, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_stream(StreamName="raised", ShardCount=1, MaxRecordSizeInKiB=RAISED_LIMIT_BYTES // 1024)
    stream.create()  # waits until it is there

    worker = await deliver_three(stream, RAISED_LIMIT_BYTES, "p-1", max_record_bytes=RAISED_LIMIT_BYTES)

    assert worker.dead_letters.reasons() == [(1, "record_too_large")]


class Odd(NamedTuple):
    """What no Kinesis takes; our own checks let it through."""

    value: bytes | None = None
    partition_key: str | None = None
    hash_key: str | None = None


async def deliver_among_neighbours(stream: Stream, odd: Odd) -> None:
    """It is a dead letter; its neighbours, and what follows it in its lane, arrive."""
    async with Worker({"vip": stream.destination()}, max_record_bytes=2 * MIB).running() as worker:
        records = [export_record(offset, f"p-{offset}") for offset in range(100)]
        records[37] = export_record(37, "p-37", **odd._asdict())
        await worker.sink.deliver(0, [*records, export_record(100, "p-37")], 101)
        assert await worker.sink.drain(SECONDS)
    assert set(stream.data()) == {b"profile-events-0-%d-vip" % offset for offset in range(101) if offset != 37}
    assert worker.dead_letters.reasons() == [(37, "rejected")]
    assert worker.progress == {0: 101}


@pytest.mark.parametrize(
    "odd",
    [
        Odd(value=b"x" * (MIB + 1)),
        Odd(partition_key="k" * 300),
        Odd(partition_key="é" * 257),
        Odd(hash_key=str(2**128)),
    ],
    ids=["too-large", "long-key", "long-key-of-two-bytes-each", "high-hash-key"],
)
async def test_g4_a_record_the_endpoint_does_not_take_is_found_among_its_neighbours(stream: Stream, odd: Odd) -> None:
    """A whole call is rejected for one record in it, and halved; but kinesis-local names one that is too large, by an
    entry's error.

    moto has stored by then what stands before it in the call, so that comes again.
    """
    await deliver_among_neighbours(stream, odd)


async def test_g4_a_record_without_a_partition_key_is_found_among_its_neighbours(kinesis_local: str) -> None:
    """moto takes it; AWS wants 1 to 256 characters."""
    stream = Stream(kinesis_local, "no-key")
    stream.create()

    await deliver_among_neighbours(stream, Odd(partition_key=""))


async def test_g5_keys_of_256_characters_arrive_as_they_are_and_hash_keys_lead_to_their_shards(stream: Stream) -> None:
    keys = ["k", "é" * 256, "李" * 256, "🜚" * 128]
    low, high = "0", str(2**127)  # where the second shard begins; moto fails at the highest key of all

    async with Worker({"vip": stream.destination()}).running() as worker:
        records = [export_record(offset, f"p-{offset}", partition_key=key) for offset, key in enumerate(keys)]
        records += [export_record(offset, f"p-{offset}", hash_key=(low, high)[offset % 2]) for offset in range(10, 14)]
        await worker.sink.deliver(0, records, 14)
        assert await worker.sink.drain(SECONDS)

    stored = {record.data: record for record in stream.records()}
    assert [stored[record.value or b""].partition_key for record in records[:4]] == keys
    shards = [stored[record.value or b""].shard for record in records[4:]]
    assert shards == ["shardId-000000000000", "shardId-000000000001"] * 2
    assert worker.dead_letters.letters == []


async def test_g3_a_stream_that_ignores_partition_keys_is_seen_by_its_responses(stream: Stream) -> None:
    with FaultProxy(stream.url, Plan(rules=(Rule(do=Do.SPREAD),))) as proxy:
        async with Worker({"vip": stream.destination(proxy.url)}).running() as worker:
            await worker.sink.deliver(0, [export_record(offset) for offset in range(12)], 12)
            assert await worker.sink.drain(SECONDS)

    counts = worker.sink.status()["vip"].out_of_order
    assert counts[OrderFault.SHARD_CHANGED] > 0
    assert len(stream.data()) == 12
