"""Tests of profiles that end, with a real worker: what leaves, and that nothing of them is kept (F3, F4)."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from processor.kafka.reading import read_topic
from processor.sandbox.shop import Kind, ShopEvent
from processor.sandbox.streams import read_stream
from processor.sandbox.waiting import wait_until
from schemas.event import EventType
from schemas.kafka import ReadRecord
from schemas.wire.exports import ExportHeader
from schemas.wire.identity_index import identity_key
from schemas.wire.profiles_changelog import decode_row, profile_key
from tests.faults.kinesis_proxy import Do, FaultProxy, Plan, Rule
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import rows_of_changelog, rows_on_disk
from tests.kit.topics import COMPACTED_ALL_THE_TIME, alter_topic
from tests.kit.whole_job import WholeJob

MARKER: Final = "marker-5f0c81"
REFUSED: Final = Plan(rules=(Rule(do=Do.ERROR, status=400, code="AccessDeniedException"),))
REGION: Final = "us-east-2"
NOW_MS: Final = 1_768_120_653_000
SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 50
SETTINGS: Final = {"park_after_seconds": 1, "kinesis_probe_seconds": 1}
FLOW: Final = """
flows:
  - id: vip
    destination: {{type: kinesis, stream: "{stream}", region: us-east-2, endpointUrl: "{endpoint}"}}
    audiences: [{{namespace: ups, id: vip-customers}}]
    attributes: [person.name, note]
    options: {{envelope: cloudevents}}
"""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    return WholeJob(installation, kinesis, tmp_path)


@pytest.fixture
def proxy(job: WholeJob) -> Iterator[FaultProxy]:
    """Before the stream of the flow, which is in force."""
    with FaultProxy(job.kinesis) as proxy:
        job.text = FLOW.format(stream=stream(job), endpoint=proxy.url)
        job.create_streams()
        job.apply()
        yield proxy


def stream(job: WholeJob) -> str:
    return f"vip-{job.installation.settings.app_id}"


def event(number: int, profile: str, data: dict[str, Any], kind: EventType = EventType.PATCHED) -> ShopEvent:
    head = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/test",
        "type": kind,
        "subject": profile,
        "time": "2026-01-11T08:37:33Z",
    }
    return ShopEvent(profile.encode(), orjson.dumps(head | {"data": data}), NOW_MS, Kind.CHANGED)


def member(number: int, profile: str) -> ShopEvent:
    """The profile is in the mapped audience, and its row holds the marker three times."""
    entry = {"status": "realized", "payload": MARKER}
    data = {"note": f"{MARKER}-{number}", "hidden": MARKER, "segmentMembership": {"ups": {"vip-customers": entry}}}
    return event(
        number,
        profile,
        data | {"identityMap": {"ECID": [{"id": profile}], "Email": [{"id": f"{profile}@example.com"}]}},
    )


def index_rows(profile: str) -> list[bytes]:
    """The keys that such a profile has in the index of identities."""
    return [
        identity_key("ECID", profile, profile.encode()),
        identity_key("Email", f"{profile}@example.com", profile.encode()),
    ]


def others() -> Iterator[ShopEvent]:
    """Events of profiles that no flow maps: with them, new segments of the changelog begin."""
    return (event(number, f"other-{number % 20}", {"visits": number}) for number in count())


def status(job: WholeJob) -> dict[str, Any]:
    (found,) = job.status()["flows"]
    return dict(found)


def envelopes(job: WholeJob, profile: str) -> list[dict[str, Any]]:
    """Return what the stream holds of a profile, in its order."""
    records = read_stream(job.kinesis, REGION, stream(job))
    return [orjson.loads(record.data) for record in records if record.partition_key == profile]


def exports(job: WholeJob, profile: str) -> list[ReadRecord]:
    settings = job.installation.settings
    return [record for record in read_topic(settings, settings.topics.exports) if record.key == profile.encode()]


def is_in_changelog(job: WholeJob, text: bytes) -> bool:
    settings = job.installation.settings
    return any(
        text in (record.key or b"") or text in (record.value or b"")
        for record in read_topic(settings, settings.topics.changelog)
    )


def compact_changelog(job: WholeJob, *texts: bytes) -> None:
    """Until none of the texts is in it; each is before."""
    assert all(is_in_changelog(job, text) for text in texts)
    settings = job.installation.settings
    config = COMPACTED_ALL_THE_TIME | {"delete_retention_ms": "100", "max_compaction_lag_ms": "1000"}
    alter_topic(settings.kafka_bootstrap_servers, settings.topics.changelog, **config)
    with flowing(job, others(), EVENTS_A_SECOND):
        wait_until(
            lambda: not any(is_in_changelog(job, text) for text in texts), f"a changelog without {texts}", SECONDS
        )


def row_of(job: WholeJob, profile: str) -> bytes | None:
    """Return a profile's row in the changelog and in RocksDB, which must be equal; no worker may run."""
    key = profile_key(profile.encode())
    in_changelog, in_rocksdb = (
        [rows[key] for rows in each.values() if key in rows] for each in (rows_of_changelog(job), on_disk(job))
    )
    assert in_changelog == in_rocksdb
    return next(iter(in_changelog), None)


