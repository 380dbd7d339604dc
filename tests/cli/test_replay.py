"""`profile-exporter replay` and its files (contract 4b, M4)."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from processor.cli import commands
from processor.files.configuration import ConfigurationError, parse_configuration
from processor.foundation.errors import UsageError

WORKED_EXAMPLE = Path(__file__).parents[1] / "golden" / "worked-example"


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def replay(events: Path, flows: Path, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    out, letters = folder / "out", folder / "letters"
    arguments = ["replay", str(events), "--flows", str(flows), "--output", str(out), "--dead-letters", str(letters)]
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return lines(out), lines(letters), result.stderr


def event(**attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/u",
        "type": "profile.patched",
        "subject": "p-1",
        "time": "2026-01-01T00:00:00Z",
    } | attributes


KCAT = '{"topic":"t","partition":0,"offset":7,"ts":1,"key":"p",'
HUGE = "1" * 4_301


@pytest.mark.parametrize(
    ("line", "letter"),
    [
        (
            '{"specversion":"1.0","id":"1","source":"/u","x":1e400,"subject":"\\ud800"}',
            ("profile-events", 0, "not_json"),
        ),
        (
            '{"topic":"t","partition":0,"offset":0,"z":1e400,"key":"p","payload":"\\ud800"}',
            ("profile-events", 0, "not_json"),
        ),
        (
            '{"topic":"\\ud800","partition":0,"offset":0,"timestamp":1,"value":{"a":1e400},"key":"p"}',
            ("profile-events", 0, "not_json"),
        ),
        (KCAT + '"payload":"{}","headers":["x",' + "[" * 500 + "]" * 500 + "]}", ("t", 7, "not_cloudevents")),
        (KCAT + '"payload":"{}","headers":["x",1' + "0" * 400 + "]}", ("t", 7, "not_cloudevents")),
        (KCAT + '"payload":"{}","headers":{"x":18446744073709551616},"z":1e400}', ("t", 7, "not_cloudevents")),
        (KCAT.replace("7", "18446744073709551616") + '"payload":"{}","z":1e400}', ("profile-events", 0, "bad_shape")),
        (KCAT.replace("7", "1" + "0" * 400) + '"payload":"{}"}', ("profile-events", 0, "bad_shape")),
        (KCAT + f'"payload":"{{\\"specversion\\":{HUGE}}}"}}', ("t", 7, "bad_number")),
        (
            '{"topic":"t","partition":0,"offset":7,"timestamp":1,"key":"p","value":{"a":' + HUGE + "}}",
            ("t", 7, "bad_number"),
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else value[-1],
)
def test_4b_no_line_stops_a_replay_whatever_its_numbers_texts_and_headers_are(
    tmp_path: Path, line: str, letter: tuple[str, int, str]
) -> None:
    good = KCAT.replace("7", "8") + '"payload":null}'
    if "payload" not in line:
        good = orjson.dumps(event(data={})).decode()
        if "value" in line:
            good = '{"topic":"t","partition":0,"offset":8,"timestamp":1,"key":"p","value":null}'
    (tmp_path / "events").write_text(f"{line}\n{good}\n")

    _, letters, said = replay(tmp_path / "events", WORKED_EXAMPLE / "flows.yaml", tmp_path)

    assert [(told["topic"], told["offset"], told["reason"]) for told in letters] == [letter]
    assert "replayed 2 events" in said


@pytest.mark.parametrize("blank", ["", "\n", "\r\n\r\n", "  \n"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_i10_a_file_in_utf_16_is_refused_with_blank_lines_above_too(tmp_path: Path, encoding: str, blank: str) -> None:
    (tmp_path / "events").write_bytes((blank + orjson.dumps(event(data={})).decode()).encode(encoding))

    result = CliRunner().invoke(
        commands, ["replay", str(tmp_path / "events"), "--flows", str(WORKED_EXAMPLE / "flows.yaml")]
    )

    assert result.exit_code == 2
    assert "UTF-16" in result.output


@pytest.mark.parametrize("count", [1, 20_000])
@pytest.mark.parametrize("full", ["--output", "--dead-letters", "stdout"])
def test_4b_what_cannot_be_written_is_told_and_no_success(tmp_path: Path, full: str, count: int) -> None:
    """The last records stand in a buffer: a disk that is full refuses them where nobody looked."""
    good = (
        orjson.dumps(event(id=str(number), data={"segmentMembership": {"ups": {"aud-delorean": {}}}}))
        for number in range(count)
    )
    (tmp_path / "events").write_bytes(b"\n".join([b"rubbish"] * count + list(good)))
    arguments = ["replay", tmp_path / "events", "--flows", WORKED_EXAMPLE / "flows.yaml"]
    for option in ("--output", "--dead-letters"):
        if full != "stdout" or option == "--dead-letters":
            arguments += [option, "/dev/full" if option == full else tmp_path / option]
    with Path("/dev/full").open("wb") as device:
        done = subprocess.run(
            [sys.executable, "-m", "processor", *arguments],
            stdout=device,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "profile-exporter: not everything could be written: No space left on device"
    assert "Traceback" not in done.stderr


def test_the_three_input_forms_give_the_same_data(tmp_path: Path) -> None:
    events = [
        orjson.loads(line)
        for line in (WORKED_EXAMPLE / "events.jsonl").read_bytes().splitlines()
        if line.startswith(b"{")
    ]
    common = [{"topic": "t", "partition": 3, "offset": 10 * n, "key": "p-1"} for n in range(len(events))]
    forms = {
        "kafka": [{**record, "timestamp": 5, "value": event} for record, event in zip(common, events, strict=True)],
        "kcat": [
            {**record, "ts": 5, "payload": orjson.dumps(event).decode()}
            for record, event in zip(common, events, strict=True)
        ],
    }
    expected = lines(WORKED_EXAMPLE / "expected.jsonl")

    for name, written in forms.items():
        file = tmp_path / name
        file.write_bytes(b"\n".join(map(orjson.dumps, written)))
        records, letters, _ = replay(file, WORKED_EXAMPLE / "flows.yaml", tmp_path)

        assert letters == []
        assert [record["data"] for record in records] == [record["data"] for record in expected]
        assert [record["id"] for record in records] == ["t-3-10-vip", "t-3-20-vip"]


def test_a_tombstone_a_line_of_another_form_and_a_binary_line_in_a_kafka_file(tmp_path: Path) -> None:
    file = tmp_path / "events"
    record = {"topic": "t", "partition": 0, "offset": 0, "timestamp": 5, "key": "p", "value": None}
    file.write_bytes(orjson.dumps(record) + b'\n{"specversion":"1.0"}\n\xff\xfe\n')

    _, letters, summary = replay(file, WORKED_EXAMPLE / "flows.yaml", tmp_path)

    assert [(letter["offset"], letter["reason"]) for letter in letters] == [(1, "bad_shape"), (2, "not_utf8")]
    assert letters[1]["valueBase64"] == "//4="
    assert "skipped: profile_absent: 1" in summary


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "gzip"])
@pytest.mark.parametrize("from_stdin", [False, True])
def test_i10_a_file_that_is_no_text_in_utf_8_is_exit_code_2_with_the_remedy(
    tmp_path: Path, encoding: str, from_stdin: bool
) -> None:
    text = (WORKED_EXAMPLE / "events.jsonl").read_text()
    written = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    (tmp_path / "events").write_bytes(written)
    source = "-" if from_stdin else str(tmp_path / "events")

    result = CliRunner().invoke(
        commands,
        ["replay", source, "--flows", str(WORKED_EXAMPLE / "flows.yaml")],
        input=written if from_stdin else None,
    )

    assert (result.exit_code, result.stdout_bytes) == (2, b"")
    assert (
        f"{'the file of events' if from_stdin else tmp_path / 'events'} is not JSON lines in UTF-8: it is"
        in result.stderr
    )


def test_i10_a_flow_of_a_time_takes_effect_by_the_time_of_binary_mode(tmp_path: Path) -> None:
    """A record without Kafka's timestamp has the time of its event, wherever that stands."""
    headers = {"ce_specversion": "1.0", "ce_source": "/u", "ce_type": "profile.patched"}
    joined = {"segmentMembership": {"ups": {"vip": {}}}}
    dated = {day: headers | {"ce_id": str(day), "ce_time": f"2026-03-0{day}T12:00:00Z"} for day in (1, 3)}
    records = [
        {"topic": "t", "partition": 0, "offset": day, "key": f"p-{day}", "value": joined, "headers": dated[day]}
        for day in dated
    ]
    (tmp_path / "events").write_bytes(b"\n".join(map(orjson.dumps, records)))
    (tmp_path / "flows.yaml").write_text(
        "flows: [{id: f, destination: {type: kinesis, stream: s, region: us-east-2}, audiences: [{namespace: ups, id:"
        " vip}]}]"
    )
    (tmp_path / "none.yaml").write_text("flows: []")
    arguments = ["--flows", str(tmp_path / "none.yaml"), "--flows", f"2026-03-02T00:00:00Z={tmp_path / 'flows.yaml'}"]

    result = CliRunner().invoke(commands, ["replay", str(tmp_path / "events"), *arguments], catch_exceptions=False)

    live = [line for line in map(orjson.loads, result.stdout.splitlines()) if line["id"].startswith("t-0-")]
    assert [line["id"] for line in live] == ["t-0-3-f"]


