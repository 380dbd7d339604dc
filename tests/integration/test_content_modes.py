"""Tests of binary mode with a real worker: a bad event keeps its headers and is sent again (I4, I10, G8)."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.streams import create_stream, read_stream
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
REGION: Final = "us-east-2"
PROFILE: Final = "Zoë"
SMALL_DOCUMENT: Final = 1024
TIMESTAMP: Final = 1_768_120_653_000
OWN_HEADERS: Final = len(("topic", "partition", "offset", "reason", "explanation", "time"))
Headers = list[tuple[str, str | bytes | None]]
FLOW = """
flows:
  - id: vip
    destination: {type: kinesis, stream: STREAM, region: us-east-2, endpointUrl: "URL"}
    audiences: [{namespace: ups, id: vips}]
    attributes: [note]
    options: {envelope: cloudevents}
"""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    stream = installation.settings.app_id
    create_stream(kinesis, REGION, stream)
    whole_job.text = FLOW.replace("STREAM", stream).replace("URL", kinesis)
    whole_job.apply()
    return whole_job


def binary(number: int, note: object, *more: tuple[str, str | bytes | None]) -> tuple[bytes, Headers]:
    """Value and headers of a patch."""
    data = {"note": note, "segmentMembership": {"ups": {"vips": {"status": "realized"}}}}
    attributes = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/t",
        "type": "profile.patched",
        "time": "2026-01-11T08:37:33Z",
    }
    return orjson.dumps(data), [*((f"ce_{name}", text) for name, text in attributes.items()), *more]


def send(job: WholeJob, *records: tuple[bytes | None, Headers], key: str = PROFILE) -> None:
    settings = job.installation.settings
    with Writer(settings) as writer:
        for value, headers in records:
            writer.write(
                settings.topics.profile_events, key.encode(), value, name="event", timestamp=TIMESTAMP, headers=headers
            )


def delivered(job: WholeJob) -> list[tuple[int, str | None]]:
    """(version, first letters of the note) of the stream's records, in its order."""
    bodies = [
        orjson.loads(record.data) for record in read_stream(job.kinesis, REGION, job.installation.settings.app_id)
    ]
    return [(body["profileversion"], body["data"].get("note", "")[:5]) for body in bodies]


def as_read(headers: Headers) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name, text.encode() if isinstance(text, str) else text) for name, text in headers)


def redriven(job: WholeJob) -> dict[str, Any]:
    result = job.installation.command("dead-letters", "redrive", "--all", "--json")
    said: dict[str, Any] = orjson.loads(result.stdout)
    return said


def test_i4_i10_g8_binary_mode_is_read_kept_whole_where_it_is_bad_and_means_the_same_when_it_is_sent_again(
    job: WholeJob,
) -> None:
    others: Headers = [("content-type", "application/json"), ("topic", "theirs"), ("x", b"\xff"), ("ce_subject", None)]
    large = binary(2, "two  " + "x" * 2 * SMALL_DOCUMENT, *others)
    incomplete = (b"{}", [("ce_type", "profile.patched"), ("ce_id", "e-3")])
    whole = orjson.dumps(
        {"specversion": "1.0", "id": "e-5", "source": "/t", "type": "profile.patched", "data": {"note": "five"}}
    )
    send(
        job,
        binary(1, "one", ("retries", "1")),
        large,
        incomplete,
        (whole, [("content-type", "application/cloudevents+json")]),
    )

    with job.new_worker(max_document_bytes=SMALL_DOCUMENT) as worker:
        job.start_again(worker)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
        job.installation.change(max_document_bytes=SMALL_DOCUMENT)
        job.require_equal_to_replay()
        assert delivered(job) == [(1, "one"), (2, "five")]
        letters = read_topic(job.installation.settings, job.installation.topics.dead_letters)
        kept = [(letter.value, letter.headers[:-OWN_HEADERS]) for letter in letters]
        assert kept == [(value, as_read(headers)) for value, headers in (large, incomplete)]

        worker.change(max_document_bytes=512 * 1024)
        job.start_again(worker)
        said = redriven(job)
        wait_until(lambda: len(delivered(job)) == 3, "the letter in the stream", SECONDS)
        send(
            job,
            (None, [("ce_specversion", "1.0"), ("ce_id", "e-9"), ("ce_source", "/t"), ("ce_type", "profile.deleted")]),
        )
        wait_until(lambda: len(delivered(job)) == 4, "the last record", SECONDS)
        worker.stop()

    assert [(each["reason"], each["fate"]) for each in said["letters"]] == [
        ("document_too_large", "redrive"),
        ("not_cloudevents", "still_unusable"),
    ]
    assert delivered(job) == [(1, "one"), (2, "five"), (3, "two  "), (4, "")]
