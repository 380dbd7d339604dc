"""`profile-exporter apply`: what FILE says is in force, nothing else is touched (contract M2 to M4, 4b)."""

import re
from pathlib import Path
from typing import Any

import orjson

from processor.files.configuration import read_configuration
from processor.kafka.reading import read_compacted, read_topic
from processor.kafka.writer import Writer
from schemas.wire.flows import StoredFlow, decode_flow, encode_flow, flow_key, is_job_key
from tests.kit.installation import Installation

FILE = """
audiences:
  - {namespace: ups, id: gold, name: Gold}
flows:
  - id: vip
    destination: {type: kinesis, stream: vips, region: us-east-2}
    audiences: [{namespace: ups, id: gold}]
    attributes: [person.name]
  - id: other
    destination: {type: kinesis, stream: others, region: us-east-2}
"""
ONLY_VIP = FILE[: FILE.index("  - id: other")]


def apply(installation: Installation, folder: Path, text: str, *options: str) -> list[str]:
    result = installation.command("apply", str(written(folder, text)), *options)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def written(folder: Path, text: str) -> Path:
    file = folder / "flows.yaml"
    file.write_text(text)
    return file


def flows(installation: Installation) -> dict[str, StoredFlow]:
    stored = read_compacted(installation.settings, installation.topics.flows)
    return {key.decode(): decode_flow(key, value) for key, value in stored.items() if not is_job_key(key)}


def audiences(installation: Installation) -> dict[bytes, Any]:
    stored = read_compacted(installation.settings, installation.topics.audiences)
    return {key: orjson.loads(value) for key, value in stored.items()}


def records(installation: Installation) -> int:
    topics = (installation.topics.flows, installation.topics.audiences)
    return sum(
        1
        for topic in topics
        for record in read_topic(installation.settings, topic)
        if not is_job_key(record.key or b"")
    )


def test_4b_what_the_file_names_is_created_and_read_back(ready: Installation, tmp_path: Path) -> None:
    lines = apply(ready, tmp_path, FILE)

    assert lines[:3] == ["create audience ups/gold", "create flow vip", "create flow other"]
    assert re.fullmatch(r"backfill \w+ of flow vip starts: ups/gold", lines[3])
    assert lines[4:] == ["create: 3; in force"]
    assert list(flows(ready)) == ["vip", "other"]
    assert audiences(ready) == {
        b'["ups","gold"]': {"audience": {"namespace": "ups", "id": "gold", "name": "Gold", "mergePolicyId": "default"}}
    }


def test_m2_only_what_differs_is_written_with_a_new_etag_also_back_to_an_earlier_content(
    prepared: Installation, tmp_path: Path
) -> None:
    changed = FILE.replace("person.name", "person.birthDate")
    apply(prepared, tmp_path, FILE)
    first, count = flows(prepared), records(prepared)

    again = apply(prepared, tmp_path, FILE)
    same, same_count = flows(prepared), records(prepared)
    there = apply(prepared, tmp_path, changed)
    second = flows(prepared)
    apply(prepared, tmp_path, FILE)
    third = flows(prepared)

    assert again == ["unchanged: 3; in force"]
    assert (same, same_count) == (first, count)
    assert there == ["change flow vip", "change: 1, unchanged: 2; in force"]
    assert first["vip"].flow == third["vip"].flow
    assert len({stored["vip"].etag for stored in (first, second, third)}) == 3
    assert first["other"] == second["other"] == third["other"]


def test_4b_what_the_file_does_not_name_is_kept_and_with_prune_removed(ready: Installation, tmp_path: Path) -> None:
    apply(ready, tmp_path, FILE)

    kept = apply(ready, tmp_path, ONLY_VIP)
    both = set(flows(ready))
    pruned = apply(ready, tmp_path, "flows: []", "--prune")

    assert kept == ["keep flow other", "unchanged: 2, keep: 1; in force"]
    assert both == {"vip", "other"}
    assert set(pruned[:-1]) == {"remove flow vip", "remove flow other", "remove audience ups/gold"}
    assert pruned[-1] == "remove: 3; in force"
    assert (flows(ready), audiences(ready)) == ({}, {})


