"""`profile-exporter check`: settings shown, everything a worker needs looked at, and what to do where it is not in
place (G6).
"""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from processor.cli.checks import check_hot_path
from processor.cli.views.check_report import Level
from processor.core.partitioner import partition_of
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.kafka.topics import topic_specs
from processor.kafka.writer import Writer
from processor.sandbox.broker import EmbeddedBroker
from processor.sandbox.streams import create_stream
from processor.worker.hot_path import FORM
from schemas.partitioner import Partitioner
from tests.kit.installation import Installation

REGION = "us-east-2"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation("127.0.0.1:1", tmp_path / "data")
    made.change(processing_guarantee="at_least_once")
    with EmbeddedBroker({spec.name: spec.partitions for spec in topic_specs(made.settings)}) as broker:
        made.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        yield made


def apply(installation: Installation, folder: Path, **flows: str) -> None:
    """Put flows into force; each is the rest of its destination, and may say more."""
    lines = [
        f"  - {{id: {name}, destination: {{type: kinesis, region: {REGION}, {rest}}}" for name, rest in flows.items()
    ]
    (folder / "flows.yaml").write_text("\n".join(["flows:", *lines]))
    result = installation.command("apply", str(folder / "flows.yaml"))
    assert result.exit_code == 0, result.output


def test_everything_in_place_is_exit_code_0(installation: Installation, kinesis: str, tmp_path: Path) -> None:
    stream = installation.settings.app_id
    create_stream(kinesis, REGION, stream)
    apply(installation, tmp_path, vip=f'stream: {stream}, endpointUrl: "{kinesis}"}}')

    result = installation.command("check")

    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.stdout
    assert f"ok      flow vip: stream {stream} in {REGION} at {kinesis}" in result.stdout
    assert "not supported by this broker" in result.stdout
    assert f"the hot path is {FORM}" in result.stdout


def test_an_interpreted_hot_path_is_a_warning_with_what_to_do() -> None:
    (compiled,) = check_hot_path("compiled")
    (interpreted,) = check_hot_path("interpreted")

    assert compiled == (Level.OK, "the hot path is compiled", "")
    assert (interpreted.level, "`make setup`" in interpreted.remedy) == (Level.WARNING, True)


def test_every_setting_is_shown_with_its_value_where_it_is_from_and_what_it_is(installation: Installation) -> None:
    shown = {
        line.split()[0]: line
        for line in installation.command("check").stdout.splitlines()
        if "PROFILE_EXPORTER_" in line
    }

    for name, field in Settings.model_fields.items():
        assert str(field.description) in shown[env_name(name)]
    assert "  4 " in shown["PROFILE_EXPORTER_PARTITIONS"]
    assert "  environment  " in shown["PROFILE_EXPORTER_PARTITIONS"]
    assert "  default  " in shown["PROFILE_EXPORTER_DEDUP_WINDOW"]


