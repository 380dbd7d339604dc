"""The whole way with real boto3 and a Kinesis that stores: moto's server on loopback (contract section 6)."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from processor.delivery.answers import PauseReason
from processor.delivery.kinesis import KinesisOptions, KinesisStream
from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from schemas.destination import Destination
from tests.delivery.fakes import FakeDeadLetters, FakeDestinations, export_record

KEYS = {"type": "keys", "accessKeyId": "AKIDEXAMPLE", "secretKey": "${KINESIS_SECRET}"}
DEADLINE_SECONDS = 20.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def admin(endpoint: str) -> Any:
    return boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-2", aws_access_key_id="a", aws_secret_access_key="b")


def a_destination(endpoint: str, stream: str, secret: str = "KINESIS_SECRET") -> Destination:
    credentials = {**KEYS, "secretKey": "${" + secret + "}"}
    return Destination.model_validate(
        {"type": "kinesis", "stream": stream, "region": "us-east-2", "endpointUrl": endpoint, "credentials": credentials}
    )


def create(admin: Any, stream: str) -> None:
    admin.create_stream(StreamName=stream, ShardCount=2)
    admin.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})


def stored(admin: Any, stream: str) -> list[dict[str, Any]]:
    """Every record of the stream, shard by shard, in order."""
    records: list[dict[str, Any]] = []
    for shard in admin.list_shards(StreamName=stream)["Shards"]:
        iterator = admin.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while True:
            answer = admin.get_records(ShardIterator=iterator, Limit=10_000)
            records += answer["Records"]
            iterator = answer["NextShardIterator"]
            if not answer["Records"]:
                break
    return records


class Worker:
    """A sink with real streams. One call at a time: moto loses records when two calls write to one shard together."""

    def __init__(self, flows: dict[str, Destination], **limits: Any) -> None:
        self.dead_letters = FakeDeadLetters()
        self.progress: dict[int, int] = {}
        options = KinesisOptions(calls_in_flight=1, connect_timeout_seconds=5.0, read_timeout_seconds=10.0)
        self.sink = Sink(
            destinations=FakeDestinations(flows),
            open_stream=lambda destination: KinesisStream(destination, options, {"KINESIS_SECRET": "secret"}),
            dead_letters=self.dead_letters,
            limits=DeliveryLimits(calls_in_flight=1, **limits),
            on_progress=self.progress.__setitem__,
        )

    @asynccontextmanager
    async def running(self) -> Any:
        run = asyncio.create_task(self.sink.run())
        try:
            yield self
        finally:
            self.sink.stop()
            await run

    async def until_paused(self, flow: str, reason: PauseReason) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.sink.status()[flow].paused is not reason:
                await asyncio.sleep(0.01)


async def test_g1_g2_full_calls_arrive_whole_and_in_the_order_of_each_lane(endpoint: str, admin: Any) -> None:
    create(admin, "orders")
    profiles = ["Zoë", "李", "🜚", *(f"p-{number}" for number in range(597))]

    async with Worker({"vip": a_destination(endpoint, "orders")}).running() as worker:
        records = [export_record(offset, profiles[offset % 600]) for offset in range(1800)]
        await worker.sink.deliver(0, records, 1800)
        assert await worker.sink.drain(DEADLINE_SECONDS)

    lanes: dict[str, list[int]] = defaultdict(list)
    for record in stored(admin, "orders"):
        lanes[record["PartitionKey"]].append(int(record["Data"].decode().split("-")[3]))
    assert lanes == {profile: [number, number + 600, number + 1200] for number, profile in enumerate(profiles)}
    assert worker.progress == {0: 1800}
    assert worker.sink.status()["vip"].retried == 0


async def test_g4_a_stream_that_does_not_exist_pauses_its_flow_until_it_does_and_nothing_is_lost(endpoint: str, admin: Any) -> None:
    create(admin, "there")
    flows = {"vip": a_destination(endpoint, "later"), "other": a_destination(endpoint, "there")}

    async with Worker(flows, probe_seconds=0.2).running() as worker:
        await worker.sink.deliver(0, [export_record(offset, flow=("vip", "other")[offset % 2]) for offset in range(20)], 20)
        await worker.until_paused("vip", PauseReason.STREAM_NOT_FOUND)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while worker.sink.status()["other"].waiting:
                await asyncio.sleep(0.01)
        assert worker.progress == {}

        await asyncio.to_thread(create, admin, "later")
        assert await worker.sink.drain(DEADLINE_SECONDS)

    assert [record["Data"] for record in stored(admin, "later")] == [export_record(offset).value for offset in range(0, 20, 2)]
    assert len(stored(admin, "there")) == 10
    assert worker.progress == {0: 20}


async def test_g7_a_missing_secret_pauses_the_flow_and_others_go_on(endpoint: str, admin: Any) -> None:
    create(admin, "open")
    flows = {"vip": a_destination(endpoint, "open", secret="NOT_SET"), "other": a_destination(endpoint, "open")}

    async with Worker(flows, probe_seconds=0.2).running() as worker:
        await worker.sink.deliver(0, [export_record(1, flow="vip"), export_record(2, flow="other")], 3)
        await worker.until_paused("vip", PauseReason.CREDENTIALS_MISSING)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while worker.sink.status()["other"].waiting:
                await asyncio.sleep(0.01)
        status = worker.sink.status()["vip"]

    assert (status.waiting, status.delivered) == (1, 0)
    assert status.trouble is not None
    assert "NOT_SET" in status.trouble
    assert len(stored(admin, "open")) == 1


async def test_g2_a_record_of_exactly_one_mebibyte_arrives_and_one_byte_more_is_a_dead_letter(endpoint: str, admin: Any) -> None:
    """moto counts as AWS does: data and partition key, at most 1,048,576 bytes."""
    create(admin, "large")
    limit = DeliveryLimits().max_record_bytes

    async with Worker({"vip": a_destination(endpoint, "large")}).running() as worker:
        fits, too_large = (export_record(offset, value=b"x" * (limit - 3 + offset)) for offset in (0, 1))
        await worker.sink.deliver(0, [fits, too_large, export_record(2)], 3)
        assert await worker.sink.drain(DEADLINE_SECONDS)

    assert [hashlib.sha256(record["Data"]).digest() for record in stored(admin, "large")] == [
        hashlib.sha256(value).digest() for value in (b"x" * (limit - 3), b"profile-events-0-2-vip")
    ]
    assert worker.dead_letters.reasons() == [(1, "record_too_large")]


async def test_g4_a_record_the_endpoint_does_not_take_is_found_among_its_neighbours(endpoint: str, admin: Any) -> None:
    """Here the endpoint's limit is lower than ours: a whole call is rejected for one record in it."""
    create(admin, "strict")
    limits = {"max_record_bytes": 2 * DeliveryLimits().max_record_bytes}

    async with Worker({"vip": a_destination(endpoint, "strict")}, **limits).running() as worker:
        records = [export_record(offset, f"p-{offset}") for offset in range(100)]
        records[37] = export_record(37, "p-37", value=b"x" * DeliveryLimits().max_record_bytes)
        await worker.sink.deliver(0, records, 100)
        assert await worker.sink.drain(DEADLINE_SECONDS)

    assert len(stored(admin, "strict")) == 99
    assert worker.dead_letters.reasons() == [(37, "rejected")]
    assert worker.progress == {0: 100}
