"""Fakes of the ports: a Kinesis that can fail in every way and knows what it stored, a catalog, a place for dead
letters.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from math import inf
from typing import Any, NamedTuple

from processor.delivery.backoff import Backoff
from processor.delivery.lanes.budget import Budget
from processor.delivery.lanes.progress import PartitionProgress
from processor.delivery.limits import DeliveryLimits
from processor.delivery.ports import ExportDeadLetter, Page, ParkingPorts
from processor.delivery.sink import Sink
from schemas.destination import Destination
from schemas.export import Export
from schemas.parked_flow import ParkedFlowRow

ANSWER_SECONDS = 0.02
LIMITS = DeliveryLimits(backoff=Backoff(base_seconds=0.1, cap_seconds=2.0))


class Record(NamedTuple):
    """A record of `exports`, as aiokafka's looks."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def export_record(
    offset: int,
    profile: str = "p-1",
    flow: str = "vip",
    *,
    partition: int = 0,
    value: bytes | None = None,
    partition_key: str | None = None,
    hash_key: str | None = None,
    timestamp: int | None = 1_768_174_653_000,
) -> Record:
    """A record as the worker's pipeline writes it; its value is its id, unless given."""
    record_id = f"profile-events-{partition}-{offset}-{flow}"
    headers = [
        ("record-id", record_id.encode()),
        ("flow-id", flow.encode()),
        ("partition-key", (partition_key if partition_key is not None else profile).encode()),
    ]
    if hash_key is not None:
        headers.append(("explicit-hash-key", hash_key.encode()))
    return Record(
        "exports",
        partition,
        offset,
        timestamp,
        profile.encode(),
        record_id.encode() if value is None else value,
        tuple(headers),
    )


def a_destination(stream: str = "profiles") -> Destination:
    return Destination.model_validate({"type": "kinesis", "stream": stream, "region": "us-east-2"})


def a_progress(position: int = 0) -> PartitionProgress:
    """A partition that comes from a position on."""
    return PartitionProgress(0, position, Budget(LIMITS.max_buffered_records, LIMITS.max_buffered_bytes))


class FakeDestinations(dict[str, Destination]):
    """The catalog: flow id → destination."""

    def destination(self, flow_id: str) -> Destination | None:
        return self.get(flow_id)


class FakeDeadLetters:
    """Keeps what it is given; `gate` holds it up, `error` makes it fail."""

    def __init__(self) -> None:
        self.letters: list[ExportDeadLetter] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def put(self, letters: Sequence[ExportDeadLetter]) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.letters.extend(letters)

    def reasons(self) -> list[tuple[int, str]]:
        return [(letter.offset, letter.reason.value) for letter, *_ in self.letters]


