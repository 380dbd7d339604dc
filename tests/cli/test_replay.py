"""`profile-exporter replay` and its files (contract 4b, M4)."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from processor.cli import commands
from processor.configuration import ConfigurationError, parse_configuration
from processor.errors import UsageError

GOLDEN = sorted((Path(__file__).parents[1] / "golden").iterdir())


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def replay(events: Path, flows: Path, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    out, letters = folder / "out", folder / "letters"
    arguments = ["replay", str(events), "--flows", str(flows), "--output", str(out), "--dead-letters", str(letters)]
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return lines(out), lines(letters), result.stderr


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_golden_history_gives_its_expected_records(golden: Path, tmp_path: Path) -> None:
    records, letters, summary = replay(golden / "events.jsonl", golden / "flows.yaml", tmp_path)

    assert records == lines(golden / "expected.jsonl")
    assert [(letter["offset"], letter["reason"], letter["value"]) for letter in letters] == [(2, "not_json", "not json")]
    assert "replayed 4 events, 0 profiles remain" in summary


def test_the_three_input_forms_give_the_same_data(tmp_path: Path) -> None:
    golden = GOLDEN[0]
    events = [orjson.loads(line) for line in (golden / "events.jsonl").read_bytes().splitlines() if line.startswith(b"{")]
    common = [{"topic": "t", "partition": 3, "offset": 10 * n, "key": "p-1"} for n in range(len(events))]
    forms = {
        "kafka": [{**record, "timestamp": 5, "value": event} for record, event in zip(common, events, strict=True)],
        "kcat": [{**record, "ts": 5, "payload": orjson.dumps(event).decode()} for record, event in zip(common, events, strict=True)],
    }
    expected = lines(golden / "expected.jsonl")

    for name, written in forms.items():
        file = tmp_path / name
        file.write_bytes(b"\n".join(map(orjson.dumps, written)))
        records, letters, _ = replay(file, golden / "flows.yaml", tmp_path)

        assert letters == []
        assert [record["data"] for record in records] == [record["data"] for record in expected]
        assert [record["id"] for record in records] == ["t-3-10-vip", "t-3-20-vip"]


def test_a_tombstone_a_line_of_another_form_and_a_binary_line_in_a_kafka_file(tmp_path: Path) -> None:
    file = tmp_path / "events"
    record = {"topic": "t", "partition": 0, "offset": 0, "timestamp": 5, "key": "p", "value": None}
    file.write_bytes(orjson.dumps(record) + b'\n{"specversion":"1.0"}\n\xff\xfe\n')

    _, letters, summary = replay(file, GOLDEN[0] / "flows.yaml", tmp_path)

    assert [(letter["offset"], letter["reason"]) for letter in letters] == [(1, "bad_shape"), (2, "not_utf8")]
    assert letters[1]["valueBase64"] == "//4="
    assert "skipped: profile_absent: 1" in summary


def test_m4_all_faults_are_told_at_once_each_with_path_and_line() -> None:
    text = b"""audiences:
  - {namespace: ups, id: 7}
flows:
  - id: a
    destination: {type: kinesis, stream: s, region: us-east-2, credentials: {type: keys, accessKeyId: x, secretKey: clear}}
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
        "line 2: audiences[0].id:",
        "line 5: flows[0].destination.credentials.secretKey:",
        "line 7: flows[0].options.includeSegmentName: unknown key; did you mean includeSegmentNames?",
        "line 8: flows[0].attributes[0]:",
        "line 9: flows[1].id:",
        "line 10: extra: unknown key",
    ):
        assert place in told


@pytest.mark.parametrize("text", [b"a: [", b"a: 1\na: 2", b"\xff\xfe\xff", b"flows: &x [*x]"])
def test_a_file_that_is_no_yaml_is_refused_with_its_name(text: bytes) -> None:
    with pytest.raises(UsageError, match=r"f\.yaml"):
        parse_configuration(text, "f.yaml")


def test_m3_a_hundred_and_one_flows_are_refused_and_a_path_without_effect_is_warned_of() -> None:
    one = {"destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"}, "attributes": ["identityMap.ECID"]}
    with pytest.raises(ConfigurationError, match="101 flows"):
        parse_configuration(orjson.dumps({"flows": [{**one, "id": f"f{n}"} for n in range(101)]}), "f.json")

    assert "has no effect" in parse_configuration(orjson.dumps({"flows": [{**one, "id": "f"}]}), "f.json").warnings[0]
