"""The bytes of a record of every topic: other versions read what this one writes, and the other way round.

`golden_records.json` was written by the code before there was `schemas/wire`; text stands there for bytes, as Latin-1.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.audience import Audience
from schemas.connection import Connection, Kind, SpecReference, StoredObject
from schemas.dead_letter import DeadLetter, DeadLetterReason
from schemas.export import ExportRecord
from schemas.flow import Flow
from schemas.job import Job, JobAudience, JobKind, JobProgress, MissedChanges
from schemas.kafka import BadRecord, Headers, ProducerRecord, ReadRecord
from schemas.model import dump_model
from schemas.parked_flow import ParkedFlowRow
from schemas.profile import Profile
from schemas.wire.audiences import decode_audience, encode_audience
from schemas.wire.audit_events import (
    Author,
    DecidingSettings,
    Etags,
    decode_flow_etags,
    encode_audit_event,
    encode_skip,
    encode_takeover,
)
from schemas.wire.connections import (
    decode_accepted,
    decode_object,
    decode_writer,
    encode_accepted,
    encode_object,
    encode_writer,
)
from schemas.wire.dead_letters import decode_dead_letter, encode_dead_letter
from schemas.wire.dead_letters_redriven import RedriveMarker, decode_redrive_marker, encode_redrive_marker
from schemas.wire.delivery_positions import decode_parked_flow, encode_parked_flow, parked_flow_key
from schemas.wire.exports import (
    decode_export,
    decode_export_headers,
    decode_export_source,
    encode_decided_at,
    encode_export,
    encode_job_export,
)
from schemas.wire.flows import StoredFlow, decode_flow, decode_job, encode_flow, encode_job
from schemas.wire.identity_index import (
    INDEX_KEY,
    IndexProgress,
    IndexState,
    decode_identity_key,
    decode_progress,
    encode_progress,
    identity_key,
    identity_value,
)
from schemas.wire.job_progress import decode_job_progress, encode_job_progress, job_progress_key
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    SourcePosition,
    deadline_key,
    decode_job_row,
    decode_missed_changes,
    decode_row,
    decode_source_position,
    encode_job_row,
    encode_missed_changes,
    encode_row,
    encode_source_position,
    exported_key,
    job_key,
    missed_key,
    profile_key,
)
from schemas.wire.worker_status import decode_worker_status, encode_worker_status
from schemas.worker_status import WorkerStatus

TIME, NOW_MS = "2026-01-11T23:37:33Z", 1_768_174_653_250
SOURCE = ReadRecord("profile-events", 1, 7, 1_768_174_653_000, b"p-1", b'{"id":"e"}', (("ce_id", b"\xff"), ("x", None)))
CAUSES = ("attribute:person.name", "segment:ups/gold:realized")
DATA = b'{"a":"\xc3\xa9"}'
RECORD = ExportRecord("profile-events-1-7-vip", "vip", "0" * 32, "p-1", TIME, 3, CAUSES, DATA, DATA + b"\n", "p-1")
EXPORT = encode_export(RECORD, SOURCE, b"17")
LETTER = DeadLetter("profile-events", 1, 7, b"p-1", b"\xff", DeadLetterReason.NOT_UTF8, "byte 0 \ud800", TIME)
UNDELIVERED = DeadLetter("exports", 2, 9, EXPORT.key, EXPORT.value, DeadLetterReason.REJECTED, "no \ud800", TIME)
FLOW = Flow.model_validate(
    {
        "id": "vip",
        "name": "Vé",
        "destination": {
            "type": "kinesis",
            "stream": "s",
            "region": "us-east-2",
            "credentials": {"type": "keys", "accessKeyId": "A", "secretKey": "${SECRET}"},
        },
        "audiences": [{"namespace": "ups", "id": "gold", "createdAt": "2022-03-29T11:28:45Z"}],
        "attributes": ["person.name"],
        "options": {"envelope": "cloudevents"},
    }
)
LEAVING = StoredFlow(FLOW, "0" * 32, TIME, "ann", "bob")
JOB = Job(
    id="j1",
    kind=JobKind.BACKFILL,
    flow="vip",
    audiences=(JobAudience(namespace="ups", id="gold", dropped_at="2026-01-12T00:00:00Z"),),
    created_at=TIME,
    started_at=TIME,
    requested_by="ann",
    records_per_second=5,
)
PROGRESS = JobProgress(
    job="j1",
    flow="vip",
    kind=JobKind.RESEND,
    partition=3,
    start=7,
    cursor="p-1",
    total=9,
    seen=4,
    exported=2,
    skipped={"not_a_member": 2},
    worked_seconds=1.5,
    begun_at=TIME,
    updated_at="2026-01-11T23:37:34Z",
)
AUDIENCE = Audience.model_validate(
    {"namespace": "ups", "id": "gôld", "name": "Gold", "createdAt": "2022-03-29T11:28:45Z"}
)
BASE = Connection(name="b", connection_spec=SpecReference(id="x"), region="us-east-2")
STORED = StoredObject(
    kind=Kind.CONNECTION, id="c1", etag="e", created_at=1, updated_at=2, created_by="ann", object=dump_model(BASE)
)
ANN, WORKER = Author("ann", "api"), Author("w", "worker")
SECRETS = {"secretKey": "x", "s": [{"secret_key": "${ENV}"}]}
DECIDING = DecidingSettings("1.0", 524_288, 1, membership_expiry=True)
ROW = ParkedFlowRow.model_validate(
    {
        "flow": "vip",
        "partition": 2,
        "first": 7,
        "finished": [[9, 11]],
        "until": 12,
        "reason": "r",
        "since": TIME,
        "waiting": 3,
        "counted": 10,
        "oldest": 5,
    }
)
PARKED = ParkedFlowRow(flow="vip", partition=2, first=7)
PARKED_KEY = parked_flow_key("vip", "stay-1")
MARKER = RedriveMarker(TIME, "exports")
STATUS = WorkerStatus.model_validate(
    {
        "name": "w",
        "state": "running",
        "version": "1.0",
        "hotPath": "compiled",
        "startedAt": TIME,
        "time": "2026-01-11T23:37:34Z",
        "events": 3,
        "waiting": ({"what": "broker", "since": TIME},),
        "partitions": ({"partition": 0, "nextOffset": 7, "rows": 2, "restored": 0, "toRestore": 0},),
        "flows": {"vip": {"exported": 2, "decided": {"segment": 2}}},
    }
)
PROFILE = Profile(
    {"person": {"name": "Zoë"}},
    {"ECID": [{"id": "1", "primary": True}]},
    {"ups": {"gold": "r2026-01-11T23:37:33Z"}},
    {"ups": {"gold": {"validUntil": "2027-01-11T23:37:33Z"}}},
    3,
    ("/s", "e-1"),
    120,
)
END = "2027-01-11T23:37:33Z"
POSITION = SourcePosition(8, 1, "t", "c", 2)
INDEX = IndexProgress(IndexState.BUILDING, 8, "p-1", 2)
MISSED = MissedChanges("d" * 32, frozenset({("ups", "b"), ("ups", "a")}))
NOT_DUE = MissedChanges("d" * 32, frozenset(), is_due=False)


def as_read(topic: str, record: ProducerRecord, headers: Headers | None = None) -> ReadRecord:
    return ReadRecord(topic, 4, 5, 6, record.key, record.value, tuple(record.headers if headers is None else headers))


UNDELIVERED_RECORD = encode_dead_letter(UNDELIVERED, EXPORT.headers, attempts=3)
STORED_LETTER = decode_dead_letter(as_read("dead-letters", UNDELIVERED_RECORD))

WRITTEN: Mapping[str, Mapping[str, ProducerRecord]] = {
    "exports": {
        "export": encode_export(RECORD, SOURCE, encode_decided_at(1_768_174_653.2504)),
        "export_with_trace": encode_export(
            RECORD, SOURCE._replace(timestamp=-1), b"17", [("traceparent", b"00-1"), ("tracestate", b"a=b")]
        ),
        "export_of_a_job": encode_job_export(RECORD, b"p-1", ("profile-events", 1, 7), b"17"),
    },
    "dead-letters": {
        "event": encode_dead_letter(LETTER, SOURCE.headers, SOURCE.timestamp),
        "event_without_a_time": encode_dead_letter(LETTER._replace(time=None, key=None, value=None), SOURCE.headers),
        "of_delivery": UNDELIVERED_RECORD,
        "of_delivery_without_a_time": encode_dead_letter(
            UNDELIVERED._replace(time=None), EXPORT.headers, timestamp=-1, attempts=3
        ),
    },
    "flows": {
        "flow": encode_flow(StoredFlow(FLOW, "0" * 32)),
        "flow_that_leaves": encode_flow(LEAVING),
        "job": encode_job(JOB),
    },
    "audiences": {"audience": encode_audience(AUDIENCE)},
    "connections": {
        "connection": encode_object(STORED),
        "writer": encode_writer("w", 3),
        "accepted": encode_accepted({"flows": 4, "audiences": 0}),
    },
    "audit-events": {
        "changed_flow": encode_audit_event(ANN, NOW_MS, "flows", "vip", None, SECRETS, Etags(None, "e", TIME)),
        "deleted_audience": encode_audit_event(ANN, NOW_MS, "audiences", "ups/gold", {"a": 1}, None),
        "recorded": encode_audit_event(ANN, NOW_MS, "flows", "vip", None, {"a": 1}, Etags("a", "b"), "recorded"),
        "taken_over": encode_takeover(WORKER, NOW_MS, {3: 10, 0: 7}, DECIDING),
        "skipped": encode_skip(WORKER, NOW_MS, ("profile-events", 3), 7, 9, "SKIP_TO"),
    },
    "job-progress": {
        "progress": encode_job_progress(PROGRESS),
        "forgotten": ProducerRecord(job_progress_key("j1", 3), None),
    },
    "delivery-positions": {
        "row": encode_parked_flow(PARKED_KEY, ROW),
        "parked": encode_parked_flow(PARKED_KEY, PARKED),
    },
    "dead-letters-redriven": {"marker": encode_redrive_marker(STORED_LETTER, MARKER)},
    "worker-status": {"running": encode_worker_status(STATUS)},
    "profiles-changelog": {
        "job": ProducerRecord(job_key("j1"), encode_job_row(PROGRESS)),
        "profile": ProducerRecord(profile_key(b"p-1"), encode_row(PROFILE, 7, END, TIME)),
        "source_position": ProducerRecord(SOURCE_POSITION_KEY, encode_source_position(POSITION)),
        "exported": ProducerRecord(exported_key("j1", b"p-1"), b""),
        "missed": ProducerRecord(missed_key("j1", b"p-1"), encode_missed_changes(MISSED)),
        "missed_not_due": ProducerRecord(missed_key("j1", b"p-1"), encode_missed_changes(NOT_DUE)),
        "deadline": ProducerRecord(deadline_key(END, b"p-1"), b""),
        "identity": ProducerRecord(identity_key("ECID", "1", b"p-1"), identity_value("ECID")),
        "identity_progress": ProducerRecord(INDEX_KEY, encode_progress(INDEX)),
    },
}
GOLDEN: Mapping[str, Mapping[str, Mapping[str, Any]]] = json.loads(
    Path(__file__).with_name("golden_records.json").read_text()
)
ALL = [(topic, name) for topic, records in GOLDEN.items() for name in records]


def as_bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


@pytest.mark.parametrize(("topic", "name"), ALL)
def test_a_record_of_every_topic_has_the_bytes_that_it_always_had(topic: str, name: str) -> None:
    golden = GOLDEN[topic][name]

    assert WRITTEN[topic][name] == ProducerRecord(
        as_bytes(golden["key"]),
        as_bytes(golden["value"]),
        [(header, as_bytes(text)) for header, text in golden["headers"]],
        golden["timestamp"],
    )


def test_no_golden_record_is_left_out() -> None:
    assert {topic: set(records) for topic, records in WRITTEN.items()} == {
        topic: set(records) for topic, records in GOLDEN.items()
    }


def value_of(topic: str, name: str) -> tuple[bytes, bytes]:
    record = WRITTEN[topic][name]
    return record.key or b"", record.value or b""


def test_what_the_control_plane_wrote_is_read_back() -> None:
    assert decode_flow(*value_of("flows", "flow_that_leaves")) == LEAVING
    assert decode_job(*value_of("flows", "job")) == JOB
    assert decode_audience(*value_of("audiences", "audience")) == AUDIENCE
    assert decode_object(*value_of("connections", "connection")) == (STORED, BASE)
    assert decode_writer(value_of("connections", "writer")[1]) == "w"
    assert decode_accepted(value_of("connections", "accepted")[1]) == {"flows": 4, "audiences": 0}
    assert list(decode_flow_etags(*value_of("audit-events", "recorded"))) == [("vip", "a"), ("vip", "b")]


def test_what_workers_wrote_is_read_back() -> None:
    assert decode_job_progress(*value_of("job-progress", "progress")) == PROGRESS
    assert decode_parked_flow(*value_of("delivery-positions", "row")) == ROW
    assert decode_redrive_marker(*value_of("dead-letters-redriven", "marker")) == (STORED_LETTER.fingerprint, MARKER)
    assert decode_worker_status(*value_of("worker-status", "running")) == STATUS


def test_the_report_of_a_worker_that_did_not_tell_its_hot_path_is_read() -> None:
    key, value = value_of("worker-status", "running")

    before = decode_worker_status(key, value.replace(b'"hotPath":"compiled",', b""))

    assert before.hot_path is None
    assert before == STATUS.model_copy(update={"hot_path": None})


def test_what_stands_in_the_changelog_is_read_back() -> None:
    row = decode_row(value_of("profiles-changelog", "profile")[1])
    assert (row.profile, row.offset, row.deadline, row.announced) == (PROFILE, 7, END, TIME)
    assert decode_source_position(value_of("profiles-changelog", "source_position")[1]) == POSITION
    assert decode_job_row(value_of("profiles-changelog", "job")[1]) == PROGRESS
    assert decode_missed_changes(value_of("profiles-changelog", "missed")[1]) == MISSED
    assert decode_missed_changes(value_of("profiles-changelog", "missed_not_due")[1]) == NOT_DUE
    assert decode_identity_key(value_of("profiles-changelog", "identity")[0]).profile_id == b"p-1"
    assert decode_progress(value_of("profiles-changelog", "identity_progress")[1]) == INDEX


def test_an_export_is_read_back() -> None:
    export = decode_export(as_read("exports", EXPORT))

    assert (export.flow_id, export.value, export.partition_key) == ("vip", RECORD.value, "p-1")
    assert decode_export_headers(EXPORT.headers)[:3] == (RECORD.id, "vip", "p-1")
    assert decode_export_source(EXPORT.headers) == ("profile-events", 1, 7)


@pytest.mark.parametrize("name", list(GOLDEN["dead-letters"]))
def test_i4_a_dead_letter_is_read_back_with_the_header_time_and_without_it(name: str) -> None:
    """A dead letter of delivery from before lacks the header where its record had no timestamp."""
    record = WRITTEN["dead-letters"][name]
    without = [(header, text) for header, text in record.headers if (header, text) != ("time", b"")]
    is_of_delivery = name.startswith("of_delivery")

    letters = [decode_dead_letter(as_read("dead-letters", record, headers)) for headers in (None, without)]

    assert letters[0] == letters[1]
    assert letters[0].headers == (tuple(EXPORT.headers) if is_of_delivery else SOURCE.headers)
    assert letters[0].was.time == (None if "without_a_time" in name else TIME)
    assert (letters[0].attempts, letters[0].flow_id) == ((3, "vip") if is_of_delivery else (None, None))


def test_a_row_that_another_version_wrote_is_refused_with_its_key() -> None:
    with pytest.raises(BadRecord, match="the row b'k' cannot be read: 3 faults, the first: Field required"):
        decode_parked_flow(b"k", b"{}")