def test_replay_ends_with_a_summary_and_exit_code_0_whatever_the_events_hold(tmp_path: Path) -> None:
    records, letters, summary = replay(WORKED_EXAMPLE / "events.jsonl", WORKED_EXAMPLE / "flows.yaml", tmp_path)

    assert (len(records), len(letters)) == (2, 1)
    for told in (
        "replayed 4 events, 0 profiles remain",
        "records of vip: 2",
        "dead letters: not_json: 1",
        "skipped: not_a_member: 1",
    ):
        assert told in summary


def test_i4_i5_replay_decides_by_the_settings_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4b: the reference for what the running worker sends, so the settings that decide are the worker's."""
    event = {
        "specversion": "1.0",
        "source": "/u",
        "type": "profile.patched",
        "subject": "p",
        "time": "2026-01-01T00:00:00Z",
    }
    ids_and_data = [("1", {}), ("2", {}), ("1", {}), ("3", {"text": "x" * 1100})]
    file = tmp_path / "events"
    file.write_bytes(b"\n".join(orjson.dumps({**event, "id": name, "data": data}) for name, data in ids_and_data))
    monkeypatch.setenv("PROFILE_EXPORTER_DEDUP_WINDOW", "2")
    monkeypatch.setenv("PROFILE_EXPORTER_MAX_DOCUMENT_BYTES", "1024")

    _, letters, summary = replay(file, WORKED_EXAMPLE / "flows.yaml", tmp_path)

    assert [letter["reason"] for letter in letters] == ["document_too_large"]
    assert "skipped: duplicate_event: 1" in summary


