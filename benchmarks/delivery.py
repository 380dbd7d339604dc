"""Delivery alone, beside stock boto3: python -m benchmarks.delivery [--records 200000] [--answer-ms 20] [--calls 4]
[--interpreted]

    our sink         records of `exports` in, in batches as the worker's agent gets them, until all are acknowledged
    stock boto3      `client.put_records` of 500 records, one call after the other as its users write it, and from as
                     many threads as we have calls in flight; nothing else: no order, no retries

All to the same canned endpoint in a process of its own, one after the other, three rounds; medians. Then the sink alone
at 100 records a second: how long one waits. Ours is compiled, as production has it.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from statistics import median, quantiles
from typing import Any, Final, NamedTuple, Never

import boto3
from botocore.config import Config

from benchmarks.canned import SHARDS
from processor.delivery.kinesis.client import stream_opener
from processor.delivery.ports import ExportDeadLetter, OpenStream, ParkingPorts, Stream
from processor.delivery.sink import Sink
from processor.foundation.settings import Settings
from processor.sandbox.child import ChildServer
from processor.worker.delivery_settings import delivery_limits, kinesis_options
from processor.worker.faust_worker import GC_THRESHOLDS
from processor.worker.hot_path import COMPILED
from schemas.destination import Destination
from schemas.export import Export
from schemas.parked_flow import ParkedFlowRow
from tests.kit.compiled import compiled_packages, preferring

RECORD_BYTES: Final = 1_000
BATCH_RECORDS: Final = 500
ROUNDS: Final = 3
PACED_A_SECOND: Final = 100
PACED_RECORDS: Final = 1_000
STALL_TICK_SECONDS: Final = 0.001
KEYS: Final = {"ACCESS_KEY": "AKIDEXAMPLE", "SECRET_KEY": "secret"}


class Record(NamedTuple):
    """As aiokafka's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class Catalog(NamedTuple):
    """One flow."""

    to: Destination

    def destination(self, flow_id: str) -> Destination:  # noqa: ARG002  # the port's signature
        return self.to


class NoDeadLetters:
    """The endpoint refuses nothing."""

    async def put(self, letters: Sequence[ExportDeadLetter]) -> None:
        raise AssertionError(letters)


class NothingParked:
    """The endpoint always answers: `ParkedRows` and `ExportsLog` that nobody asks."""

    async def write(self, partition: int, rows: Mapping[str, ParkedFlowRow | None]) -> None:
        raise AssertionError((partition, rows))

    async def read(self, partition: int, offset: int, flow_id: str, records: int, size_bytes: int) -> Never:
        raise AssertionError((partition, offset, flow_id, records, size_bytes))

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Watched:
    """What calls carried, and how late the event loop was (seconds)."""

    calls: list[int] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)

    def opener(self, open_stream: OpenStream) -> OpenStream:
        return lambda destination: WatchedStream(open_stream(destination), self.calls)

    async def watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(STALL_TICK_SECONDS)
            self.stalls.append(loop.time() - before - STALL_TICK_SECONDS)


class WatchedStream(NamedTuple):
    """Notes how many records each call carries."""

    stream: Stream
    calls: list[int]

    async def put(self, exports: Sequence[Export]) -> object:
        self.calls.append(len(exports))
        return await self.stream.put(exports)

    def close(self) -> None:
        self.stream.close()


def records(count: int, first: int = 0) -> list[Record]:
    """Of as many profiles, 1,000 bytes each."""
    value = b'{"text":"' + b"x" * (RECORD_BYTES - 11) + b'"}'
    return [_record(first + number, value) for number in range(count)]


def _record(number: int, value: bytes) -> Record:
    key = b"customer-%09d" % number
    headers = (("record-id", b"profile-events-0-%d-vip" % number), ("flow-id", b"vip"), ("partition-key", key))
    return Record("exports", 0, number, 0, key, value, headers)


def a_destination(url: str) -> Destination:
    credentials = {"type": "keys", "accessKeyId": "${ACCESS_KEY}", "secretKey": "${SECRET_KEY}"}
    return Destination.model_validate(
        {"type": "kinesis", "stream": "canned", "region": "us-east-2", "endpointUrl": url, "credentials": credentials}
    )


async def with_sink(
    url: str, settings: Settings, watched: Watched, on_progress: Callable[[int], None], use: Callable[[Sink], Any]
) -> None:
    sink = Sink(
        destinations=Catalog(a_destination(url)),
        open_stream=watched.opener(stream_opener(kinesis_options(settings), {**os.environ, **KEYS})),
        dead_letters=NoDeadLetters(),
        parked=ParkingPorts(NothingParked(), NothingParked(), str),
        limits=replace(delivery_limits(settings), unknown_flow_seconds=0.0),
        on_progress=lambda _, offset: on_progress(offset),
    )
    running = [asyncio.create_task(sink.run()), asyncio.create_task(watched.watch_loop())]
    await use(sink)
    sink.stop()
    await running[0]
    running[1].cancel()


async def flood(url: str, settings: Settings, count: int) -> tuple[float, float, Watched]:
    """(seconds, seconds of CPU, what was watched) of everything."""
    watched, waiting = Watched(), records(count)
    took: list[float] = []

    async def deliver(sink: Sink) -> None:
        await sink.take_over(0, 0, {})
        await sink.take_over(1, 0, {})
        await sink.deliver(0, records(BATCH_RECORDS, first=count), 0)  # connections are opened
        assert await sink.drain(60)
        watched.calls.clear()
        watched.stalls.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        for begin in range(0, count, BATCH_RECORDS):
            batch = waiting[begin : begin + BATCH_RECORDS]
            await sink.deliver(1, batch, batch[-1].offset + 1)
        assert await sink.drain(600)
        took.extend((time.perf_counter() - begun, time.process_time() - cpu))

    await with_sink(url, settings, watched, lambda _: None, deliver)
    return took[0], took[1], watched


