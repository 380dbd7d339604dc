"""Records of `exports` sent through the proxy by workers that may be killed; and what then must hold.

The sink and boto3 are real.

traffic = Traffic(seed, proxy, streams)          same seed, same records
await traffic.deliver(kills=1)
traffic.require_all_well(stored)                 nothing lost, no lane out of order, every repeat explained (G1, G3, G4)
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

from processor.delivery.backoff import Backoff
from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from processor.delivery.sink_state import DeliveryStopped
from processor.sandbox.streams import StreamRecord
from schemas.destination import Destination
from tests.delivery.fakes import FakeDeadLetters, FakeDestinations, FakeParking, Record, export_record
from tests.faults.kinesis_proxy.chaos import UNWANTED
from tests.faults.kinesis_proxy.ledger import Stored, mark
from tests.faults.kinesis_proxy.proxy import FaultProxy

REGION = "us-east-2"
PARTITIONS = 2
READ_TIMEOUT_SECONDS = 1.0
SLOW_SECONDS = 0.5  # an answer after that may have come too late for its producer
DELIVERY_SECONDS = 240.0
BATCH_RECORDS = 40
OPTIONS = KinesisOptions(calls_in_flight=3, connect_timeout_seconds=5.0, read_timeout_seconds=READ_TIMEOUT_SECONDS)
LIMITS = DeliveryLimits(
    max_records_per_call=30,
    max_buffered_records=150,
    calls_in_flight=3,
    linger_seconds=0.002,
    probe_seconds=0.03,
    backoff=Backoff(base_seconds=0.004, cap_seconds=0.05),
)
ENVIRON = {"KINESIS_SECRET": "secret"}


class Lane(NamedTuple):
    """One profile and one flow; its partition key is the profile."""

    flow: str
    profile: str


def destination(url: str, stream: str, access_key_id: str = "AKIDEXAMPLE") -> Destination:
    credentials = {"type": "keys", "accessKeyId": access_key_id, "secretKey": "${KINESIS_SECRET}"}
    return Destination.model_validate(
        {"type": "kinesis", "stream": stream, "region": REGION, "endpointUrl": url, "credentials": credentials}
    )


class Traffic:
    """`streams`: where each flow delivers; several flows may share one.

    Each worker signs with an access key id of its own.
    """

    def __init__(
        self,
        seed: int,
        proxy: FaultProxy,
        streams: Mapping[str, str],
        *,
        records: int = 240,
        profiles: int = 24,
        limits: DeliveryLimits = LIMITS,
    ) -> None:
        self._dice = random.Random(f"traffic {seed}")
        self._proxy = proxy
        self._streams = streams
        self.records = [self._record(offset, profiles) for offset in range(records)]
        self.dead_letters = FakeDeadLetters()
        self._parked = FakeParking()
        for record in self.records:
            self._parked.exports.log[record.partition].append(record)
        self._parked.exports.ends = dict.fromkeys(range(PARTITIONS), records)
        self.committed = dict.fromkeys(range(PARTITIONS), 0)
        self.out_of_order: Counter[str] = Counter()
        self._workers = 0
        self._limits = limits

    def _record(self, offset: int, profiles: int) -> Record:
        number = self._dice.randrange(profiles)
        profile = f"{UNWANTED}-{number}" if self._dice.random() < 0.02 else f"p-{number}"
        return export_record(offset, profile, self._dice.choice(list(self._streams)), partition=number % PARTITIONS)

    async def deliver(self, kills: int = 0) -> None:
        """Everything, by one worker after the other; each but the last is killed at some time."""
        for _ in range(kills):
            async with self._worker() as sink:
                enough = self._dice.randrange(len(self.records) // 2)
                await self._until(partial(self._has_delivered, sink, enough))
        async with self._worker() as sink:
            await self._until(lambda: not self._left())
            self.out_of_order = sum((Counter(flow.out_of_order) for flow in sink.status().values()), Counter())

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Sink]:
        """Feed a sink from where progress stands, and cut it off at the end: calls in flight go on without it."""
        self._workers += 1
        places = {
            flow: destination(self._proxy.url, stream, f"WORKER{self._workers}")
            for flow, stream in self._streams.items()
        }
        sink = Sink(
            destinations=FakeDestinations(places),
            open_stream=lambda where: KinesisStream(where, OPTIONS, ENVIRON),
            dead_letters=self.dead_letters,
            parked=self._parked.ports(),
            limits=self._limits,
            on_delivered=self.committed.__setitem__,
            draw=self._dice.random,
        )
        tasks = [asyncio.create_task(sink.run()), asyncio.create_task(self._feed(sink))]
        try:
            yield sink
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, DeliveryStopped):
                    await task

    async def _feed(self, sink: Sink) -> None:
        start = dict(self.committed)
        for partition, position in start.items():
            await sink.take_over(partition, position, dict(self._parked.rows.rows[partition]))
        for begin in range(0, len(self.records), BATCH_RECORDS):
            for partition in range(PARTITIONS):
                batch = [each for each in self.records[begin : begin + BATCH_RECORDS] if each.partition == partition]
                await sink.deliver(
                    partition, [each for each in batch if each.offset >= start[partition]], begin + BATCH_RECORDS
                )

    def _has_delivered(self, sink: Sink, enough: int) -> bool:
        return sum(flow.delivered for flow in sink.status().values()) >= enough or not self._left()

    def _left(self) -> bool:
        """Return whether something is not delivered; what a flow has parked is not, wherever its partition is."""
        return any(committed < len(self.records) for committed in self.committed.values()) or any(
            self._parked.rows.rows.values()
        )

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DELIVERY_SECONDS):
            while not done():
                await asyncio.sleep(0.005)

    def require_all_well(self, streams: Mapping[str, Sequence[StreamRecord]]) -> None:
        """`streams`: what each stream holds, shard by shard, when the proxy is quiet."""
        found = {stream: [_as_stored(record) for record in records] for stream, records in streams.items()}
        assert found == {stream: self._proxy.ledger.stored(stream) for stream in streams}, "the ledger is wrong"
        self._require_nothing_lost({stream: {each.record for each in stored} for stream, stored in found.items()})
        self._require_order(streams)
        self._require_repeats_explained()
        assert self.out_of_order == {}

    def _require_nothing_lost(self, found: Mapping[str, set[str]]) -> None:
        unwanted = {each.offset for each in self.records if _is_unwanted(each)}
        missing = [
            each.offset
            for each in self.records
            if not _is_unwanted(each) and _mark(each) not in found[self._stream_of(each)]
        ]
        assert missing == []
        assert set(self.dead_letters.reasons()) == {(offset, "rejected") for offset in unwanted}
        assert sum(map(len, found.values())) == len(self.records) - len(unwanted), "strangers in the streams"

    def _require_order(self, streams: Mapping[str, Sequence[StreamRecord]]) -> None:
        lanes: dict[Lane, list[int]] = defaultdict(list)
        for records in streams.values():
            for record in records:
                offset, flow = record.data.decode().rsplit("-", 2)[1:]
                lane = lanes[Lane(flow, record.partition_key)]
                if int(offset) not in lane:
                    lane.append(int(offset))
        assert {lane: offsets for lane, offsets in lanes.items() if offsets != sorted(offsets)} == {}

    def _require_repeats_explained(self) -> None:
        """By a doubt, or by the death of the worker that was told."""
        told = [repeat for repeat in self._proxy.ledger.repeats(SLOW_SECONDS) if repeat.because is None]
        unexplained = [repeat for repeat in told if repeat.before.producer == repeat.again.producer]
        assert [(repeat.record, repeat.before.number, repeat.again.number) for repeat in unexplained] == [], (
            "repeated without a doubt"
        )

    def _stream_of(self, record: Record) -> str:
        return self._streams[dict(record.headers)["flow-id"].decode()]


def _as_stored(record: StreamRecord) -> Stored:
    return Stored(mark(record.partition_key, record.data), record.shard, record.sequence_number)


def _is_unwanted(record: Record) -> bool:
    return UNWANTED in (record.key or b"").decode()


def _mark(record: Record) -> str:
    return mark((record.key or b"").decode(), record.value or b"")