def test_m4_all_faults_are_told_at_once_each_with_path_and_line() -> None:
    text = b"""audiences:
  - {namespace: ups, id: 7}
flows:
  - id: a
    destination: {type: kinesis, stream: s, region: r, credentials: {type: keys, accessKeyId: x, secretKey: clear}}
    options:
      includeSegmentName: true
    attributes: [a..b]
  - {id: a b, destination: {type: kinesis, stream: s, region: us-east-2}}
extra: 1
"""
    with pytest.raises(ConfigurationError) as raised:
        parse_configuration(text, "f.yaml")

    told = "\n".join(raised.value.faults)
    for place in (
        "line 2: audiences[0].id: is 7 and not a text; put it in quotes",
        "line 5: flows[0].destination.credentials.secretKey:",
        "line 7: flows[0].options.includeSegmentName: unknown key; did you mean includeSegmentNames?",
        "line 8: flows[0].attributes[0]:",
        "line 9: flows[1].id:",
        "line 10: extra: unknown key",
    ):
        assert place in told


def test_m4_a_fault_does_not_hide_another_one_of_the_same_flow() -> None:
    text = b"""flows:
  - id: a
    destination: {type: kinesis, stream: a stream, region: us-east-2}
    audiences: [{namespace: ups, id: x}, {namespace: ups, id: x}]
    attributes: [n, n]
    options: {onResume: never, consentGate: a..b, membershipGate: some}
  - {id: a, destination: {type: kinesis, stream: s, region: nowhere at all}}
"""
    with pytest.raises(ConfigurationError) as raised:
        parse_configuration(text, "f.yaml")

    told = "\n".join(raised.value.faults)
    for place in (
        "line 3: flows[0].destination.stream:",
        "line 4: flows[0].audiences: mapped twice: ups/x",
        "line 5: flows[0].attributes: mapped twice: n",
        "line 6: flows[0].options.onResume:",
        "line 6: flows[0].options.consentGate:",
        "line 6: flows[0].options.membershipGate:",
        "line 7: flows[1]: the same flow stands at flows[0]",
        "line 7: flows[1].destination.region:",
    ):
        assert place in told


