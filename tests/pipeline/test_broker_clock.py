"""By whose time memberships end: a worker whose clock is far ahead ends none that the broker's time does not end
(contract F5).
"""

import asyncio

import orjson
import pytest
from structlog.testing import capture_logs

from processor.pipeline.broker_clock import BrokerClock
from processor.pipeline.deadlines import DeadlineSettings
from processor.pipeline.partition import PartitionPipeline
from schemas.kafka import ReadRecord
from schemas.times import parse_time
from tests.kit.given import NOON, a_catalog, cloud_event, realized
from tests.kit.virtual_time import in_virtual_time
from tests.pipeline.fakes import FixedCatalog, MemoryLog, MemoryRows, batch, partition_settings, until

NOW = float(parse_time(NOON))
DAY = 86_400.0
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("sent_at", "stamped_at", "now"),
    [
        (NOW, NOW, NOW),
        (NOW, NOW + 0.3, NOW),  # on its way, or behind: not brought forward
        (NOW + YEAR, NOW, NOW),
        (NOW - YEAR, NOW, NOW - YEAR),
        (NOW + YEAR, None, NOW + YEAR),
    ],
)
def test_f5_the_earlier_one_of_both_clocks_counts(sent_at: float, stamped_at: float | None, now: float) -> None:
    clock = BrokerClock(lambda: sent_at)

    before_any_report = clock.now()
    clock.note_report(sent_at, stamped_at)

    assert before_any_report == 0.0
    assert clock.now() == now


@pytest.mark.parametrize(("elapsed", "latest"), [(0.0, NOW + 2), (4.0, NOW + 6), (3600.0, NOW + 3602)])
def test_f5_a_clock_that_is_set_between_two_reports_ends_nothing_early(elapsed: float, latest: float) -> None:
    """By NTP, or when the machine was asleep: the broker's time goes on by the clock that nobody sets."""
    wall, monotonic = [NOW], [7.0]
    clock = BrokerClock(lambda: wall[0], lambda: monotonic[0])
    clock.note_report(NOW, NOW)

    wall[0], monotonic[0] = NOW + YEAR, 7.0 + elapsed
    while_it_is_wrong = clock.now()
    wall[0] = NOW + elapsed

    assert NOW + elapsed <= while_it_is_wrong <= latest
    assert clock.now() == NOW + elapsed, "clocks that agree are not held back"


def test_f5_a_clock_that_is_ahead_is_said_once_until_it_is_mended() -> None:
    clock = BrokerClock(lambda: NOW)

    with capture_logs() as said:
        for stamped_at in (NOW - 30, NOW - YEAR, NOW - YEAR, NOW, NOW - YEAR):
            clock.note_report(NOW, stamped_at)

    assert [(line["event"], line["seconds"]) for line in said] == [("clock_is_ahead_of_the_broker", YEAR)] * 2


async def expired_after(clock: BrokerClock, deadline: str) -> int:
    """How many events end the membership of somebody at once, by this clock."""
    log, settings = MemoryLog(), partition_settings(deadlines=DeadlineSettings(True, clock.now))
    view, topics = FixedCatalog(a_catalog({"flows": []})), ("source", "changelog")
    failures: list[BaseException] = []
    pipeline = PartitionPipeline(
        MemoryRows(), log, view, settings, topics, on_processed=lambda _: None, on_failure=failures.append
    )
    pipeline.start()
    value = orjson.dumps(cloud_event(realized("a", validUntil=deadline)))
    pipeline.submit(batch([ReadRecord("profile-events", 0, 0, 0, b"p-1", value)]))
    await until(lambda: pipeline.committed_offset >= 1)
    await asyncio.sleep(10.0)
    await pipeline.close()
    assert not failures
    return sum(len(output.events) for output in log.outputs)


@pytest.mark.parametrize(("stamped_at", "events"), [(NOW, 0), (NOW + 2 * DAY, 1)])
@in_virtual_time
async def test_f5_a_worker_that_is_a_year_ahead_ends_only_what_has_ended_by_the_broker(
    stamped_at: float, events: int
) -> None:
    clock = BrokerClock(lambda: NOW + YEAR)
    clock.note_report(NOW + YEAR, stamped_at)

    assert await expired_after(clock, "2026-01-12T12:00:00Z") == events
