"""Takeovers and skips on `audit-events`, by which any offset can be decided again (I4, I5, F5)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.foundation.settings import Settings
from processor.kafka.producers import NotWritten
from processor.worker.partition_history import NotRecorded, PartitionHistory
from processor.worker.start_positions import Skipped, Start
from schemas.kafka import ProducerRecord

SOURCE, EXPORTS = "profile-events", "exports"
NOW = 1_768_174_653.25


class Producer:
    """Keeps what it is given; `error` makes it refuse."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int | None, ProducerRecord]] = []
        self.error: Exception | None = None

    async def write(self, topic: str, records: Sequence[tuple[int | None, ProducerRecord]]) -> None:
        if self.error is not None:
            raise self.error
        self.written.extend((topic, partition, record) for partition, record in records)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value or b"") for _, _, record in self.written]


def history(producer: Producer, folder: Path, **settings: Any) -> PartitionHistory:
    values: Any = {
        "data_dir": folder,
        "max_document_bytes": 4096,
        "dedup_window": 3,
        "membership_expiry": False,
    } | settings
    return PartitionHistory(
        producer, Settings(_env_file=None, **values), "w-1", lambda: NOW
    )  # pydantic-settings' own argument


async def test_a_takeover_is_one_event_with_everything_that_decides_from_which_offset_on(tmp_path: Path) -> None:
    producer = Producer()

    await history(producer, tmp_path).record_starts(
        {(SOURCE, 3): Start(40), (SOURCE, 0): Start(0), (EXPORTS, 3): Start(7)}
    )

    ((topic, partition, record),) = producer.written
    assert (topic, partition, record.key) == ("audit-events", 0, b'["partitions","0,3"]')
    (event,) = producer.events
    version = event["after"].pop("version")
    assert version
    assert event == {
        "time": "2026-01-11T23:37:33Z",
        "who": "w-1",
        "via": "worker",
        "action": "taken_over",
        "kind": "partitions",
        "id": "0,3",
        "before": None,
        "after": {
            "maxDocumentBytes": 4096,
            "dedupWindow": 3,
            "membershipExpiry": False,
            "partitions": [{"partition": 0, "firstOffset": 0}, {"partition": 3, "firstOffset": 40}],
        },
    }


@pytest.mark.parametrize("why", ["SKIP_TO", "ACCEPT_GAPS"])
@pytest.mark.parametrize("topic", [SOURCE, EXPORTS])
async def test_what_is_passed_over_is_an_event_with_both_ends_and_the_setting(
    tmp_path: Path, topic: str, why: Any
) -> None:
    producer = Producer()

    await history(producer, tmp_path).record_starts({(topic, 3): Start(60, Skipped(50, 60, why))})

    skipped = producer.events[0]
    assert (skipped["action"], skipped["kind"], skipped["id"], skipped["who"], skipped["via"]) == (
        "skipped",
        "partitions",
        "3",
        "w-1",
        "worker",
    )
    assert skipped["after"] == {"topic": topic, "partition": 3, "from": 50, "to": 59, "why": why}
    assert [event["action"] for event in producer.events[1:]] == (["taken_over"] if topic == SOURCE else [])


async def test_a_gap_that_is_found_while_a_partition_is_read_is_the_same_event(tmp_path: Path) -> None:
    at_takeover, while_read = Producer(), Producer()
    skipped = Skipped(50, 60, "ACCEPT_GAPS")

    await history(at_takeover, tmp_path).record_starts({(EXPORTS, 3): Start(60, skipped)})
    await history(while_read, tmp_path).record_skip((EXPORTS, 3), skipped)

    assert while_read.written == at_takeover.written


async def test_a_worker_without_partitions_writes_nothing(tmp_path: Path) -> None:
    producer = Producer()

    await history(producer, tmp_path).record_starts({})

    assert producer.written == []


async def test_what_could_not_be_written_is_said_and_is_written_by_the_next_takeover(tmp_path: Path) -> None:
    producer = Producer()
    producer.error = NotWritten("audit-events: no acknowledgement")
    of_worker = history(producer, tmp_path)

    with pytest.raises(NotRecorded, match="the right to write to audit-events"):
        await of_worker.record_starts({(SOURCE, 0): Start(5)})
    producer.error = None
    await of_worker.record_starts({(SOURCE, 0): Start(5)})

    assert [event["action"] for event in producer.events] == ["taken_over"]
