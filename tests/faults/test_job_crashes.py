"""Jobs and expiry on a real Kafka, by workers that are killed meanwhile while flows change and events flow (contract E1, E2, F1, F2, F5, D3).

The other flows' records are exactly replay's. Of the flow that changes: no id twice, no record after one made from a newer state, every job's
record is what its profile was at that offset, and whoever is a member at the end is known to be one.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest
import yaml

from processor.core.catalog import Catalog
from processor.core.jobs import job_record
from processor.core.replay import Replay
from processor.core.step import Limits
from processor.demo.evidence import read_events
from processor.demo.shop import Kind, ShopEvent, shop_events
from processor.fault_points import FAULT_POINTS
from processor.kafka.reading import KafkaRecord, read_compacted, read_topic
from schemas.job import JobKind, JobProgress, PartitionState
from schemas.profile import REALIZED, Profile
from schemas.record import ExportHeader, ExportRecord
from schemas.times import format_time
from tests.kit.crew import Crew, crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.replayed import catalog_in_force
from tests.kit.rows import rows_of_changelog, rows_on_disk
from tests.kit.whole_job import WholeJob

SECONDS: Final = 90.0
PARTITIONS: Final = 4
EVENTS_A_SECOND: Final = 100
CHANGING: Final = "changing"
AUDIENCES: Final = ("store-visitors", "frequent-buyers", "vip-customers")
_SCANS: Final = (JobKind.BACKFILL, JobKind.RESEND)


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(PARTITIONS)
    return WholeJob(installation, kinesis, tmp_path)


class Changes:
    """A flow that is mapped, unmapped, disabled, enabled and deleted at random; `catalogs` are all that were in force."""

    def __init__(self, job: WholeJob, dice: Random) -> None:
        self._job, self._dice = job, dice
        self._file: dict[str, Any] = yaml.safe_load(job.text)
        like = self._file["flows"][0]
        stream = f"{CHANGING}-{job.installation.settings.app_id}"
        self._flow = like | {"id": CHANGING, "name": CHANGING, "attributes": ["homeAddress.city", "_shop.visits"], "options": {}}
        self._flow["destination"] = like["destination"] | {"stream": stream}
        self._flow["audiences"] = []
        self.catalogs: list[Catalog] = []

    def next(self) -> None:
        kind = self._dice.choice(("map", "map", "state", "state", "delete"))
        flow = None if kind == "delete" else self._flow
        if kind == "map":
            mapped = self._dice.sample(AUDIENCES, self._dice.randint(1, 3))
            self._flow["audiences"] = [{"namespace": "ups", "id": audience} for audience in mapped]
        elif kind == "state":
            self._flow["state"] = "disabled" if self._flow.get("state") != "disabled" else "enabled"
        self._put(flow)

    def last(self) -> None:
        """Enabled, with everything."""
        self._flow |= {"state": "enabled", "audiences": [{"namespace": "ups", "id": audience} for audience in AUDIENCES]}
        self._put(self._flow)

    def _put(self, flow: dict[str, Any] | None) -> None:
        file = self._file | {"flows": [*self._file["flows"], *([flow] if flow else [])]}
        self._job.text = yaml.safe_dump(file, sort_keys=False)
        self._job.create_streams()
        self._job.apply("--prune")
        self.catalogs.append(catalog_in_force(self._job.installation.settings))


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[] if seed == 1 else pytest.mark.long) for seed in range(1, 9)])
def test_whoever_is_killed_jobs_send_each_profile_once_and_nothing_older_after_newer(job: WholeJob, seed: int) -> None:
    dice = Random(seed)
    job.create_streams()
    before = job.apply()
    events = shop_events(1_000_000, customers=600, seed=seed)
    job.send(islice(events, 2_000))
    changes = Changes(job, dice)

    with crew(job, 2, static_membership=True, session_timeout_seconds=20, job_records_per_second=400) as workers:
        workers.start()
        workers.keep(lambda: not any(job.lags().values()), "the history", SECONDS)
        with flowing(job, events, EVENTS_A_SECOND):
            for _ in range(5):
                changes.next()
                wait = time.monotonic() + dice.uniform(0, 1.5)
                workers.keep(lambda: time.monotonic() >= wait, "the next kill", SECONDS)  # noqa: B023  # called at once
                fault = f"{dice.choice(FAULT_POINTS)}:{dice.randint(1, 6)}" if dice.random() < 0.6 else None
                workers.kill(dice.choice(workers.members), fault=fault)
            changes.last()
        workers.keep(lambda: not running_jobs(job), "the end of all jobs", SECONDS)
        workers.keep(lambda: not any(job.lags().values()), "delivery", SECONDS)
        workers.stop()

    assert workers.kills >= 3
    require_others_equal_to_replay(job, before)
    require_order_and_once(job)
    sent = require_what_jobs_sent(job, changes.catalogs)
    assert sent
    require_members_known(job)
    require_no_marks(job, workers)


def running_jobs(job: WholeJob) -> list[str]:
    """Jobs that may run and are not done in every partition."""
    settings = job.installation.settings
    done: dict[str, int] = defaultdict(int)
    for value in read_compacted(settings, settings.topics.job_progress).values():
        progress = JobProgress.model_validate_json(value)
        done[progress.job] += progress.state is not PartitionState.RUNNING
    return [each.id for each in catalog_in_force(settings).jobs if each.runs and done[each.id] < PARTITIONS]


def exports(job: WholeJob) -> Iterator[KafkaRecord]:
    settings = job.installation.settings
    return read_topic(settings, settings.topics.exports)


def header(record: KafkaRecord, name: str) -> str:
    return dict(record.headers)[name].decode()


def require_others_equal_to_replay(job: WholeJob, before: Catalog) -> None:
    wanted = [(record.id, record.value) for record in job.replay(lambda _: before).expectation.records]
    others = [record for record in exports(job) if header(record, ExportHeader.FLOW_ID) != CHANGING]
    found = [(header(record, ExportHeader.RECORD_ID), record.value or b"") for record in others]
    assert sorted(found) == sorted(wanted)


def require_order_and_once(job: WholeJob) -> None:
    newest: dict[tuple[str, bytes], int] = {}
    seen: set[str] = set()
    for record in exports(job):
        record_id, offset = header(record, ExportHeader.RECORD_ID), int(header(record, ExportHeader.SOURCE_OFFSET))
        assert record_id not in seen, f"twice: {record_id}"
        seen.add(record_id)
        lane = (header(record, ExportHeader.FLOW_ID), record.key or b"")
        assert offset >= newest.get(lane, -1), f"{record_id} is older than what left before it"
        newest[lane] = offset


def require_what_jobs_sent(job: WholeJob, catalogs: list[Catalog]) -> int:
    """Each record of a backfill is what that job sends for the profile as it was at the offset, by the flow of its etag; how many there are."""
    settings = job.installation.settings
    wanted: dict[int, list[KafkaRecord]] = defaultdict(list)
    jobs = {each.id: each for catalog in catalogs for each in catalog.jobs}
    by_etag = {flow.etag: (catalog, flow) for catalog in catalogs for flow in catalog.flows}
    for record in exports(job):
        if header(record, ExportHeader.RECORD_ID).partition("-")[0] in _SCANS:
            wanted[record.partition].append(record)
    checked = 0
    for partition, records in wanted.items():
        states = states_at(job, partition, {(record.key or b"", int(header(record, ExportHeader.SOURCE_OFFSET))) for record in records})
        for record in records:
            record_id = header(record, ExportHeader.RECORD_ID)
            of = jobs[record_id.split("-")[1]]
            catalog, flow = by_etag[header(record, ExportHeader.FLOW_ETAG)]
            said = orjson.loads(header(record, ExportHeader.CAUSES))
            named = {"ups": tuple(cause.rpartition("/")[2] for cause in said)}
            profile = states[record.key or b"", int(header(record, ExportHeader.SOURCE_OFFSET))]
            made = job_record(type(of)(of.job, of.id, of.kind, flow, named, True, False), (record.key or b"").decode(), profile, catalog)
            assert isinstance(made, ExportRecord), record_id
            assert (made.id, list(made.causes), made.value) == (record_id, said, record.value), settings.app_id
            checked += 1
    return checked


def states_at(job: WholeJob, partition: int, places: set[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], Profile]:
    settings = job.installation.settings
    run, states = Replay(Catalog.of((), ()), Limits(settings.max_document_bytes, settings.dedup_window)), {}
    for event in read_events(settings):
        if event.partition == partition:
            run.feed(event)
            place = (event.key or b"", event.offset)
            if place in places:
                states[place] = run.profiles[place[0]]
    return states


def require_members_known(job: WholeJob) -> None:
    """The last record of each profile that is realized in a mapped audience lists it."""
    last = {record.key: record.value or b"" for record in exports(job) if header(record, ExportHeader.FLOW_ID) == CHANGING}
    profiles = job.replay().profiles
    members = 0
    for key, profile in profiles.items():
        here = {audience for audience in AUDIENCES if profile.memberships.get("ups", {}).get(audience, "") > REALIZED}
        if here:
            members += 1
            said = orjson.loads(last[key])["segmentMembership"]["ups"]
            assert here <= {audience for audience, entry in said.items() if entry["status"] == "realized"}, key
    assert members


def require_no_marks(job: WholeJob, workers: Crew) -> None:
    """Nothing is left of what was noted on the way, and some folder holds what the changelog does."""
    copies = [rows_on_disk(folder) for folder in workers.folders]
    for partition, rows in rows_of_changelog(job).items():
        assert not [key for key in rows if key[:1] in (b"x", b"m")]
        assert any(copy.get(partition) == rows for copy in copies)


def ending(count: int, at: int) -> Iterator[ShopEvent]:
    """Profiles whose memberships end at a moment, in seconds since 1970."""
    for number in range(count):
        entry = {"status": "realized", "lastQualificationTime": format_time(at - 60), "validUntil": format_time(at + number % 3)}
        data = {"segmentMembership": {"ups": {"vip-customers": entry}}}
        event = {"specversion": "1.0", "id": f"e-{number}", "source": "/t", "type": "profile.patched", "time": format_time(at - 60), "data": data}
        yield shop_event(f"ending-{number:04}", event, at)


def shop_event(key: str, event: dict[str, Any], at: int) -> ShopEvent:
    return ShopEvent(key.encode(), orjson.dumps(event), (at - 60) * 1000, Kind.QUALIFIED)


def test_f5_memberships_end_within_a_minute_and_once_whoever_is_killed(job: WholeJob) -> None:
    job.create_streams()
    catalog = job.apply()
    at, count = int(time.time()) + 6, 300
    job.send(ending(count, at))
    job.installation.change(membership_expiry=True)
    settings = job.installation.settings

    with crew(job, 2, static_membership=True, session_timeout_seconds=20) as workers:
        workers.start(workers.members[0], fault="transaction_begun:4")
        workers.start(workers.members[1], fault="rows_acknowledged:5")
        workers.keep(lambda: len(expiries(job)) >= count, "the ends", SECONDS)
        ended_after = time.time() - at
        workers.keep(lambda: not any(job.lags().values()), "delivery", SECONDS)
        workers.stop()

    ids = [orjson.loads(record.value or b"{}")["id"] for record in expiries(job)]
    assert sorted(ids) == sorted(f"expiry-ending-{number:04}-{format_time(at + number % 3)}" for number in range(count))
    assert ended_after < 60
    replayed = job.require_equal_to_replay(workers.started_at, catalog_of=lambda _: catalog)
    assert {entry[0] for profile in replayed.profiles.values() for entry in profile.memberships["ups"].values()} == {"e"}
    assert settings.membership_expiry


def expiries(job: WholeJob) -> list[KafkaRecord]:
    settings = job.installation.settings
    return [record for record in read_topic(settings, settings.topics.profile_events) if b'"membership.expired"' in (record.value or b"")]


