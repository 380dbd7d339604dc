"""No silent wait: what takes longer than 30 s is in the log and in `status`, with what is waited for."""

import asyncio

from structlog.testing import capture_logs

from processor.worker.status_reports import worker_status
from processor.worker.waits import CATALOG, Waits
from tests.kit.memory_worker import BOTH, MemoryWorker, until


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_is_said_once_it_takes_longer_than_30_seconds_then_each_minute_and_when_it_ends() -> None:
    clock = Clock()
    waits = Waits(clock)
    said = []

    with capture_logs() as logs, waits.on("the broker"):
        for clock.now in (29.0, 30.0, 60.0, 89.0, 90.0):
            waits.report()
            said.append((clock.now, dict(waits.long_waits()), len(logs)))

    assert [(now, count) for now, _, count in said] == [(29.0, 0), (30.0, 1), (60.0, 1), (89.0, 1), (90.0, 2)]
    assert said[0][1] == {}
    assert said[1][1] == {"the broker": 30.0}
    assert [(entry["event"], entry["what"], entry["seconds"]) for entry in logs] == [
        ("still_waiting", "the broker", 30),
        ("still_waiting", "the broker", 90),
        ("waiting_ended", "the broker", 90),
    ]
    assert waits.long_waits() == {}


def test_a_wait_that_nobody_noticed_ends_without_a_word() -> None:
    waits = Waits(Clock())

    with capture_logs() as logs, waits.on("the broker"):
        waits.report()

    assert logs == []


def test_waits_for_the_same_are_one_since_the_first_of_them() -> None:
    clock = Clock()
    waits = Waits(clock)
    with waits.on("Kafka"):
        clock.now = 10.0
        with waits.on("Kafka"):
            clock.now = 45.0

            assert waits.long_waits() == {"Kafka": 45.0}


def waiting(worker: MemoryWorker) -> list[str]:
    """What `status` shows half a minute later."""
    worker.now += 31.0
    return [wait.what for wait in worker_status(worker.parts.view, "restoring", "2026-01-01T00:00:00Z", 1e9).waiting]


async def test_every_step_of_a_takeover_says_what_it_waits_for(worker: MemoryWorker) -> None:
    kafka = worker.kafka
    worker.ownership.start()
    steps = {"group": waiting(worker)}

    kafka.hold("catalog")
    takeover = asyncio.create_task(worker.ownership.take_over(BOTH))
    await kafka.is_held("catalog")
    steps["catalog"] = waiting(worker)
    kafka.hold("fence")
    kafka.let_go("catalog")
    await kafka.is_held("fence")
    steps["fence"] = waiting(worker)
    kafka.let_go("fence")
    await until(lambda: bool(worker.parts.view.restoring))
    steps["restore"] = waiting(worker)
    kafka.open_reads()
    await takeover
    kafka.hold("offsets")
    seek = asyncio.create_task(worker.ownership.start_positions(worker.places(BOTH)))
    await kafka.is_held("offsets")
    steps["offsets"] = waiting(worker)
    kafka.hold("rows")
    kafka.let_go("offsets")
    await kafka.is_held("rows")
    steps["rows"] = waiting(worker)
    kafka.let_go("rows")
    await seek

    assert all(len(said) in (1, 2) for said in steps.values()), steps
    assert "the group, to assign partitions" in steps["group"][0]
    assert steps["catalog"] == [CATALOG]
    assert steps["fence"] == [
        f"the transaction coordinator, to fence earlier owners of partition {partition}" for partition in BOTH
    ]
    assert steps["restore"] == ["the restore of partitions 0, 1"]
    assert steps["offsets"] == ["the leaders of partitions and the group's coordinator, for offsets to begin at"]
    assert steps["rows"] == ["Kafka, to read and write the rows of parked flows"]
    assert worker.parts.waits.long_waits() == {}


async def test_a_write_that_kafka_does_not_acknowledge_is_said(worker: MemoryWorker) -> None:
    worker.kafka.is_open = True
    worker.assign(BOTH)
    await until(lambda: worker.recovery is not None and worker.recovery.done())
    worker.kafka.hold("commit")
    worker.process(0, ["ada"])
    await worker.kafka.is_held("commit")

    assert waiting(worker) == ["Kafka, to acknowledge what partition 0 writes"]

    worker.kafka.let_go("commit")
    await until(lambda: not worker.parts.waits.long_waits())


async def test_a_worker_whose_partitions_were_revoked_waits_for_the_group(worker: MemoryWorker) -> None:
    worker.kafka.is_open = True
    await worker.ownership.take_over(BOTH)
    assert waiting(worker) == []

    await worker.revoke(BOTH)

    assert waiting(worker) == ["the group, to assign partitions: its coordinator, and the other workers"]
