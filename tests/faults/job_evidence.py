"""Proofs of jobs that changed flows while they were killed and Kinesis failed (E1, E2, F1, F2, D3, G1).

`CHANGING` is the id of the flow whose mappings and state changed; the others stayed as they were.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from processor.core.catalog import Catalog
from processor.core.job_records import job_record
from processor.core.replay import Replay
from processor.core.step import Limits
from processor.kafka.reading import read_compacted, read_topic
from processor.sandbox.streams import read_stream
from processor.verify.comparison import ExportedRecord, SentRecord, lane_reader
from processor.verify.evidence import exported, read_events
from processor.verify.sequence import match_sequence
from schemas.export import ExportRecord
from schemas.job import JobKind, JobProgress, PartitionState
from schemas.kafka import ReadRecord
from schemas.profile import REALIZED, Profile
from schemas.wire.exports import ExportHeader
from tests.kit.crew import Crew
from tests.kit.replayed import catalog_in_force
from tests.kit.rows import rows_of_changelog, rows_on_disk
from tests.kit.whole_job import WholeJob

CHANGING: Final = "changing"
AUDIENCES: Final = ("store-visitors", "frequent-buyers", "vip-customers")
_SCANS: Final = (JobKind.BACKFILL, JobKind.RESEND)


def running_jobs(job: WholeJob) -> list[str]:
    """Jobs that may run and are not done in every partition."""
    settings = job.installation.settings
    done: dict[str, int] = defaultdict(int)
    for value in read_compacted(settings, settings.topics.job_progress).values():
        progress = JobProgress.model_validate_json(value)
        done[progress.job] += progress.state is not PartitionState.RUNNING
    return [each.id for each in catalog_in_force(settings).jobs if each.runs and done[each.id] < settings.partitions]


def exports(job: WholeJob) -> Iterator[ReadRecord]:
    """As the topic has them."""
    settings = job.installation.settings
    return read_topic(settings, settings.topics.exports)


def header(record: ReadRecord, name: str) -> str:
    """Raises KeyError where there is none."""
    return dict(record.headers)[name].decode()


def require_others_equal_to_replay(job: WholeJob, before: Catalog) -> None:
    """The flows that did not change sent what replay sends by the catalog of before."""
    wanted = [(record.id, record.value) for record in job.replay(lambda _: before).expectation.records]
    others = [record for record in exports(job) if header(record, ExportHeader.FLOW_ID) != CHANGING]
    found = [(header(record, ExportHeader.RECORD_ID), record.value or b"") for record in others]
    assert sorted(found) == sorted(wanted)


def require_order_and_once(job: WholeJob) -> None:
    """On `exports`: no id twice, and in no lane a record made from an older state than one before it."""
    newest: dict[tuple[str, bytes], int] = {}
    seen: set[str] = set()
    for record in exports(job):
        record_id, offset = header(record, ExportHeader.RECORD_ID), int(header(record, ExportHeader.SOURCE_OFFSET))
        assert record_id not in seen, f"twice: {record_id}"
        seen.add(record_id)
        lane = (header(record, ExportHeader.FLOW_ID), record.key or b"")
        assert offset >= newest.get(lane, -1), f"{record_id} is older than what left before it"
        newest[lane] = offset


def require_streams_hold_exports(job: WholeJob) -> None:
    """Require each lane of each stream to be that of `exports`, in its order.

    A record that came again is of the same lane, and had come before.

    What a deleted flow had still to deliver is a letter (contract G8) if it has not arrived: nothing is nowhere.
    """
    settings = job.installation.settings
    letters = {
        dict(letter.headers).get(ExportHeader.RECORD_ID, b"").decode()
        for letter in read_topic(settings, settings.topics.dead_letters)
    }
    records = list(map(exported, exports(job)))
    for flow in job.configuration.flows:
        lane_of = lane_reader(flow)
        wanted: dict[str, list[ExportedRecord]] = defaultdict(list)
        for record in records:
            if record.flow_id == flow.id:
                wanted[lane_of(SentRecord(record.partition_key, record.value))].append(record)
        came: dict[str, list[SentRecord]] = defaultdict(list)
        for stored in read_stream(job.kinesis, flow.destination.region, flow.destination.stream):
            sent = SentRecord(stored.partition_key, stored.data)
            came[lane_of(sent)].append(sent)
        for lane in {**wanted, **came}:
            arrived = set(came[lane])
            items = [
                SentRecord(record.partition_key, record.value)
                for record in wanted[lane]
                if record.record_id not in letters
            ]
            also = {
                SentRecord(record.partition_key, record.value) for record in wanted[lane] if record.record_id in letters
            } & arrived
            way = match_sequence(items, came[lane], also)
            assert way.reached == len(items), f"{flow.id}, {lane}: missing, or out of order: {items[way.reached]}"
            assert not way.unexpected, (
                f"{flow.id}, {lane}: {came[lane][way.unexpected[0]]} stands where `exports` has it not"
            )


def require_what_jobs_sent(job: WholeJob, catalogs: list[Catalog]) -> int:
    """Require each record of a backfill to be what that job sends; return how many there are.

    It is sent for the profile as it was at the offset, by the flow of its etag.
    """
    settings = job.installation.settings
    wanted: dict[int, list[ReadRecord]] = defaultdict(list)
    jobs = {each.id: each for catalog in catalogs for each in catalog.jobs}
    by_etag = {flow.etag: (catalog, flow) for catalog in catalogs for flow in catalog.flows}
    for record in exports(job):
        if header(record, ExportHeader.RECORD_ID).partition("-")[0] in _SCANS:
            wanted[record.partition].append(record)
    checked = 0
    for partition, records in wanted.items():
        states = _states_at(
            job, partition, {(record.key or b"", int(header(record, ExportHeader.SOURCE_OFFSET))) for record in records}
        )
        for record in records:
            record_id = header(record, ExportHeader.RECORD_ID)
            of = jobs[record_id.split("-")[1]]
            catalog, flow = by_etag[header(record, ExportHeader.FLOW_ETAG)]
            said = orjson.loads(header(record, ExportHeader.CAUSES))
            named = {"ups": tuple(cause.rpartition("/")[2] for cause in said)}
            profile = states[record.key or b"", int(header(record, ExportHeader.SOURCE_OFFSET))]
            made = job_record(
                type(of)(of.job, of.id, of.kind, flow, named, True, False),
                (record.key or b"").decode(),
                profile,
                catalog,
            )
            assert isinstance(made, ExportRecord), record_id
            assert (made.id, list(made.causes), made.value) == (record_id, said, record.value), settings.app_id
            checked += 1
    return checked


def _states_at(job: WholeJob, partition: int, places: set[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], Profile]:
    settings = job.installation.settings
    run, states = Replay(Catalog.of((), ()), Limits(settings.max_document_bytes, settings.dedup_window)), {}
    for event in read_events(settings):
        if event.partition == partition:
            run.feed(event)
            place = (event.key or b"", event.offset)
            if place in places:
                states[place] = run.profiles[event.topic, partition, place[0]]
    return states


def require_members_known(job: WholeJob) -> None:
    """The last record of each profile that is realized in a mapped audience lists it."""
    last = {
        record.key: record.value or b"" for record in exports(job) if header(record, ExportHeader.FLOW_ID) == CHANGING
    }
    profiles = job.replay().profiles
    members = 0
    for (_, key), profile in profiles.items():
        here = {audience for audience in AUDIENCES if profile.memberships.get("ups", {}).get(audience, "") > REALIZED}
        if here:
            members += 1
            body = orjson.loads(last[key])
            said = body.get("data", body)["segmentMembership"]["ups"]
            assert here <= {audience for audience, entry in said.items() if entry["status"] == "realized"}, key
    assert members


def require_no_marks(job: WholeJob, workers: Crew) -> None:
    """Nothing is left of what was noted on the way, and some folder holds what the changelog does."""
    copies = [rows_on_disk(folder) for folder in workers.folders]
    for partition, rows in rows_of_changelog(job).items():
        assert not [key for key in rows if key[:1] in (b"x", b"m")]
        assert any(copy.get(partition) == rows for copy in copies)
