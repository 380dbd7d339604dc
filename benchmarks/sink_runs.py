"""Run delivery's sink alone, on records of `exports`, for `benchmarks.delivery`."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Never

from processor.delivery.kinesis.client import stream_opener
from processor.delivery.ports import ExportDeadLetter, OpenStream, ParkingPorts, Stream
from processor.delivery.sink import Sink
from processor.foundation.settings import Settings
from processor.worker.delivery_settings import delivery_limits, kinesis_options
from schemas.destination import Destination
from schemas.export import Export
from schemas.parked_flow import ParkedFlowRow

RECORD_BYTES: Final = 1_000
BATCH_RECORDS: Final = 500
PACED_A_SECOND: Final = 100
PACED_RECORDS: Final = 1_000
STALL_TICK_SECONDS: Final = 0.001
KEYS: Final = {"ACCESS_KEY_ID": "AKIDEXAMPLE", "SECRET_KEY": "secret"}


class Record(NamedTuple):
    """A record as aiokafka's consumer reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class Catalog(NamedTuple):
    """A catalog of one flow's destination."""

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
    """The records that calls carried, and how late the event loop was (seconds)."""

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
    """Return records of as many profiles, 1,000 bytes each."""
    value = b'{"text":"' + b"x" * (RECORD_BYTES - 11) + b'"}'
    return [_record(first + number, value) for number in range(count)]


def _record(number: int, value: bytes) -> Record:
    key = b"customer-%09d" % number
    headers = (("record-id", b"profile-events-0-%d-vip" % number), ("flow-id", b"vip"), ("partition-key", key))
    return Record("exports", 0, number, 0, key, value, headers)


def a_destination(url: str) -> Destination:
    credentials = {"type": "keys", "accessKeyId": "${ACCESS_KEY_ID}", "secretKey": "${SECRET_KEY}"}
    return Destination.model_validate(
        {"type": "kinesis", "stream": "canned", "region": "us-east-2", "endpointUrl": url, "credentials": credentials}
    )


async def with_sink(
    url: str, settings: Settings, watched: Watched, on_delivered: Callable[[int], None], use: Callable[[Sink], Any]
) -> None:
    sink = Sink(
        destinations=Catalog(a_destination(url)),
        open_stream=watched.opener(stream_opener(kinesis_options(settings), {**os.environ, **KEYS})),
        dead_letters=NoDeadLetters(),
        parked=ParkingPorts(NothingParked(), NothingParked(), str),
        limits=replace(delivery_limits(settings), unknown_flow_seconds=0.0),
        on_delivered=lambda _, offset: on_delivered(offset),
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
    """Return how long each record waited for its acknowledgement, in seconds."""
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