def on_disk(job: WholeJob) -> dict[int, dict[bytes, bytes]]:
    return rows_on_disk(job.folder("worker") / "data")


def test_f3_a_profile_that_is_deleted_while_its_destination_is_away_leaves_in_order_and_is_gone(
    job: WholeJob, proxy: FaultProxy
) -> None:
    """By the command; an event on the same id afterwards begins another profile."""
    with job.worker(**SETTINGS) as worker:
        proxy.follow(REFUSED)
        job.send([member(number, "gone") for number in range(3)])
        wait_until(lambda: status(job)["parked"] == 3, "three records that wait, parked", SECONDS)

        result = job.installation.command("profiles", "delete", "gone", "never-seen", "--yes", "--json")
        job.send(
            [
                event(
                    3,
                    "gone",
                    {
                        "person": {"name": "another"},
                        "segmentMembership": {"ups": {"vip-customers": {"status": "realized"}}},
                    },
                )
            ]
        )
        wait_until(lambda: status(job)["waiting"] == 5, "the last record and a first one, behind them", SECONDS)
        before = envelopes(job, "gone")
        proxy.follow(Plan())
        wait_until(
            lambda: len(envelopes(job, "gone")) == 5 and not status(job)["waiting"],
            "all of them at the destination",
            SECONDS,
        )
        compact_changelog(job, MARKER.encode(), *index_rows("gone"))
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert result.exit_code == 0, result.output
    gone, never_seen = map(orjson.loads, result.stdout.splitlines())
    last_id = f"{gone['topic']}-{gone['partition']}-{gone['offset']}-vip"
    assert (gone["known"], gone["row"], gone["records"]) == (True, "tombstone", [{"flow": "vip", "recordId": last_id}])
    assert (never_seen["applied"], never_seen["known"], never_seen["records"]) == (True, False, [])
    assert before == []
    *earlier, last, first = envelopes(job, "gone")
    assert [(each["profileversion"], each["data"]["note"]) for each in earlier] == [
        (number + 1, f"{MARKER}-{number}") for number in range(3)
    ]
    assert (last["id"], last["profileversion"], last["causes"]) == (last_id, 4, '["segment:ups/vip-customers:exited"]')
    exited = {"ups": {"vip-customers": {"status": "exited", "lastQualificationTime": gone["time"]}}}
    assert last["data"] == {
        "segmentMembership": exited,
        "identityMap": {"ECID": [{"id": "gone"}], "Email": [{"id": "gone@example.com"}]},
    }
    assert (first["profileversion"], first["data"]["person"], first["data"]["identityMap"]) == (
        1,
        {"name": "another"},
        {},
    )
    assert "note" not in first["data"]
    row = row_of(job, "gone")
    assert row is not None
    assert decode_row(row).profile.version == 1
    assert not any(MARKER.encode() in value for rows in on_disk(job).values() for value in rows.values())
    assert not any(key in rows for rows in on_disk(job).values() for key in index_rows("gone"))


def test_f4_a_profile_that_is_merged_goes_silently_and_the_survivor_stays_as_it_is(
    job: WholeJob, proxy: FaultProxy
) -> None:
    """An event on the losing id afterwards begins another profile, and so an export."""
    with job.worker(**SETTINGS) as worker:
        job.send([member(0, "lost"), event(1, "survivor", {"person": {"name": "Ada"}})])
        job.wait_until_delivered(SECONDS, worker)
        exported = exports(job, "lost")
        job.send([event(2, "lost", {"into": "survivor"}, EventType.MERGED)])
        job.wait_until_delivered(SECONDS, worker)
        exported_by_the_merge = exports(job, "lost")[len(exported) :]
        compact_changelog(job, MARKER.encode(), profile_key(b"lost"), *index_rows("lost"))
        job.send([event(3, "lost", {"segmentMembership": {"ups": {"vip-customers": {"status": "realized"}}}})])
        wait_until(lambda: len(exports(job, "lost")) > len(exported), "another profile of that id", SECONDS)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert (len(exported), exported_by_the_merge, exports(job, "survivor")) == (1, [], [])
    anew = exports(job, "lost")[-1]
    assert dict(anew.headers)[ExportHeader.PROFILE_VERSION] == b"1"
    assert "note" not in orjson.loads(anew.value or b"")["data"]
    survivor = row_of(job, "survivor")
    assert survivor is not None
    assert decode_row(survivor).profile.attributes == {"person": {"name": "Ada"}}
    assert not any(key in rows for rows in on_disk(job).values() for key in index_rows("lost"))
    assert not any(MARKER.encode() in value for rows in on_disk(job).values() for value in rows.values())
