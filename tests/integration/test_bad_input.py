"""Tests of bad input with a real worker: it is kept whole, and everything else goes on (I1, I4, I8, G4)."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import orjson
import pytest

from processor.foundation.errors import StoppedForOperator
from processor.kafka.reading import read_compacted, read_topic
from processor.sandbox.bad_events import make_bad_event
from processor.sandbox.shop import Kind, ShopEvent, shop_events
from processor.sandbox.streams import create_stream, read_stream
from processor.sandbox.waiting import wait_until
from schemas.dead_letter import DeadLetterReason as Reason
from schemas.kafka import ReadRecord
from schemas.wire.profiles_changelog import PROFILE
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob

DELIVERY_SECONDS: Final = 240.0
NOW_MS: Final = 1_768_120_653_000
LARGE_BYTES: Final = 900_000
KINDS_OF_THE_DEMO: Final = 10
PROFILE_ID: Final = "Zoë"


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    return WholeJob(installation, kinesis, tmp_path)


@pytest.fixture
def job_with_streams(job: WholeJob) -> WholeJob:
    job.create_streams()
    job.apply()
    return job


def good(number: int, **data: Any) -> dict[str, Any]:
    """A usable event: the profile is a VIP, and has one more visit."""
    vip = {
        "segmentMembership": {"ups": {"vip-customers": {"status": "realized"}}},
        "personalEmail": {"address": f"{number}@example.com"},
    }
    head = {
        "specversion": "1.0",
        "id": f"good-{number}",
        "source": "/test",
        "type": "profile.patched",
        "subject": PROFILE_ID,
    }
    return head | {"time": "2026-01-11T08:37:33Z", "data": vip | data}


def event(value: bytes | None, key: bytes | None = PROFILE_ID.encode(), kind: Kind = Kind.BAD) -> ShopEvent:
    return ShopEvent(key, value, NOW_MS, kind)


class Bad(NamedTuple):
    """An event, and why it cannot be used."""

    reason: Reason
    value: bytes
    key: bytes | None = PROFILE_ID.encode()


def bad_events() -> Iterator[Bad]:
    """All that the demo has, and what came to our minds beside it."""
    for number in range(KINDS_OF_THE_DEMO):
        key, value, reason = make_bad_event(number, PROFILE_ID, good(0), Random(number))
        yield Bad(reason, value, key)
    yield from (
        Bad(Reason.NOT_UTF8, value) for value in (b"\x80", b"\x00\xfe\xff" * 1000, '{"a":"ü"}'.encode("utf-16"))
    )
    not_json = (
        b"",
        b" ",
        b"{",
        b"NaN",
        b'{"a":01}',
        b'{"a":1}{"b":2}',
        b"x" * LARGE_BYTES,
        b"[" * 5,
        b'{"a":"\\ud800"}',
    )
    yield from (Bad(Reason.NOT_JSON, value) for value in (*not_json, b"\xef\xbb\xbf", b"\0\0\0\0\7{}"))
    yield from (
        Bad(Reason.NOT_CLOUDEVENTS, value)
        for value in (b"null", b"[]", b"17", b'"text"', b"true", b"{}", b"[" * 100 + b"]" * 100)
    )
    yield Bad(Reason.NOT_CLOUDEVENTS, b"\xef\xbb\xbf{}")
    wrong_heads = (
        {"specversion": 1.0},
        {"id": 17},
        {"id": ""},
        {"source": None},
        {"type": ["profile.patched"]},
        {"subject": 17},
        {"subject": ""},
    )
    yield from (Bad(Reason.NOT_CLOUDEVENTS, orjson.dumps(good(0) | head)) for head in wrong_heads)
    yield Bad(Reason.BAD_TIME, orjson.dumps(good(0) | {"time": 1_768_120_653}))
    for entry in ({"validUntil": "tomorrow"}, {"lastQualificationTime": 7}):
        yield Bad(Reason.BAD_TIME, orjson.dumps(good(0, segmentMembership={"ups": {"vip-customers": entry}})))
    wrong_data: tuple[object, ...] = (
        None,
        [],
        "text",
        17,
        *map(data_with, ([], {"ups": []}, {"ups": {"vip-customers": "realized"}})),
    )
    yield from (Bad(Reason.BAD_SHAPE, orjson.dumps(good(0) | {"data": data})) for data in wrong_data)
    for identities in (
        [],
        {"ECID": {}},
        {"ECID": [{}]},
        {"ECID": [{"id": 17}]},
        {"ECID": [{"id": "a", "primary": "yes"}]},
    ):
        yield Bad(Reason.BAD_SHAPE, orjson.dumps(good(0, identityMap=identities)))
    for opening, closing in ((b'{"a":', b"}"), (b"[", b"]")):
        yield Bad(
            Reason.BAD_SHAPE,
            orjson.dumps(good(0, hole="HOLE")).replace(b'"HOLE"', opening * 1000 + b"1" + closing * 1000),
        )
    yield Bad(Reason.BAD_SHAPE, orjson.dumps(good(0) | {"type": "profile.merged", "data": {"into": PROFILE_ID}}))
    yield Bad(Reason.BAD_SHAPE, orjson.dumps(good(0) | {"type": "membership.expired", "data": {"exit": [{"id": "a"}]}}))
    for entry in ({"status": True}, {"status": None}, {"Status": "exited"}, {"xdm:state": "exited"}):
        yield Bad(Reason.BAD_STATUS, orjson.dumps(good(0, segmentMembership={"ups": {"vip-customers": entry}})))
    for number in (b"18446744073709551616", b"-9223372036854775809", b"1e400"):
        yield Bad(Reason.BAD_NUMBER, orjson.dumps(good(0, visits="VISITS")).replace(b'"VISITS"', number))
    yield from (
        Bad(Reason.BAD_KEY, orjson.dumps(good(0)), key)
        for key in (b"", b"\xff", b"k" * 513, b'"p-1"', b"{}", b"p-1\n", b"\0\0\0*", b" p-1")
    )
    yield Bad(Reason.DOCUMENT_TOO_LARGE, orjson.dumps(good(0, novel="x" * LARGE_BYTES)))


def data_with(membership: object) -> dict[str, object]:
    return {"segmentMembership": membership}


def read(job: WholeJob, topic: str) -> list[ReadRecord]:
    return list(read_topic(job.installation.settings, topic))


def test_what_cannot_be_used_is_kept_whole_with_its_reason_and_the_events_after_it_go_on(
    job_with_streams: WholeJob,
) -> None:
    """I4: each bad event stands between two good ones of the same profile."""
    job, topics, bad = job_with_streams, job_with_streams.installation.topics, list(bad_events())
    assert {each.reason for each in bad} == set(Reason) - {
        Reason.RECORD_TOO_LARGE,
        Reason.REJECTED,
        Reason.FLOW_DELETED,
    }
    for number, each in enumerate(bad):
        job.send([event(orjson.dumps(good(number))), event(each.value, each.key)])
    job.send([event(orjson.dumps(good(len(bad))))])

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    sources = {(record.partition, record.offset): record for record in read(job, topics.profile_events)}
    letters = read(job, topics.dead_letters)
    found = []
    for letter in letters:
        headers = {name: value.decode() for name, value in letter.headers}
        source = sources[int(headers["partition"]), int(headers["offset"])]
        assert list(headers) == ["topic", "partition", "offset", "reason", "explanation", "time"]
        assert (letter.key, letter.value, letter.partition) == (source.key, source.value, source.partition)
        assert (headers["topic"], headers["time"]) == (topics.profile_events, "2026-01-11T08:37:33Z")
        assert headers["explanation"]
        found.append(Bad(Reason(headers["reason"]), letter.value or b"", letter.key))
    assert sorted(found, key=repr) == sorted(bad, key=repr)
    replayed = job.require_equal_to_replay()
    assert len(replayed.expectation.of_flow("vip-to-crm")) == len(bad) + 1


def test_a_tombstone_sends_a_last_record_and_leaves_nothing_of_the_profile(job_with_streams: WholeJob) -> None:
    """I1, I8, F3: and one for a profile that is not there applies nothing."""
    job, topics = job_with_streams, job_with_streams.installation.topics
    job.send(
        [event(orjson.dumps(good(1))), event(None), event(None), event(None, b"nobody"), event(b"null", b"nobody")]
    )

    with job.worker() as worker:
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    replayed = job.require_equal_to_replay()
    last = replayed.expectation.of_flow("vip-to-crm")[-1]
    assert last.causes == ("segment:ups/vip-customers:exited",)
    assert not [key for key in read_compacted(job.installation.settings, topics.changelog) if key.startswith(PROFILE)]
    assert [letter.value for letter in read(job, topics.dead_letters)] == [b"null"]


def test_so_many_bad_events_in_a_row_stop_the_worker_at_the_last_of_them_until_the_setting_is_raised(
    job_with_streams: WholeJob,
) -> None:
    """I4: exit code 3, naming the place; the count survives a restart."""
    job, topics = job_with_streams, job_with_streams.installation.topics
    rubbish, fine = event(b"rubbish"), event(orjson.dumps(good(1)))
    job.send([fine, *[rubbish] * 4, fine, *[rubbish] * 7, event(orjson.dumps(good(2)))])
    (partition,) = {record.partition for record in read(job, topics.profile_events)}
    said = f"5 unusable events in a row, the last at {topics.profile_events}[{partition}] offset 10: "

    with job.new_worker(max_bad_events_in_a_row=5, static_membership=True) as worker:
        worker.start()
        assert worker.wait_for_end(DELIVERY_SECONDS) == StoppedForOperator.exit_code
        assert worker.said().count(said) >= 1
        letters_before = len(read(job, topics.dead_letters))
        first = len(worker.said())
        worker.start()
        assert worker.wait_for_end(DELIVERY_SECONDS) == StoppedForOperator.exit_code
        assert said in worker.said()[first:]
        assert len(read(job, topics.dead_letters)) == letters_before == 8
        worker.change(max_bad_events_in_a_row=8)
        worker.start()
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    replayed = job.require_equal_to_replay()
    assert len(replayed.expectation.dead_letters) == 11


def test_a_flow_whose_stream_is_not_there_waits_for_it_while_the_others_deliver(job: WholeJob) -> None:
    """G4: it pauses with its reason in `status`, and nothing is lost."""
    missing, *others = job.configuration.flows
    for flow in others:
        create_stream(job.kinesis, flow.destination.region, flow.destination.stream)
    job.apply()
    events = shop_events(1_000, customers=150)
    job.send(islice(events, 500))

    with job.worker(kinesis_probe_seconds=0.5, park_after_seconds=600) as worker:
        wait_until(
            lambda: flow_status(job, missing.id, lambda said: said["paused"]) == ["stream_not_found"],
            "the pause",
            DELIVERY_SECONDS,
        )
        job.send(events)
        expected = job.replay().expectation
        for flow in others:
            wanted, place = (
                len(expected.of_flow(flow.id)),
                (job.kinesis, flow.destination.region, flow.destination.stream),
            )
            wait_until(lambda: len(read_stream(*place)) == wanted, f"{wanted} records in {place[2]}", DELIVERY_SECONDS)  # noqa: B023  # called at once
        assert job.lags()[job.installation.topics.exports] > 0
        create_stream(job.kinesis, missing.destination.region, missing.destination.stream)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        wait_until(
            lambda: flow_status(job, missing.id, lambda said: said["paused"]) == [],
            "the end of the pause",
            DELIVERY_SECONDS,
        )
        worker.stop()

    job.require_equal_to_replay()


def flow_status(job: WholeJob, flow_id: str, pick: Callable[[dict[str, Any]], Any]) -> Any:
    return next(pick(flow) for flow in job.status()["flows"] if flow["id"] == flow_id)
