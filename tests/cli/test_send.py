"""`profile-exporter send`: events as the file has them, acknowledged or named (contract 4b)."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result

from processor.cli.send import send_file
from processor.kafka.admin import Admin
from processor.kafka.reading import read_topic
from processor.kafka.topics import TopicSpec
from schemas.kafka import ReadRecord
from tests.kit.installation import Installation

NOW = int(time.time() * 1000) // 1000 * 1000
HOUR = 3_600_000
DAY = 24 * HOUR


def event(subject: str, number: int = 0) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/s",
        "type": "profile.patched",
        "subject": subject,
        "data": {"n": number},
    }


def send(installation: Installation, *lines: dict[str, Any] | bytes) -> Result:
    text = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    return installation.command("send", "-", stdin=text + b"\n")


def sent(installation: Installation) -> list[ReadRecord]:
    return list(read_topic(installation.settings, installation.topics.profile_events))


def kafka_line(key: str | None, timestamp: int | None = NOW, **more: Any) -> dict[str, Any]:
    return {
        "topic": "elsewhere",
        "partition": 90,
        "offset": 17,
        "timestamp": timestamp,
        "key": key,
        "value": event(key or "p"),
    } | more


def test_4b_the_three_forms_arrive_with_key_value_and_timestamp(ready: Installation) -> None:
    for form in ([event("a")], [kafka_line("b")], [{**kafka_line("c"), "ts": NOW, "payload": '{"as": "it is"}'}]):
        result = send(ready, *form)

        assert result.exit_code == 0
        assert result.stderr == f"sent 1 events to {ready.topics.profile_events}\n"

    by_key = {record.key: record for record in sent(ready)}
    assert orjson.loads(by_key[b"a"].value or b"") == event("a")
    assert orjson.loads(by_key[b"b"].value or b"") == event("b")
    assert by_key[b"c"].value == b'{"as": "it is"}'
    assert by_key[b"b"].timestamp == by_key[b"c"].timestamp == NOW


def test_4b_a_null_value_is_a_tombstone_and_a_null_key_stays_none(prepared: Installation) -> None:
    send(prepared, kafka_line("gone", value=None), kafka_line(None))

    assert {(record.key, record.value is None) for record in sent(prepared)} == {(b"gone", True), (None, False)}


BINARY = {"ce_specversion": "1.0", "ce_id": "e", "ce_source": "/s", "ce_type": "profile.patched", "ce_subject": None}


def test_i10_headers_are_kept_in_either_form(prepared: Installation) -> None:
    kcat = [part for pair in BINARY.items() for part in pair]

    assert (
        send(
            prepared, kafka_line("a", headers=BINARY), kafka_line("b", headers=[["twice", "1"], ["twice", "2"]])
        ).exit_code
        == 0
    )
    with_headers, without = (
        {**kafka_line("c", headers=kcat), "ts": NOW, "payload": "{}"},
        {**kafka_line("d"), "ts": NOW, "payload": "{}"},
    )
    assert send(prepared, with_headers, without).exit_code == 0

    headers = {record.key: record.headers for record in sent(prepared)}
    binary = tuple((name, None if text is None else text.encode()) for name, text in BINARY.items())
    assert headers == {b"a": binary, b"b": (("twice", b"1"), ("twice", b"2")), b"c": binary, b"d": ()}


def test_i11_a_key_that_is_no_id_of_a_profile_is_warned_of_with_its_line(prepared: Installation) -> None:
    result = send(
        prepared, kafka_line("a"), kafka_line('"p-1"'), kafka_line(None), *(kafka_line("b ") for _ in range(30))
    )

    assert result.exit_code == 0
    told = result.stderr.splitlines()
    assert told[0].startswith("warning: line 2: the key is a text in quotes as a JSON serializer writes it")
    assert told[1].startswith("warning: line 4: the key ends with white space (U+0020): 'b '")
    assert "warning: 11 more have a key that is no profile id" in told
    assert len(sent(prepared)) == 33


def test_i10_a_file_in_utf_16_is_refused_and_nothing_is_sent(prepared: Installation) -> None:
    result = send(prepared, "\ufeff".encode("utf-16-le") + orjson.dumps(event("a")).decode().encode("utf-16-le"))

    assert result.exit_code == 2
    assert "it is UTF-16 text" in result.stderr
    assert sent(prepared) == []


def test_all_events_of_a_profile_are_in_one_partition_in_the_files_order(ready: Installation) -> None:
    send(ready, *(event(f"p{number % 7}", number) for number in range(700)))

    numbers = defaultdict(list)
    for record in sent(ready):
        numbers[record.key, record.partition].append(orjson.loads(record.value or b"")["data"]["n"])
    assert len(numbers) == 7
    assert all(found == sorted(found) and len(found) == 100 for found in numbers.values())


def test_lines_that_cannot_be_read_are_named_and_the_rest_is_sent(ready: Installation) -> None:
    result = send(ready, event("a"), b"not json", b"", b"\xff\xfe", event("b"), kafka_line("c"))

    assert result.exit_code == 1
    told = result.stderr.splitlines()
    assert told[0].startswith("line 2: not_json: ")
    assert told[1].startswith("line 4: not_utf8: ")
    assert told[2].startswith("line 6: bad_shape: ")
    assert told[3:] == [
        f"sent 2 events to {ready.topics.profile_events}",
        "profile-exporter: 3 lines were not sent, see above",
    ]
    assert {record.key for record in sent(ready)} == {b"a", b"b"}


def test_an_event_that_the_worker_will_refuse_is_sent_all_the_same(prepared: Installation) -> None:
    result = send(prepared, {"specversion": "0.3", "subject": "a"})

    assert result.exit_code == 0
    assert [record.value for record in sent(prepared)] == [b'{"specversion":"0.3","subject":"a"}']


def test_timestamps_that_cannot_be_kept_are_named_before_the_broker_refuses_their_neighbours(
    prepared: Installation,
) -> None:
    result = send(
        prepared,
        kafka_line("a"),
        kafka_line("b", 0),
        kafka_line("c", -5),
        kafka_line("d", NOW + DAY),
        kafka_line("e", NOW + HOUR // 2),
    )

    assert result.exit_code == 1
    told = [line.split(" cannot be kept: the topic takes 1 to ")[0] for line in result.stderr.splitlines()[:3]]
    assert told == ["line 2: timestamp 0", "line 3: timestamp -5", f"line 4: timestamp {NOW + DAY}"]
    assert {record.key for record in sent(prepared)} == {b"a", b"e"}


def test_events_older_than_the_retention_are_warned_of(installation: Installation) -> None:
    topic = installation.topics.profile_events
    Admin(installation.settings).create_missing([TopicSpec(topic, 4, {"retention.ms": str(7 * DAY)})])

    result = send(installation, kafka_line("a"), kafka_line("b", NOW - 8 * DAY), kafka_line("c", NOW - 6 * DAY))

    assert result.exit_code == 0
    assert f"warning: 1 of them are older than {topic} keeps events" in result.stderr


def test_an_event_that_is_too_large_is_named_and_the_rest_is_sent(prepared: Installation) -> None:
    too_large = "x" * prepared.settings.max_message_bytes

    result = send(prepared, event("a"), event("b") | {"data": {"text": too_large}}, event("c"))

    assert result.exit_code == 1
    assert "line 2: " in result.stderr
    assert "too large" in result.stderr
    assert f"sent 2 events to {prepared.topics.profile_events}" in result.stderr
    assert {record.key for record in sent(prepared)} == {b"a", b"c"}


def test_a_file_of_many_events_says_now_and_then_how_far_it_is(
    prepared: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(
        b"".join(orjson.dumps(event(f"p{number}"), option=orjson.OPT_APPEND_NEWLINE) for number in range(3))
    )

    with file.open("rb") as events:
        send_file(prepared.settings, events, line_seconds=0.0)

    assert capsys.readouterr().err.splitlines()[-2] == f"sending 3 ({file.stat().st_size} bytes read)"


def test_an_empty_file_is_done_at_once(prepared: Installation) -> None:
    result = prepared.command("send", "-", stdin=b"")

    assert (result.exit_code, result.stderr) == (0, f"sent 0 events to {prepared.topics.profile_events}\n")


def test_another_partition_count_than_the_settings_is_refused_before_anything_is_sent(prepared: Installation) -> None:
    prepared.change(partitions=8)

    result = send(prepared, event("a"))

    assert result.exit_code == 2
    assert f"{prepared.topics.profile_events} has 4 partitions, 8 are wanted" in result.stderr
