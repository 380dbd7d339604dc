"""Events elsewhere than their keys belong: processed as any, counted each, and told once a minute (contract I12)."""

import asyncio

import orjson
from structlog.testing import capture_logs

from processor.core.misplaced import Misplaced, Placement
from processor.core.partitioner import partition_of
from processor.core.step import Limits
from processor.pipeline.bad_events import BadEventLimit
from processor.pipeline.decider import Policy, RunStart, decide_run
from processor.pipeline.misplaced import ALARM_SECONDS, MisplacedAlarm
from processor.pipeline.partition import PartitionPipeline
from processor.pipeline.pipeline import Pipeline
from processor.pipeline.profiles import Profiles
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from tests.kit.given import a_catalog, a_flow, cloud_event, realized
from tests.kit.virtual_time import in_virtual_time
from tests.pipeline.fakes import FixedCatalog, MemoryLog, MemoryRows, batch, partition_settings

HERE, PARTITIONS = 3, 8
PLACEMENT = Placement(HERE, PARTITIONS, Partitioner.MURMUR2)
KEYS = [b"k-%d" % number for number in range(400)]
AT_HOME = [key for key in KEYS if partition_of(key, PARTITIONS, Partitioner.MURMUR2) == HERE]
BY_CRC32 = next(key for key in KEYS if key not in AT_HOME and partition_of(key, PARTITIONS, Partitioner.CRC32) == HERE)
BY_NONE = next(key for key in KEYS if key not in AT_HOME and partition_of(key, PARTITIONS, Partitioner.CRC32) != HERE)
CATALOG = a_catalog({"flows": [a_flow("f", ["a"])]})


def event(offset: int, key: bytes | None, value: bytes | None = None) -> ReadRecord:
    whole = value or orjson.dumps(
        cloud_event(realized("a"), subject=None if key is None else key.decode(), id=f"e-{offset}")
    )
    return ReadRecord("profile-events", HERE, offset, 0, key, whole)


def policy(placement: Placement | None = PLACEMENT, max_bad_in_a_row: int = 0) -> Policy:
    return Policy(Limits(), BadEventLimit(max_bad_in_a_row), placement)


def test_i12_one_misplaced_key_among_many_is_seen_at_every_event_of_it() -> None:
    profiles, counted = Profiles(MemoryRows(), 1 << 20), 0
    for run in range(5):  # the profile is new at first, then decided, then cached: it counts all the same
        records = [event(100 * run + number, key) for number, key in enumerate([*AT_HOME[:30], BY_CRC32])]
        decided = decide_run(records, profiles, CATALOG, policy(), RunStart(run, 0, b"0", {}))
        assert decided.misplaced == Misplaced(
            1, {"crc32": 1}, "profile-events", 100 * run + 30, partition_of(BY_CRC32, 8, Partitioner.MURMUR2)
        )
        assert decided.counts.applied == 31
        profiles.applied(run, decided.rows)
        counted += decided.misplaced.events
    assert counted == 5


def test_i12_events_at_home_of_no_key_and_with_no_partitioner_are_not_misplaced() -> None:
    profiles = Profiles(MemoryRows(), 1 << 20)

    at_home = decide_run(
        [event(0, AT_HOME[0]), event(1, None), event(2, b"")], profiles, CATALOG, policy(), RunStart(0, 0, b"0", {})
    )
    unknown = decide_run([event(3, BY_CRC32)], profiles, CATALOG, policy(None), RunStart(1, 0, b"0", {}))

    assert (at_home.misplaced, unknown.misplaced) == (None, None)


def test_i12_what_a_run_does_not_pass_is_not_counted() -> None:
    """It is read again, and counted then (I4 stops at the second bad event)."""
    records = [event(0, BY_NONE), event(1, BY_NONE, b"bad"), event(2, BY_NONE, b"bad"), event(3, BY_NONE)]

    decided = decide_run(
        records, Profiles(MemoryRows(), 0), CATALOG, policy(max_bad_in_a_row=2), RunStart(0, 0, b"0", {})
    )

    assert decided.stop is not None
    assert decided.misplaced is not None
    assert (decided.misplaced.events, decided.misplaced.fitting) == (2, {})


@in_virtual_time
async def test_i12_a_partition_counts_what_is_committed_and_the_worker_counts_all_of_its_partitions() -> None:
    done, whole = asyncio.Event(), Pipeline(Fetching(), raise_again)
    ids = ("source", "changelog")
    partition = PartitionPipeline(
        MemoryRows(),
        MemoryLog(),
        FixedCatalog(CATALOG),
        partition_settings(policy=policy()),
        ids,
        on_processed=lambda _: done.set(),
        on_failure=raise_again,
    )

    with capture_logs() as logs:
        whole.add({HERE: partition})
        partition.submit(batch([event(0, AT_HOME[0]), event(1, BY_CRC32), event(2, BY_NONE)]))
        await done.wait()
    of_partitions = whole.misplaced
    await whole.release([HERE])

    assert of_partitions == {HERE: 2}
    assert (whole.counts().misplaced, whole.counts().misplaced_fitting) == (2, {"crc32": 1}), (
        "also of partitions that are gone"
    )
    assert [entry["event"] for entry in logs if entry["event"] == "misplaced_events"] == ["misplaced_events"]


def raise_again(error: BaseException) -> None:
    raise error


class Fetching:
    def pause(self, topic: str, partition: int) -> None:
        """Nothing is fetched."""

    def resume(self, topic: str, partition: int) -> None:
        """Nor again."""


def test_i12_the_alarm_names_place_home_and_remedy_at_once_and_then_once_a_minute() -> None:
    now = 100.0
    alarm = MisplacedAlarm(PLACEMENT, lambda: now)

    def note(offset: int, events: int = 1) -> None:
        alarm.note(Misplaced(events, {"crc32": events}, "profile-events", offset, 4))

    with capture_logs() as logs:
        note(7)
        now += ALARM_SECONDS - 1
        note(8, 10)
        note(9)
        now += 1
        note(12)

    first, later = logs
    assert (first["topic"], first["partition"], first["offset"], first["belongs_in"]) == ("profile-events", HERE, 7, 4)
    assert (first["events"], first["log_level"], first["partitioner"]) == (1, "error", "murmur2")
    assert "set PARTITIONER=crc32" in first["remedy"]
    assert (later["offset"], later["events"]) == (12, 12), "those between are in it"
