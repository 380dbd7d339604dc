"""`profile-exporter dead-letters`: listed, inspected, sent again and marked (contract G8); the main ways on both
brokers.
"""

import os
from pathlib import Path
from typing import Any

import orjson

from processor.dead_letters.counts import count_dead_letters
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.waiting import wait_until
from schemas.kafka import ReadRecord
from tests.delivery.fakes import export_record
from tests.kit.installation import Installation
from tests.kit.letters import undelivered_letter, unusable_letter, write_letters

FLOWS = "flows: [{id: vip, state: disabled, destination: {type: kinesis, stream: vip, region: us-east-2}}]"
PATCH = b'{"specversion":"1.0","id":"e-1","source":"/t","type":"profile.patched","data":{}}'


def apply(installation: Installation, folder: Path, text: str = FLOWS) -> None:
    (folder / "flows.yaml").write_text(text)
    result = installation.command("apply", "--prune", str(folder / "flows.yaml"))
    assert result.exit_code == 0, result.output


def lines(installation: Installation, *options: str) -> list[dict[str, Any]]:
    result = installation.command("dead-letters", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def redrive(installation: Installation, *options: str, exit_code: int = 0) -> dict[str, Any]:
    result = installation.command("dead-letters", "redrive", "--json", *options)
    assert result.exit_code == exit_code, result.output
    said: dict[str, Any] = orjson.loads(result.stdout)
    return said


def records(installation: Installation, topic: str) -> list[ReadRecord]:
    return list(read_topic(installation.settings, topic))


def test_dead_letters_are_listed_with_where_why_and_how_often_and_counted(ready: Installation) -> None:
    write_letters(
        ready.settings,
        [
            undelivered_letter(7, "Zoë"),
            undelivered_letter(9, "Zoë", "other"),
            unusable_letter(3, b"{", "Zoë", "not_json"),
        ],
    )

    first, _, event = lines(ready)

    assert {name: first[name] for name in ("reason", "flow", "recordId", "profile", "time", "explanation", "attempts",
    "bytes", "redriven")} == {
        "reason": "rejected", "flow": "vip", "recordId": "profile-events-0-7-vip", "profile": "Zoë",
        "time": "2026-01-11T23:37:33Z",
        "explanation": "because of 7", "attempts": 3, "bytes": 22, "redriven": None,
    }  # fmt: skip
    assert first["source"] == {"topic": "exports", "partition": 0, "offset": 7}
    assert (event["flow"], event["attempts"], event["reason"]) == (None, None, "not_json")
    shown = ready.command("dead-letters", "list", "--limit", "2").stdout
    assert "and 1 more" in shown
    assert "(profile events)  not_json  1             0" in shown
    assert [letter["flow"] for letter in lines(ready, "--flow", "other", "--flow", "none")] == ["other"]
    assert (
        lines(ready, "--profile", "nobody")
        == lines(ready, "--until", "2026-01-01T00:00:00Z")
        == lines(ready, "--reason", "bad_key")
        == []
    )
    found = [letter["offset"] for letter in lines(ready, "--partition", str(first["partition"]), "--offsets", "1-2")]
    assert found == [1, 2]


def test_a_dead_letter_is_shown_whole_as_a_table_as_json_and_byte_for_byte(prepared: Installation) -> None:
    write_letters(prepared.settings, [undelivered_letter(7, value=b"\xff\x00"), undelivered_letter(8)])
    binary, text = (f"{letter['partition']}:{letter['offset']}" for letter in lines(prepared))

    assert prepared.command("dead-letters", "show", binary, "--raw").stdout_bytes == b"\xff\x00"
    shown = orjson.loads(prepared.command("dead-letters", "show", binary, "--json").stdout)
    assert (shown["valueBase64"], shown["headers"]["flow-id"], shown["offset"]) == ("/wA=", "vip", 0)
    table = prepared.command("dead-letters", "show", text).stdout
    for told in (f"dead letter {text}:", "because of 8", "header flow-id", "value:\nprofile-events-0-8-vip"):
        assert told in table


def test_a_name_without_a_dead_letter_is_exit_code_2(prepared: Installation) -> None:
    for name in ("0:99", "99:0", "0", "a:b"):
        result = prepared.command("dead-letters", "show", name)
        assert result.exit_code == 2
        assert name in result.stderr


def test_g8_dead_letters_go_back_to_exports_as_they_were_in_the_order_of_their_lane_and_are_marked(
    ready: Installation, tmp_path: Path
) -> None:
    """Lane p-1 became letters in another order than it had; one of them is there twice, as after a crash."""
    apply(ready, tmp_path)
    write_letters(ready.settings, [undelivered_letter(offset) for offset in (5, 3, 4, 5)])
    assert redrive(ready, "--flow", "vip", "--dry-run")["redriven"] == 3
    assert records(ready, ready.topics.exports) == []

    said = redrive(ready, "--flow", "vip")

    assert said == {
        "dryRun": False,
        "redriven": 3,
        "letters": [{"flow": "vip", "reason": "rejected", "fate": "redrive", "letters": 3}],
    }
    wanted = [export_record(offset) for offset in (3, 4, 5)]
    wait_until(
        lambda: len(records(ready, ready.topics.exports)) == len(wanted), "what is committed to be shown", 20.0
    )  # a moment after its commit
    sent = records(ready, ready.topics.exports)
    assert [(each.key, each.value, each.headers, each.timestamp) for each in sent] == [
        (each.key, each.value, each.headers, 1_768_174_653_000) for each in wanted
    ]
    places = {letter["partition"] for letter in lines(ready)}
    assert places == {each.partition for each in sent}
    assert all(letter["redriven"]["topic"] == ready.topics.exports for letter in lines(ready))
    assert lines(ready, "--waiting") == []
    again = redrive(ready, "--all")
    assert (again["redriven"], again["letters"][0]["fate"]) == (0, "redriven_before")
    assert len(records(ready, ready.topics.exports)) == 3


def test_g8_letters_of_a_flow_that_is_gone_wait_until_it_is_there_again(prepared: Installation, tmp_path: Path) -> None:
    """G9: their reason is flow_deleted."""
    write_letters(prepared.settings, [undelivered_letter(offset, reason="flow_deleted") for offset in range(1200)])

    left = redrive(prepared, "--reason", "flow_deleted", exit_code=1)
    apply(prepared, tmp_path)
    sent = redrive(prepared, "--reason", "flow_deleted")

    assert (left["redriven"], left["letters"][0]["fate"]) == (0, "flow_missing")
    assert sent["redriven"] == 1200
    assert [each.value for each in records(prepared, prepared.topics.exports)] == [
        export_record(offset).value for offset in range(1200)
    ]
    table = prepared.command("dead-letters", "list", "--limit", "0").stdout
    assert "vip   flow_deleted  1,200         1,200" in table


def test_g8_a_record_that_is_too_large_waits_for_a_higher_limit(prepared: Installation, tmp_path: Path) -> None:
    apply(prepared, tmp_path)
    write_letters(prepared.settings, [undelivered_letter(1, reason="record_too_large", value=b"x" * 2048)])
    prepared.change(kinesis_max_record_bytes=2048)

    result = prepared.command("dead-letters", "redrive", "--all")
    prepared.change(kinesis_max_record_bytes=4096)

    assert result.exit_code == 1
    assert "larger than PROFILE_EXPORTER_KINESIS_MAX_RECORD_BYTES" in result.stdout
    assert "1 dead letter is left" in result.stderr
    assert redrive(prepared, "--all")["redriven"] == 1


def test_i4_an_event_goes_back_to_the_end_of_profile_events_and_a_bad_one_stays(ready: Installation) -> None:
    recent = 1_900_000_000_000
    usable, broken = unusable_letter(3, PATCH), unusable_letter(4, b"{", reason="not_json")
    with Writer(ready.settings) as writer:
        writer.write(ready.topics.profile_events, b"p-1", b"later", name="event")
    now = records(ready, ready.topics.profile_events)[0].timestamp or recent
    write_letters(ready.settings, [(*usable[:3], now), (*broken[:3], now)])

    said = redrive(ready, "--all", exit_code=1)

    assert {(each["fate"], each["letters"]) for each in said["letters"]} == {("redrive", 1), ("still_unusable", 1)}
    wait_until(lambda: len(records(ready, ready.topics.profile_events)) == 2, "what is committed to be shown", 20.0)
    later, event = records(ready, ready.topics.profile_events)
    assert (event.key, event.value, event.headers, event.timestamp, event.partition) == (
        b"p-1",
        PATCH,
        (),
        now,
        later.partition,
    )


def test_everything_must_be_asked_for_and_a_wrong_filter_is_exit_code_2(prepared: Installation) -> None:
    for options in ((), ("--since", "yesterday"), ("--offsets", "9-7"), ("--reason", "unknown"), ("--partition", "-1")):
        result = prepared.command("dead-letters", "redrive", *options)
        assert result.exit_code == 2, options
        assert "Traceback" not in result.output
    assert "--all" in prepared.command("dead-letters", "redrive").stderr


def test_what_is_no_letter_of_ours_is_warned_of_and_the_rest_goes_on(prepared: Installation) -> None:
    write_letters(prepared.settings, [(b"p-1", b"stranger", [], None), undelivered_letter(1)])

    result = prepared.command("dead-letters", "list", "--json")

    assert result.stderr.count("is no dead letter of ours") == 1
    assert len(result.stdout.splitlines()) == 1


def test_status_counts_the_letters_of_the_topic_by_flow_and_reason(prepared: Installation, tmp_path: Path) -> None:
    apply(prepared, tmp_path)
    write_letters(prepared.settings, [undelivered_letter(1), unusable_letter(2, b"{", reason="not_json")])
    redrive(prepared, "--flow", "vip")

    found = orjson.loads(prepared.command("status", "--json").stdout)["deadLetterTopic"]

    assert found == {
        "complete": True, "letters": 2, "redriven": 1,
        "counts": [
            {"flow": None, "reason": "not_json", "letters": 1, "redriven": 0},
            {"flow": "vip", "reason": "rejected", "letters": 1, "redriven": 1},
        ],
    }  # fmt: skip
    assert "on the topic dead-letters:" in prepared.command("status").stdout
    cut_short = count_dead_letters(prepared.settings, print, seconds=0.0)
    assert (cut_short.complete, cut_short.letters.total()) == (False, 1)


def test_topics_that_are_missing_are_named_with_the_remedy(installation: Installation) -> None:
    result = installation.command("dead-letters", "list")

    assert result.exit_code == 2
    assert "run `profile-exporter init`" in result.stderr


def test_g8_a_letter_of_megabytes_is_sent_again_and_one_that_its_topic_does_not_take_is_left(
    prepared: Installation, tmp_path: Path
) -> None:
    """What a topic takes is told compressed; one record that is too large for it would end the whole redrive."""
    apply(prepared, tmp_path)
    large, too_large = b'{"name":"x"}' * 300_000, os.urandom(5_000_000)
    usual = prepared.settings.max_document_bytes
    prepared.change(max_document_bytes=4 << 20)  # what the command that writes them may write
    write_letters(
        prepared.settings,
        [undelivered_letter(7, value=large), undelivered_letter(8, value=too_large), undelivered_letter(9)],
    )
    prepared.change(max_document_bytes=usual)

    said = redrive(prepared, "--all", exit_code=1)

    assert {letter["fate"]: letter["letters"] for letter in said["letters"]} == {"redrive": 2, "topic_too_narrow": 1}
    assert [record.value for record in records(prepared, prepared.topics.exports)] == [large, b"profile-events-0-9-vip"]
