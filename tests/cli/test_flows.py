"""`profile-exporter flows check`, and what `apply` says of flows that become active (contract G6), on the embedded
broker.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result

from processor.kafka.reading import read_compacted
from processor.kafka.topics import topic_specs
from processor.sandbox.broker import EmbeddedBroker
from processor.sandbox.streams import create_stream, read_stream
from tests.kit.installation import Installation

REGION = "us-east-2"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation("127.0.0.1:1", tmp_path / "data")
    made.change(processing_guarantee="at_least_once")
    with EmbeddedBroker({spec.name: spec.partitions for spec in topic_specs(made.settings)}) as broker:
        made.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        yield made


def apply(
    installation: Installation, folder: Path, endpoint: str, *options: str, state: str = "enabled", attribute: str = "a"
) -> Result:
    """One flow, `vip`, to the stream that carries the installation's name."""
    destination = (
        f'{{type: kinesis, stream: {installation.settings.app_id}, region: {REGION}, endpointUrl: "{endpoint}"}}'
    )
    file = folder / "flows.yaml"
    file.write_text(f"flows: [{{id: vip, state: {state}, destination: {destination}, attributes: [{attribute}]}}]")
    return installation.command("apply", str(file), *options)


def in_force(installation: Installation) -> int:
    return len(read_compacted(installation.settings, installation.topics.flows))


OF_A_KEY = "; a stream with a customer's key asks its writers for kms:GenerateDataKey as well, which no probe shows"


def test_g6_every_question_is_answered_for_the_flow_and_nothing_is_written(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    stream = installation.settings.app_id
    create_stream(kinesis, REGION, stream)
    applied = apply(installation, tmp_path, kinesis)

    result = installation.command("flows", "check", "vip")

    assert (applied.exit_code, applied.stderr) == (0, "")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"flow vip: stream {stream} in {REGION} at {kinesis}",
        f"ok      access: {kinesis} answers, and knows the credentials",
        "ok      kinesis:ListStreams: allowed",
        "ok      stream: there, ACTIVE",
        "ok      kinesis:PutRecord: allowed, most likely",
        f"ok      kinesis:PutRecords: allowed, most likely{OF_A_KEY}",
    ]
    assert read_stream(kinesis, REGION, stream) == []


def test_g6_a_disabled_flow_is_checked_before_it_is_enabled(installation: Installation, tmp_path: Path) -> None:
    assert apply(installation, tmp_path, NOWHERE, state="disabled").stderr == ""

    result = installation.command("flows", "check")

    assert result.exit_code == 1
    assert "flow vip (disabled): stream" in result.stdout
    assert f"FAILED  access: no usable answer from {NOWHERE}" in result.stdout
    assert "1 thing is not in place" in result.stderr


def test_flows_check_as_json_is_one_object_a_flow(installation: Installation, kinesis: str, tmp_path: Path) -> None:
    apply(installation, tmp_path, kinesis)

    result = installation.command("flows", "check", "--json")

    assert result.exit_code == 1
    found: dict[str, Any] = orjson.loads(result.stdout)
    assert (found["flow"], found["state"], found["destination"]["region"]) == ("vip", "enabled", REGION)
    verdicts = {answer["question"]: answer["verdict"] for answer in found["answers"]}
    assert verdicts == {
        "access": "ok", "kinesis:ListStreams": "ok", "stream": "failed", "kinesis:PutRecord": "ok",
        "kinesis:PutRecords": "ok",
    }  # fmt: skip


def test_a_flow_that_is_not_there_is_exit_code_2_with_the_nearest(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    assert "there are no flows" in installation.command("flows", "check").stdout
    apply(installation, tmp_path, kinesis)

    result = installation.command("flows", "check", "vpi")

    assert result.exit_code == 2
    assert "there is no flow vpi; did you mean vip?" in result.stderr


def test_g6_apply_warns_of_a_flow_that_becomes_active_and_would_not_be_let_in(
    installation: Installation, tmp_path: Path
) -> None:
    new = apply(installation, tmp_path, NOWHERE)
    changed = apply(installation, tmp_path, NOWHERE, attribute="b")
    disabled = apply(installation, tmp_path, NOWHERE, state="disabled")
    enabled = apply(installation, tmp_path, NOWHERE)
    unasked = apply(installation, tmp_path, f"{NOWHERE}/", "--no-check")

    assert [each.exit_code for each in (new, changed, disabled, enabled, unasked)] == [0] * 5
    for each in (new, enabled):
        assert (
            f"warning: flow vip: stream {installation.settings.app_id} in {REGION} at {NOWHERE}: no usable answer"
            in each.stderr
        )
        assert "start the endpoint" in each.stderr
    assert changed.stderr == disabled.stderr == unasked.stderr == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("stream", name) for name in ("", "no stream", "ströme", "a/b", "x" * 129)),
        *(("region", name) for name in ("", "us-east-2-", "US", "us_east_2", "x" * 64)),
    ],
)
def test_g6_a_stream_or_region_that_cannot_exist_is_refused_with_its_place(
    tmp_path: Path, name: str, value: str
) -> None:
    destination = {"type": "kinesis", "stream": "s", "region": REGION, name: value}
    (tmp_path / "flows.json").write_bytes(orjson.dumps({"flows": [{"id": "vip", "destination": destination}]}))

    result = Installation("127.0.0.1:1", tmp_path).command("apply", str(tmp_path / "flows.json"))

    assert result.exit_code == 2
    assert f"flows[0].destination.{name}" in result.stderr.replace("kinesis.", "")


def test_g6_with_strict_nothing_is_put_into_force_until_the_flow_would_be_let_in(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    refused = apply(installation, tmp_path, kinesis, "--strict")
    before = in_force(installation)
    create_stream(kinesis, REGION, installation.settings.app_id)
    taken = apply(installation, tmp_path, kinesis, "--strict")

    assert (refused.exit_code, before) == (1, 0)
    assert "no such stream" in refused.stderr
    assert "1 flow would not be authorized, see above; nothing was changed: --strict" in refused.stderr
    assert (taken.exit_code, in_force(installation)) == (0, 1)