async def paced(url: str, settings: Settings) -> list[float]:
    """How long each record waited for its acknowledgement, in seconds."""
    sent: dict[int, float] = {}
    waits: list[float] = []

    def acknowledged(next_offset: int) -> None:
        now = time.perf_counter()
        done = [offset for offset in sent if offset < next_offset]
        waits.extend(now - sent.pop(offset) for offset in done)

    async def deliver(sink: Sink) -> None:
        await sink.take_over(0, 0, {})
        for record in records(PACED_RECORDS):
            sent[record.offset] = time.perf_counter()
            await sink.deliver(0, [record], record.offset + 1)
            await asyncio.sleep(1 / PACED_A_SECOND)
        assert await sink.drain(60)

    await with_sink(url, settings, Watched(), acknowledged, deliver)
    return waits[BATCH_RECORDS // 10 :]


def stock(url: str, count: int, threads: int) -> tuple[float, float]:
    """(seconds, seconds of CPU) of plain boto3."""
    config = Config(max_pool_connections=threads, retries={"total_max_attempts": 1})
    client = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-2",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=config,
    )
    waiting = [{"Data": record.value, "PartitionKey": record.key.decode()} for record in records(count)]
    calls = [waiting[begin : begin + 500] for begin in range(0, count, 500)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda call: client.put_records(StreamName="canned", Records=call), calls[:threads]))
        begun, cpu = time.perf_counter(), time.process_time()
        list(pool.map(lambda call: client.put_records(StreamName="canned", Records=call), calls))
        return time.perf_counter() - begun, time.process_time() - cpu


@dataclass(frozen=True, slots=True)
class Round:
    """Records a second and seconds of CPU a record: ours, stock boto3 with one call at a time, and with as many as
    ours.
    """

    ours: tuple[float, float]
    one_call: tuple[float, float]
    threads: tuple[float, float]


def a_round(url: str, settings: Settings, count: int, watched: list[Watched]) -> Round:
    seconds, cpu, seen = asyncio.run(flood(url, settings, count))
    watched.append(seen)
    fewer, fewest = max(20_000, count // 5), max(10_000, count // 20)
    threads_seconds, threads_cpu = stock(url, fewer, settings.kinesis_calls_in_flight)
    one_seconds, one_cpu = stock(url, fewest, 1)
    return Round(
        (count / seconds, cpu / count),
        (fewest / one_seconds, one_cpu / fewest),
        (fewer / threads_seconds, threads_cpu / fewer),
    )


def report(count: int, answer_ms: int, calls_in_flight: int) -> str:
    """The table."""
    gc.set_threshold(*GC_THRESHOLDS)  # as a worker
    settings = Settings(kinesis_calls_in_flight=calls_in_flight)
    linger = f"linger {settings.kinesis_linger_seconds * 1e3:.0f} ms"
    endpoint, watched = ChildServer("benchmarks.canned", str(answer_ms)), list[Watched]()
    url = endpoint.start()
    try:
        rounds = [a_round(url, settings, count, watched) for _ in range(ROUNDS)]
        waits = asyncio.run(paced(url, settings))
    finally:
        endpoint.stop()
    p50, p99 = median(waits) * 1e3, _percentile(waits, 99) * 1e3
    calls = [carried for seen in watched for carried in seen.calls]
    full = sum(carried == settings.kinesis_max_records_per_call for carried in calls)
    late = [[_percentile(seen.stalls, percent) * 1e3 for seen in watched] for percent in (50, 99)]
    what = f"{'compiled' if COMPILED else 'interpreted'}: {count:,} records of {RECORD_BYTES} bytes"
    return "\n".join(
        [
            f"{what}, {calls_in_flight} calls in flight, answers after {answer_ms} ms, {SHARDS} shards",
            _line("ours", [each.ours for each in rounds]),
            _line(
                "stock boto3, one call at a time", [each.one_call for each in rounds], [each.ours for each in rounds]
            ),
            _line(
                f"stock boto3, {calls_in_flight} threads",
                [each.threads for each in rounds],
                [each.ours for each in rounds],
            ),
            f"full calls    {full} of {len(calls)} ({full / len(calls):.1%})",
            f"event loop    late by {median(late[0]):.1f} ms (p50), {median(late[1]):.1f} ms (p99)",
            f"one record    waits {p50:.0f} ms (p50), {p99:.0f} ms (p99) at {PACED_A_SECOND} records/s; {linger}",
        ]
    )


def _line(name: str, rounds: Sequence[tuple[float, float]], ours: Sequence[tuple[float, float]] = ()) -> str:
    rate, cpu = (median(each[column] for each in rounds) for column in (0, 1))
    times = (
        f"   ours: {median(mine[0] / each[0] for mine, each in zip(ours, rounds, strict=True)):.1f} times"
        if ours
        else ""
    )
    return f"{name:34}{rate:>9,.0f} records/s   {cpu * 1e6:5.1f} µs of CPU a record{times}"


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


def main() -> None:
    """Print the table, here or in a process that has the compiled packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--answer-ms", type=int, default=20)
    parser.add_argument("--calls", type=int, default=4, help="calls in flight (default 4)")
    parser.add_argument("--interpreted", action="store_true", help="as a working copy has it")
    asked = parser.parse_args()
    if not COMPILED and not asked.interpreted:
        command = [sys.executable, "-m", "benchmarks.delivery", *sys.argv[1:]]
        os.execve(sys.executable, command, preferring(compiled_packages(), os.environ))
    print(report(asked.records, asked.answer_ms, asked.calls))


if __name__ == "__main__":
    main()