def test_what_stands_in_the_file_is_shown_as_from_there_and_a_typing_error_in_it_is_found(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(
        'PROFILE_EXPORTER_DEDUP_WINDOW=7\nPROFILE_EXPORTER_PARTITIONS=5\nPROFILE_EXPORTER_LINGR_SECONDS=1\nX="a" # b\n'
    )

    said = installation.command("check").stdout

    shown = {line.split()[0]: line for line in said.splitlines() if "PROFILE_EXPORTER_" in line}
    assert "  7 " in shown["PROFILE_EXPORTER_DEDUP_WINDOW"]
    assert "  .env  " in shown["PROFILE_EXPORTER_DEDUP_WINDOW"]
    assert "  environment  " in shown["PROFILE_EXPORTER_PARTITIONS"]
    assert "warning PROFILE_EXPORTER_LINGR_SECONDS is set in .env, but there is no such setting" in said
    assert "warning .env: the value of X is more than stands between its quotes" in said


def test_g7_where_a_reference_of_a_flow_comes_from_is_told_and_not_what_it_is(
    installation: Installation, kinesis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_ENV_ACCESS_KEY_ID", "AKIDSHOWN")
    Path(".env").write_text("KINESIS_SECRET=s3cret\nMOUNTED_FILE=mounted\n")
    Path("mounted").write_text("m0unted")
    stream = installation.settings.app_id
    create_stream(kinesis, REGION, stream)
    keys = {"vip": "KINESIS_SECRET", "crm": "MOUNTED"}
    credentials = 'credentials: {type: keys, accessKeyId: "${OF_ENV_ACCESS_KEY_ID}", secretKey: "${SECRET}"}'
    rest = f'stream: {stream}, endpointUrl: "{kinesis}", {credentials}}}'
    apply(installation, tmp_path, **{name: rest.replace("SECRET}", f"{secret}}}") for name, secret in keys.items()})

    result = installation.command("check")

    assert result.exit_code == 0, result.output
    assert "ok      ${KINESIS_SECRET} of flow vip: its value, from .env" in result.stdout
    assert "ok      ${MOUNTED} of flow crm: the file that MOUNTED_FILE names there, from .env" in result.stdout
    assert "ok      ${OF_ENV_ACCESS_KEY_ID} of flows crm, vip: its value, from the environment" in result.stdout
    assert "s3cret" not in result.output
    assert "m0unted" not in result.output
    assert "AKIDSHOWN" not in result.output


def test_m5_a_path_that_was_put_into_force_before_it_was_refused_is_a_warning(installation: Installation) -> None:
    destination = {"type": "kinesis", "stream": "s", "region": REGION, "endpointUrl": "http://127.0.0.1:1"}
    flow = {"id": "old", "state": "disabled", "destination": destination, "attributes": ["/person/name"]}
    with Writer(installation.settings) as writer:
        writer.write(installation.topics.flows, b"old", orjson.dumps({"flow": flow, "etag": "e"}), name="flow")

    result = installation.command("check")

    assert result.exit_code == 0, result.output
    told = (
        "warning flow old: attributes: /person/name is not a dotted path: members are separated by dots; write"
        " person.name; it goes on as it did"
    )
    assert told in result.stdout


def test_a_secret_is_masked(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path)
    installation.change(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="ada",
        kafka_sasl_password="lovelace",
    )

    output = installation.command("check").output

    assert "lovelace" not in output
    assert "**********" in output


def test_a_stream_that_does_not_exist_is_named_with_flow_region_endpoint_and_remedy(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    apply(installation, tmp_path, vip=f'stream: missing-stream, endpointUrl: "{kinesis}"}}')

    result = installation.command("check")

    assert result.exit_code == 1
    assert f"FAILED  flow vip: stream missing-stream in {REGION} at {kinesis}: no such stream" in result.stdout
    assert (
        f"aws kinesis create-stream --stream-name missing-stream --region {REGION} --endpoint-url {kinesis}"
        in result.stdout
    )
    assert "1 thing is not in place" in result.stderr


def test_an_endpoint_that_does_not_answer_fails_an_enabled_flow_and_warns_for_a_disabled_one(
    installation: Installation, tmp_path: Path
) -> None:
    nowhere = 'stream: s, endpointUrl: "http://127.0.0.1:1"}'
    apply(installation, tmp_path, live=nowhere, resting=f"{nowhere}, state: disabled")

    result = installation.command("check")

    assert result.exit_code == 1
    assert f"FAILED  flow live: stream s in {REGION} at http://127.0.0.1:1: no usable answer" in result.stdout
    assert "warning flow resting:" in result.stdout
    assert "(the flow is disabled)" in result.stdout
    assert "Traceback" not in result.output


def test_a_secret_that_is_not_in_the_environment_is_named_and_never_shown(
    installation: Installation, kinesis: str, tmp_path: Path
) -> None:
    keys = 'credentials: {type: keys, accessKeyId: AKIA1, secretKey: "${NOT_SET_ANYWHERE}"}'
    apply(installation, tmp_path, vip=f'stream: s, endpointUrl: "{kinesis}", {keys}}}')

    result = installation.command("check")

    assert result.exit_code == 1
    assert "credentials_missing: NOT_SET_ANYWHERE is not set" in result.stdout


def test_topics_that_are_missing_or_have_other_partition_counts_are_named_with_the_remedy(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path)
    specs = {spec.name: spec.partitions for spec in topic_specs(installation.settings)}
    del specs[installation.topics.flows]
    with EmbeddedBroker(specs | {installation.topics.exports: 7}) as broker:
        installation.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        result = installation.command("check")

    assert result.exit_code == 1
    assert f"FAILED  topic {installation.topics.flows} is missing" in result.stdout
    assert "profile-exporter init" in result.stdout
    assert f"FAILED  topic {installation.topics.exports} has 7 partitions, 4 are wanted" in result.stdout
    assert f"ok      topic {installation.topics.profile_events}: 4 partitions" in result.stdout


def test_a_flow_that_cannot_be_read_is_a_failure_and_no_flow_at_all_a_warning(installation: Installation) -> None:
    assert "warning there are no flows" in installation.command("check").stdout
    with Writer(installation.settings) as writer:
        writer.write(installation.topics.flows, b"broken", b"{}", name="flow")

    result = installation.command("check")

    assert result.exit_code == 1
    assert "FAILED  flow broken" in result.stdout


def test_transactions_are_not_to_be_expected_of_the_embedded_broker(installation: Installation) -> None:
    installation.change(processing_guarantee="exactly_once")

    result = installation.command("check")

    assert result.exit_code == 0
    assert "PROFILE_EXPORTER_PROCESSING_GUARANTEE=at_least_once" in result.stdout


def test_a_variable_that_is_no_setting_is_warned_of_with_the_nearest_one(installation: Installation) -> None:
    installation.change(dedup_windw=3)

    shown = installation.command("check").stdout

    assert "warning PROFILE_EXPORTER_DEDUP_WINDW is set" in shown
    assert "did you mean PROFILE_EXPORTER_DEDUP_WINDOW?" in shown


def test_without_a_broker_the_rest_is_not_asked(tmp_path: Path) -> None:
    result = Installation("127.0.0.1:1", tmp_path).command("check")

    assert result.exit_code == 1
    assert "FAILED  no answer from a Kafka broker at 127.0.0.1:1" in result.stdout
    assert "topic" not in result.stdout.partition("FAILED")[2]


def test_wrong_settings_are_exit_code_2(tmp_path: Path) -> None:
    installation = Installation("127.0.0.1:1", tmp_path)
    installation.change(partitions="many")

    result = installation.command("check")

    assert result.exit_code == 2
    assert "PROFILE_EXPORTER_PARTITIONS='many'" in result.stderr


def produce(installation: Installation, *keys: str | None, partition: int = -1, **properties: str) -> None:
    """As a program of somebody else, with librdkafka's own partitioner unless told."""
    producer = Producer({"bootstrap.servers": installation.settings.kafka_bootstrap_servers, **properties})
    for key in keys:
        producer.produce(installation.topics.profile_events, b"{}", key, partition=partition)
    producer.flush()


def test_i12_the_newest_events_are_compared_with_the_partitioner_and_the_one_that_fits_is_named(
    installation: Installation,
) -> None:
    keys = [f"p-{number}" for number in range(100)]
    elsewhere = [
        key
        for key in keys
        if partition_of(key.encode(), 4, Partitioner.MURMUR2) != partition_of(key.encode(), 4, Partitioner.CRC32)
    ]

    empty = installation.command("check")
    produce(installation, *keys, None)
    by_murmur2 = installation.command("check")
    installation.change(partitioner="crc32")
    by_crc32 = installation.command("check")

    assert "holds no events: there is nothing to compare with PARTITIONER=murmur2" in empty.stdout
    assert by_murmur2.exit_code == 0, "they are processed all the same"
    told = f"warning of the newest 100 events {len(elsewhere)} events are not in the partition where"
    assert f"{told} Java's default partitioner (murmur2) puts the key" in by_murmur2.stdout
    assert (
        "→ librdkafka's default partitioner (crc32) fits all of them: set PARTITIONER=crc32, or"
        " partitioner=murmur2_random" in by_murmur2.stdout
    )
    assert (
        "ok      the newest 100 events are where librdkafka's default partitioner (crc32) puts their keys"
        in by_crc32.stdout
    )


def test_i12_one_misplaced_event_among_many_is_seen_with_its_place(installation: Installation) -> None:
    produce(installation, *(f"p-{number}" for number in range(150)), partitioner="murmur2_random")
    home = partition_of(b"astray", 4, Partitioner.MURMUR2)
    elsewhere = next(
        partition for partition in range(4) if partition not in (home, partition_of(b"astray", 4, Partitioner.CRC32))
    )
    produce(installation, "astray", partition=elsewhere)

    shown = installation.command("check").stdout

    assert "of the newest 151 events 1 event is not in the partition" in shown
    assert (
        f"(by partition: 1 in {elsewhere}; the key at {installation.topics.profile_events}[{elsewhere}] offset" in shown
    )
    assert f"belongs in {home})" in shown
    assert "no partitioner that is known fits them: look for a producer that names partitions itself" in shown


def test_i12_with_none_a_partitioner_that_fits_is_named_and_so_are_keys_on_two_partitions(
    installation: Installation,
) -> None:
    installation.change(partitioner="none")
    produce(installation, *(f"p-{number}" for number in range(50)))
    fits = installation.command("check").stdout
    for partition in (0, 1):
        produce(installation, "twice", partition=partition)

    several = installation.command("check").stdout

    assert "PARTITIONER=none, and librdkafka's default partitioner (crc32) fits all of the newest 50 events" in fits
    assert "→ set PARTITIONER=crc32" in fits
    assert "no partitioner that is known fits the newest events; commands look up where profiles are" in several
    assert "1 of the newest keys is on two partitions" in several
