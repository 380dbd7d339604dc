"""Fakes behind the pipeline's ports: rows in a dict, a log in a list, both able to fail where the real ones do."""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from processor.core.catalog import Catalog
from processor.core.step import Limits
from processor.pipeline.bad_events import BadEventLimit
from processor.pipeline.decider import Policy
from processor.pipeline.jobs.scheduler import JobSettings
from processor.pipeline.jobs.slots import Slots
from processor.pipeline.partition import PartitionSettings
from processor.pipeline.ports import Output
from schemas.kafka import Batch, ProducerRecord, ReadRecord
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, Row, SourcePosition, decode_row, decode_source_position


class Crash(Exception):
    """What a test makes happen."""


class MemoryRows:
    """`pipeline.ports.ProfileRows` in memory.

    `stepped_over`: removed rows that scans passed, as RocksDB does until it compacts them.
    """

    def __init__(self, rows: Mapping[bytes, bytes] | None = None) -> None:
        self.rows = dict(rows or {})
        self.reads = 0
        self.stepped_over = 0
        self._removed: set[bytes] = set()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads += len(keys)
        return [self.rows.get(key) for key in keys]

    @property
    def source_position(self) -> SourcePosition | None:
        value = self.rows.get(SOURCE_POSITION_KEY)
        return None if value is None else decode_source_position(value)

    def apply(self, rows: Mapping[bytes, bytes | None], changelog_next_offset: int) -> None:
        self._removed |= {key for key, value in rows.items() if value is None and key in self.rows}
        self._removed -= {key for key, value in rows.items() if value is not None}
        apply(self.rows, rows)

    def scan_from(self, prefix: bytes, after: bytes = b"") -> Generator[tuple[bytes, bytes], None, None]:
        for key in sorted(self.rows.keys() | self._removed):
            if key.startswith(prefix) and key > after:
                if key in self._removed:
                    self.stepped_over += 1
                else:
                    yield key, self.rows[key]

    def row_count(self) -> int:
        return len(self.profiles)

    @property
    def profiles(self) -> dict[bytes, Row]:
        return {key[1:]: decode_row(value) for key, value in self.rows.items() if key.startswith(b"p")}


class MemoryLog:
    """`pipeline.ports.PartitionLog` in memory: everything that was committed, and the rows as the changelog has them.

    `crash_after` commits (durable or not, as `crash_durable` says) the next one raises; `gate` holds commits back.
    `torn_after`: of a commit that raises, everything but rows is there, and so many rows, as in a log without
    transactions.
    """

    torn_after: int | None = None
    close_error: BaseException | None = None

    def __init__(self, crash_after: int | None = None, crash_durable: bool = False) -> None:
        self.crash_after, self.crash_durable = crash_after, crash_durable
        self.outputs: list[Output] = []
        self.changelog: dict[bytes, bytes] = {}
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def take_over(self) -> None:
        """Nothing to do."""

    async def complete_commit(self) -> None:
        """Nothing to do."""

    async def commit(self, output: Output) -> int:
        await self.gate.wait()
        await asyncio.sleep(0)
        crashes = self.crash_after is not None and len(self.outputs) >= self.crash_after
        if not crashes or self.crash_durable:
            self.outputs.append(output)
            apply(self.changelog, output.rows)
        elif self.torn_after is not None:
            self.outputs.append(output)
            apply(self.changelog, dict(list(output.rows.items())[: self.torn_after]))
        if crashes:
            raise Crash
        return len(self.outputs)

    async def close(self) -> None:
        self.closed = True
        if self.close_error is not None:
            raise self.close_error

    @property
    def exports(self) -> list[ProducerRecord]:
        return [record for output in self.outputs for record in output.exports]

    @property
    def dead_letters(self) -> list[ProducerRecord]:
        return [record for output in self.outputs for record in output.dead_letters]


class MemoryFetching:
    """`pipeline.ports.Fetching` in memory: what it was told, and which partitions are paused."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.paused: set[int] = set()

    def pause(self, topic: str, partition: int) -> None:
        self.told.append(("pause", partition))
        self.paused.add(partition)

    def resume(self, topic: str, partition: int) -> None:
        self.told.append(("resume", partition))
        self.paused.discard(partition)


class FixedCatalog:
    """`pipeline.ports.CatalogView` that changes when a test says so."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._subscribers: list[Callable[[], None]] = []

    def change(self, catalog: Catalog) -> None:
        self.catalog = catalog
        for notify in self._subscribers:
            notify()

    def subscribe(self, notify: Callable[[], None]) -> Callable[[], None]:
        self._subscribers.append(notify)
        return lambda: self._subscribers.remove(notify)

    async def as_of(self, fetched_at: float) -> Catalog:
        return self.catalog


def apply(rows: dict[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value


def batch(records: Sequence[ReadRecord], position: int | None = None) -> Batch:
    """The records of one fetch."""
    end = records[-1].offset + 1 if records else 0
    return Batch("profile-events", 0, records, end if position is None else position, 0, 0.0)  # type: ignore[arg-type]  # ReadRecord has all that is read


class LoopClock:
    """The running loop's time, and what a test lets pass at once (`passed` seconds)."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.passed


def loop_slots() -> Slots:
    """Slots by the running loop's time."""
    return Slots(LoopClock())


def partition_settings(max_bad_in_a_row: int = 0, **changes: Any) -> PartitionSettings:
    """Settings of a partition that lives by the running loop's time."""
    settings: dict[str, Any] = {
        "policy": Policy(Limits(), BadEventLimit(max_bad_in_a_row)),
        "cache_bytes": 1 << 20,
        "max_waiting_bytes": 1 << 20,
        "linger_seconds": 0.0,
        "clock": LoopClock(),
    }
    if "jobs" not in changes:
        settings["jobs"] = JobSettings(slots=loop_slots())
    return PartitionSettings(**settings | changes)


async def until(holds: Callable[[], bool], seconds: float = 3600.0) -> None:
    """Let others work until it holds, looking after each turn of the loop; where nothing happens, time passes."""
    async with asyncio.timeout(seconds):
        while not holds():
            for _ in range(50):
                await asyncio.sleep(0)
                if holds():
                    return
            await asyncio.sleep(0.05)