def test_m2_flows_of_before_audit_events_had_etags_are_recorded_by_the_next_apply_and_once(
    ready: Installation, tmp_path: Path
) -> None:
    """An export names its flow's etag, and only audit events keep what it stood for."""
    wanted = read_configuration(written(tmp_path, FILE))
    with Writer(ready.settings) as writer:
        for flow in wanted.flows:
            writer.write(
                ready.topics.flows,
                flow_key(flow.id),
                encode_flow(StoredFlow(flow, f"etag-of-{flow.id}")).value,
                name=flow.id,
            )
    before = flows(ready)

    dry = apply(ready, tmp_path, ONLY_VIP, "--dry-run", "--no-check"), recorded(ready)
    first = apply(ready, tmp_path, FILE, "--no-check"), recorded(ready)
    again = apply(ready, tmp_path, FILE, "--no-check"), recorded(ready)

    assert dry[1] == []
    assert first[0] == ["create audience ups/gold", "create: 1, unchanged: 2; in force"]
    assert first[1] == again[1] == [("vip", "etag-of-vip", "command"), ("other", "etag-of-other", "command")]
    assert flows(ready) == before


def test_m2_a_flow_of_before_is_recorded_also_where_nothing_else_is_written(
    prepared: Installation, tmp_path: Path
) -> None:
    apply(prepared, tmp_path, FILE)
    changed = flows(prepared)["other"]._replace(etag="etag-of-an-old-version", created_by=None, updated_by=None)
    with Writer(prepared.settings) as writer:
        writer.write(prepared.topics.flows, flow_key("other"), encode_flow(changed).value, name="other")

    lines = apply(prepared, tmp_path, FILE)

    assert lines == ["unchanged: 3; in force"]
    assert recorded(prepared) == [("other", "etag-of-an-old-version", "command")]


def recorded(installation: Installation) -> list[tuple[str, str, str]]:
    """(flow, etag, via) of each audit event `recorded`."""
    events = [
        orjson.loads(record.value or b"")
        for record in read_topic(installation.settings, installation.topics.audit_events)
    ]
    return [(event["id"], event["etag"], event["via"]) for event in events if event["action"] == "recorded"]


def test_a_dry_run_prints_the_plan_and_changes_nothing(prepared: Installation, tmp_path: Path) -> None:
    lines = apply(prepared, tmp_path, FILE, "--dry-run")

    assert lines[:-1] == ["create audience ups/gold", "create flow vip", "create flow other"]
    assert lines[-1] == "create: 3; nothing was changed: --dry-run"
    assert records(prepared) == 0


def test_m4_a_faulty_file_is_told_with_path_and_line_before_the_broker_is_asked(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path)
    file = written(tmp_path, FILE.replace("attributes:", "atributes:").replace("id: other", "id: not an id"))

    result = installation.command("apply", str(file))

    assert result.exit_code == 2
    assert f"{file}: 2 faults" in result.stderr
    assert "line 8: flows[0].atributes: unknown key; did you mean attributes?" in result.stderr
    assert "line 9: flows[1].id: " in result.stderr


def test_a_file_that_is_not_there_is_wrong_usage_and_named(tmp_path: Path) -> None:
    result = Installation("127.0.0.1:1", tmp_path).command("apply", "nowhere.yaml")

    assert (result.exit_code, result.stderr) == (
        2,
        "profile-exporter: nowhere.yaml: cannot be read: No such file or directory\n",
    )


def test_a_warning_of_the_file_is_told_and_stops_nothing(prepared: Installation, tmp_path: Path) -> None:
    file = written(tmp_path, FILE.replace("person.name", "identityMap.ECID"))

    result = prepared.command("apply", str(file), "--dry-run")

    assert result.exit_code == 0
    assert "warning: flows[0].attributes: identityMap.ECID has no effect" in result.stderr


def test_without_its_topics_apply_says_run_init(installation: Installation, tmp_path: Path) -> None:
    result = installation.command("apply", str(written(tmp_path, FILE)))

    assert result.exit_code == 2
    assert (
        f"missing on the broker: {installation.topics.flows}, {installation.topics.audiences},"
        f" {installation.topics.connections}" in result.stderr
    )
    assert "profile-exporter init" in result.stderr