@pytest.mark.parametrize(
    ("gate", "place"),
    [
        ("[a.b, c..d]", "consentGate[1]: is not a dotted path"),
        ("[a, 5]", "consentGate[1]: is 5 and not a text"),
        ("[a, null]", "consentGate[1]: "),
        ("{path: a}", "consentGate: is neither an attribute path nor a list of them"),
        ("5", "consentGate: is 5 and not a text"),
        ("a..b", "consentGate: is not a dotted path"),
    ],
)
def test_m4_f6_a_consent_gate_that_is_no_path_and_no_list_of_paths_is_one_fault_with_its_place(
    gate: str, place: str
) -> None:
    text = (
        "flows:\n  - id: a\n    destination: {type: kinesis, stream: s, region: us-east-2}\n    options:"
        f" {{consentGate: {gate}}}\n"
    )

    with pytest.raises(ConfigurationError) as raised:
        parse_configuration(text.encode(), "f.yaml")

    (fault,) = raised.value.faults
    assert f"line 4: flows[0].options.{place}" in fault


def test_m4_an_unquoted_timestamp_that_does_not_exist_is_a_fault_with_its_line() -> None:
    text = b"audiences:\n  - {namespace: ups, id: a, createdAt: 2022-13-01T00:00:00Z}"

    with pytest.raises(
        ConfigurationError, match=r"line 2: audiences\[0\]\.createdAt: '2022-13-01T00:00:00Z' is not a real moment"
    ):
        parse_configuration(text, "f.yaml")


def test_4b_a_yaml_timestamp_of_another_spelling_is_the_same_moment() -> None:
    text = (
        b"audiences:\n  - {namespace: ups, id: a, createdAt: 2022-03-29 13:28:45.9 +02:00, updatedAt:"
        b" 2022-03-29T11:28:45Z}"
    )

    (audience,) = parse_configuration(text, "f.yaml").audiences

    assert audience.created_at == audience.updated_at == "2022-03-29T11:28:45Z"


@pytest.mark.parametrize(
    "text", [b"a: [", b"a: 1\na: 2", b"\xff\xfe\xff", b"flows: &x [*x]", b"flows: !!int many", b"flows: !!binary a"]
)
def test_a_file_that_is_no_yaml_is_refused_with_its_name(text: bytes) -> None:
    with pytest.raises(UsageError, match=r"f\.yaml"):
        parse_configuration(text, "f.yaml")


def test_m3_a_hundred_and_one_flows_are_refused_and_a_path_without_effect_is_warned_of() -> None:
    one = {"destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"}, "attributes": ["identityMap.ECID"]}
    with pytest.raises(ConfigurationError, match="101 flows"):
        parse_configuration(orjson.dumps({"flows": [{**one, "id": f"f{n}"} for n in range(101)]}), "f.json")

    assert "has no effect" in parse_configuration(orjson.dumps({"flows": [{**one, "id": "f"}]}), "f.json").warnings[0]