class FakeRows:
    """The topic `delivery-positions`, compacted all the time; `gate` holds a write up, `error` makes it fail."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, ParkedFlowRow]] = defaultdict(dict)
        self.written: list[tuple[int, str, ParkedFlowRow | None]] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, partition: int, rows: Mapping[str, ParkedFlowRow | None]) -> None:
        await asyncio.sleep(0.005)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        for key, row in rows.items():
            self.written.append((partition, key, row))
            self.rows[partition].pop(key, None)
            if row is not None:
                self.rows[partition][key] = ParkedFlowRow.model_validate_json(row.model_dump_json(by_alias=True))

    def hold(self, record: Record) -> bool:
        """Whether the rows say that this record is still to be delivered: one that it is, and none that it is not."""
        rows = [row for row in self.of(dict(record.headers)["flow-id"].decode()) if row.partition == record.partition]
        until = max((inf if row.until is None else row.until for row in rows), default=0)
        return record.offset < until and not any(
            record.offset < row.first or any(low <= record.offset < high for low, high in row.finished) for row in rows
        )

    def of(self, flow: str) -> list[ParkedFlowRow]:
        return [row for rows in self.rows.values() for row in rows.values() if row.flow == flow]


class FakeExports:
    """The topic `exports`: `log` is read in pieces of `scanned`; what lies below `begins` is gone."""

    def __init__(self) -> None:
        self.log: dict[int, list[Record]] = defaultdict(list)
        self.begins: dict[int, int] = {}
        self.ends: dict[int, int] = {}  # where markers follow the last record
        self.scanned = 200
        self.pages: list[int] = []  # records of each
        self.closed = False

    async def read(self, partition: int, offset: int, flow_id: str, records: int, size_bytes: int) -> Page:
        await asyncio.sleep(0.01)
        begin = max(offset, self.begins.get(partition, 0))
        log = self.log[partition]
        first = bisect_left(log, begin, key=lambda record: record.offset)
        rest = log[first : first + self.scanned]
        found: list[Record] = []
        next_offset = begin
        for record in rest:
            if len(found) == records or sum(len(each.value or b"") for each in found) >= size_bytes:
                break
            next_offset = record.offset + 1
            if dict(record.headers).get("flow-id") == flow_id.encode():
                found.append(record)
        else:
            if len(rest) < self.scanned:
                next_offset = max(next_offset, self.ends.get(partition, 0))
        self.pages.append(len(found))
        return Page(found, next_offset, begin - offset)

    async def close(self) -> None:
        self.closed = True


class FakeParking:
    """Where parked flows are kept, for as many sinks as come and go."""

    def __init__(self) -> None:
        self.rows, self.exports = FakeRows(), FakeExports()
        self._intervals = count()

    def ports(self) -> ParkingPorts:
        return ParkingPorts(self.rows, self.exports, lambda: f"interval-{next(self._intervals)}")


def nowhere() -> ParkingPorts:
    """For those who park nothing."""
    return FakeParking().ports()


Behaviour = Callable[[Destination, Sequence[Export]], object]
"""What one call comes to: an response, or an exception to raise. May store what it likes by `FakeKinesis.store`."""


class FakeKinesis:
    """Every stream there is. Watches that no lane is in flight twice (G3) and that calls keep their limits (G2)."""

    def __init__(self, limits: DeliveryLimits = LIMITS) -> None:
        self.calls: list[tuple[float, str, list[Export]]] = []
        self.stored: dict[str, list[Export]] = defaultdict(list)
        self.behaviour: Behaviour = self.all_well
        self.seconds: Callable[[], float] = lambda: ANSWER_SECONDS
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.most_in_flight = 0
        self.broken_rules: list[str] = []
        self._limits = limits
        self._in_flight: set[tuple[bytes | None, str]] = set()
        self._calls_in_flight = 0

    def open(self, destination: Destination) -> "FakeStream":
        self.opened.append(destination.stream)
        return FakeStream(self, destination)

    def all_well(self, destination: Destination, exports: Sequence[Export]) -> dict[str, Any]:
        return self.partly(destination, exports, {})

    def partly(self, destination: Destination, exports: Sequence[Export], failed: dict[int, str]) -> dict[str, Any]:
        """Store what is not in `failed` (index → error code), and respond so."""
        self.store(destination, [export for index, export in enumerate(exports) if index not in failed])
        entries = [
            (
                {"ErrorCode": failed[index], "ErrorMessage": "said so"}
                if index in failed
                else {"SequenceNumber": "1", "ErrorCode": None}
            )
            for index in range(len(exports))
        ]
        return {"FailedRecordCount": len(failed), "Records": entries}

    def store(self, destination: Destination, exports: Sequence[Export]) -> None:
        self.stored[destination.stream].extend(exports)

    async def called(self, destination: Destination, exports: Sequence[Export]) -> object:
        lanes = [(export.record.key, export.flow_id) for export in exports]
        self._watch(exports, lanes)
        self.calls.append((asyncio.get_running_loop().time(), destination.stream, list(exports)))
        self._in_flight.update(lanes)
        self._calls_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._calls_in_flight)
        try:
            outcome = self.behaviour(destination, exports)
            await asyncio.sleep(self.seconds())
        finally:
            self._in_flight.difference_update(lanes)
            self._calls_in_flight -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _watch(self, exports: Sequence[Export], lanes: list[tuple[bytes | None, str]]) -> None:
        """Noted, not raised: what a call raises is a response to be classified."""
        rules = {
            "G3: a lane twice in a call": len(set(lanes)) == len(lanes),
            "G3: a lane in two calls at once": self._in_flight.isdisjoint(lanes),
            "G2: too many records, or none": 1 <= len(exports) <= self._limits.max_records_per_call,
            "G2: too many bytes": sum(export.size_bytes for export in exports) <= self._limits.max_call_bytes,
        }
        self.broken_rules += [rule for rule, kept in rules.items() if not kept]

    def offsets(self, stream: str = "profiles") -> list[int]:
        """Offsets of what a stream stored, in order."""
        return [export.record.offset for export in self.stored[stream]]


class FakeStream:
    def __init__(self, kinesis: FakeKinesis, destination: Destination) -> None:
        self._kinesis = kinesis
        self._destination = destination

    async def put(self, exports: Sequence[Export]) -> object:
        return await self._kinesis.called(self._destination, exports)

    def close(self) -> None:
        self._kinesis.closed.append(self._destination.stream)


class World:
    """A sink and the fakes around it."""

    def __init__(
        self,
        limits: DeliveryLimits = LIMITS,
        flows: dict[str, Destination] | None = None,
        may_send: Callable[[], bool] = lambda: True,
        parked: FakeParking | None = None,
        **changes: Any,
    ) -> None:
        self.parked = FakeParking() if parked is None else parked
        self.limits = replace(limits, **changes)
        self.kinesis = FakeKinesis(self.limits)
        self.flows = FakeDestinations({"vip": a_destination()} if flows is None else flows)
        self.dead_letters = FakeDeadLetters()
        self.progress: dict[int, list[int]] = defaultdict(list)
        self.draws: Iterator[float] | None = None
        self.sink = Sink(
            destinations=self.flows,
            open_stream=self.kinesis.open,
            dead_letters=self.dead_letters,
            parked=self.parked.ports(),
            limits=self.limits,
            on_delivered=lambda partition, offset: self.progress[partition].append(offset),
            may_send=may_send,
            clock=asyncio.get_running_loop().time,
            wall_clock=lambda: 1_768_174_663.0 + asyncio.get_running_loop().time(),
            draw=lambda: 1.0 if self.draws is None else next(self.draws),
        )

    @asynccontextmanager
    async def running(self) -> Any:
        """The sink runs inside; its end is waited for, and no call may have broken a rule."""
        run = asyncio.create_task(self.sink.run())
        try:
            yield self
        finally:
            self.sink.stop()
            await run
        assert self.kinesis.broken_rules == []

    async def take_over(self, partition: int, position: int) -> None:
        """As the next owner."""
        await self.sink.take_over(partition, position, dict(self.parked.rows.rows[partition]))

    async def deliver(self, *records: Record, position: int | None = None) -> None:
        last = records[-1]
        log = self.parked.exports.log[last.partition]
        log += [record for record in records if not log or record.offset > log[-1].offset]
        if not self.sink.has(last.partition):
            await self.take_over(last.partition, records[0].offset)
        end = self.parked.exports.ends[last.partition] = last.offset + 1 if position is None else position
        await self.sink.deliver(last.partition, records, end)

    async def deliver_all(self, *records: Record, position: int | None = None, seconds: float = 3600.0) -> None:
        await self.deliver(*records, position=position)
        assert await self.sink.drain(seconds)
