"""`profile-exporter status`: what Kafka knows and what the workers say of themselves, on the embedded broker."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.cli.views.status_report import Lag, Overview, build_overview
from processor.dead_letters.counts import DeadLetterCounts
from processor.kafka.topics import topic_specs
from processor.kafka.writer import Writer
from processor.sandbox.broker import EmbeddedBroker
from schemas.parked_flow import ParkedFlowRow
from schemas.partitioner import Partitioner
from schemas.times import format_time
from schemas.worker_status import FlowStatus, PartitionStatus, WorkerStatus
from tests.kit.installation import Installation

FLOWS = """
flows:
  - {id: vip, name: VIPs, destination: {type: kinesis, stream: vip-profiles, region: us-east-2}}
  - {id: paused, state: disabled, destination: {type: kinesis, stream: other, region: eu-west-1, endpointUrl: "http://127.0.0.1:4567"}}
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation("127.0.0.1:1", tmp_path / "data")
    with EmbeddedBroker({spec.name: spec.partitions for spec in topic_specs(made.settings)}) as broker:
        made.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        yield made


def a_worker(name: str, age_seconds: int = 0, partitions: tuple[int, ...] = (), **said: Any) -> WorkerStatus:
    now = int(datetime.now(UTC).timestamp())
    owned = tuple(
        PartitionStatus(partition=number, nextOffset=40, rows=1000, restored=300, toRestore=0) for number in partitions
    )
    base = {
        "name": name,
        "state": "running",
        "version": "0.1.0",
        "startedAt": format_time(now - 3600),
        "time": format_time(now - age_seconds),
    }
    return WorkerStatus.model_validate({**base, "partitions": owned, **said})


def report(installation: Installation, *statuses: WorkerStatus) -> None:
    with Writer(installation.settings) as writer:
        for status in statuses:
            writer.write(
                installation.topics.worker_status,
                status.name.encode(),
                status.model_dump_json(by_alias=True).encode(),
                name=status.name,
            )


def as_json(installation: Installation) -> Any:
    result = installation.command("status", "--json")
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def test_without_workers_and_flows_it_says_so_and_what_to_do(installation: Installation) -> None:
    result = installation.command("status")

    assert result.exit_code == 0
    assert "workers: none has reported; start one with `profile-exporter worker`" in result.stdout
    assert "flows: none; put some into force with `profile-exporter apply FILE`" in result.stdout


def test_counts_are_summed_over_workers_and_every_partition_names_its_owner(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "flows.yaml").write_text(FLOWS)
    assert installation.command("apply", str(tmp_path / "flows.yaml")).exit_code == 0
    counts = {
        "decided": {"segment": 3},
        "exported": 4,
        "skipped": {"trigger_off": 2},
        "delivered": 3,
        "deliveredBytes": 30,
        "waiting": 1,
    }
    trouble = {"retried": 5, "throttled": 6, "deadLettered": {"rejected": 1}}
    first = FlowStatus.model_validate({**counts, **trouble})
    second = FlowStatus.model_validate({**counts, "paused": "stream_not_found", "outOfOrder": {"shard_changed": 2}})
    report(
        installation,
        a_worker(
            "w-1",
            partitions=(0, 1),
            events=10,
            deadLetters={"not_json": 2},
            eventsSkipped={"duplicate_event": 1},
            flows={"vip": first},
        ),
        a_worker("w-2", partitions=(2,), events=20, deadLetters={"not_json": 1}, flows={"vip": second}),
    )

    found = as_json(installation)

    assert [partition["owner"] for partition in found["partitions"]] == ["w-1", "w-1", "w-2", None]
    assert (found["rows"], found["events"], found["eventsSkipped"]) == (3000, 30, {"duplicate_event": 1})
    assert found["deadLetters"] == {"not_json": 3, "rejected": 1}
    paused, vip = found["flows"]
    assert (paused["id"], paused["state"], paused["exported"]) == ("paused", "disabled", 0)
    where = {"stream": "other", "region": "eu-west-1", "endpointUrl": "http://127.0.0.1:4567"}
    assert paused["destination"] == where | {"streamArn": None}  # G10
    assert (vip["decided"], vip["skipped"], vip["deadLettered"]) == (
        {"segment": 6},
        {"trigger_off": 4},
        {"rejected": 1},
    )
    assert [vip[name] for name in ("exported", "delivered", "deliveredBytes", "waiting", "retried", "throttled")] == [
        8,
        6,
        60,
        2,
        5,
        6,
    ]
    assert vip["paused"] == ["stream_not_found"]
    assert vip["outOfOrder"] == {"shard_changed": 2}


def test_the_tables_show_workers_partitions_flows_and_counts(installation: Installation) -> None:
    flow = FlowStatus.model_validate(
        {
            "decided": {"segment": 3},
            "exported": 4,
            "delivered": 3,
            "outOfOrder": {"shard_changed": 2},
            "waiting": 1,
            "paused": "access_denied",
        }
    )
    report(
        installation, a_worker("w-1", partitions=(0,), events=1234, deadLetters={"not_json": 2}, flows={"gone": flow})
    )

    shown = installation.command("status").stdout

    causes, trouble = (
        "records by cause: segment",
        ("dead letters: not_json", "not in order in the stream: shard_changed"),
    )
    for told in ("w-1   running", "1,234", causes, *trouble, "no longer there", "access_denied", "nobody"):
        assert told in shown


def test_each_worker_tells_the_form_of_its_hot_path_and_one_of_before_does_not(installation: Installation) -> None:
    report(installation, a_worker("fast", hotPath="compiled"), a_worker("slow", hotPath="interpreted"), a_worker("old"))

    workers = {worker["name"]: worker["hotPath"] for worker in as_json(installation)["workers"]}
    shown = installation.command("status").stdout

    assert workers == {"fast": "compiled", "slow": "interpreted", "old": None}
    assert "hot path" in shown
    assert "0.1.0    compiled" in shown
    assert "0.1.0    interpreted" in shown


def test_a_recovery_shows_what_is_read_and_what_is_left(installation: Installation) -> None:
    restored = PartitionStatus(partition=1, nextOffset=0, rows=900, restored=1000, toRestore=24_000)
    report(installation, a_worker("w-1", state="restoring").model_copy(update={"partitions": (restored,)}))

    shown = installation.command("status").stdout
    (partition,) = [each for each in as_json(installation)["partitions"] if each["partition"] == 1]

    assert "restoring" in shown
    assert "1,000 read, 24,000 to go" in shown
    assert (partition["restored"], partition["toRestore"]) == (1000, 24_000)


def test_a_worker_that_has_not_reported_is_silent_and_owns_nothing_any_more(installation: Installation) -> None:
    flow = FlowStatus.model_validate({"exported": 4, "waiting": 9, "paused": "access_denied"})
    report(
        installation,
        a_worker("dead", age_seconds=60, partitions=(0,), flows={"vip": flow}),
        a_worker("fresh", age_seconds=10, partitions=(1,)),
    )

    found = as_json(installation)

    dead, fresh = found["workers"]
    assert dead["silentSeconds"] >= 60
    assert fresh["silentSeconds"] == 0
    assert [partition["owner"] for partition in found["partitions"]] == [None, "fresh", None, None]
    assert [found["flows"][0][name] for name in ("exported", "waiting", "paused")] == [4, 0, []]
    assert "silent for 6" in installation.command("status").stdout


def test_what_a_worker_waits_for_is_shown_with_since_when(installation: Installation) -> None:
    wait = {"what": "the restore of partitions 0, 1", "since": "2026-01-01T00:00:00Z"}
    stopped = a_worker("w-2", state="stopped", waiting=(wait,))
    report(installation, a_worker("w-1", state="restoring", waiting=(wait,)), stopped)

    workers = as_json(installation)["workers"]
    shown = installation.command("status").stdout

    assert [worker["waiting"] for worker in workers] == [[wait], []]
    assert "waiting for more than 30 s" in shown
    assert shown.count("the restore of partitions 0, 1") == 1


def test_i12_misplaced_events_are_counted_and_told_with_the_partitioner_that_fits(installation: Installation) -> None:
    """As one worker with another PARTITIONER than the rest tells them, too."""
    told = {"partitioner": Partitioner.MURMUR2, "misplaced": 600, "misplacedFitting": {"crc32": 600}}
    first, second = (a_worker(f"w-{number}", partitions=(number,), **told) for number in range(2))
    first = first.model_copy(update={"partitions": (first.partitions[0].model_copy(update={"misplaced": 599}),)})
    report(installation, first, second, a_worker("w-2", partitions=(2,), partitioner=Partitioner.CRC32, misplaced=2))

    found = as_json(installation)
    shown = installation.command("status")

    assert (found["misplaced"], found["misplacedFitting"]) == (1202, {"crc32": 1200})
    assert [partition["misplaced"] for partition in found["partitions"]] == [599, 0, 0, None]
    assert len(found["problems"]) == 2
    assert (
        "1,200 events are not in the partition where Java's default partitioner (murmur2) puts the key"
        in found["problems"][0]
    )
    assert (
        "librdkafka's default partitioner (crc32) fits all of them: set PARTITIONER=crc32, or"
        " partitioner=murmur2_random" in found["problems"][0]
    )
    assert "2 events are not in the partition where librdkafka's default partitioner (crc32)" in found["problems"][1]
    assert all(problem in shown.stderr for problem in found["problems"])
    assert "misplaced events" in shown.stdout
    assert "1,202" in shown.stdout


def test_flows_that_are_gone_are_told_together_and_what_a_worker_left_out_is_said(installation: Installation) -> None:
    gone = FlowStatus(exported=7, delivered=5, deadLettered={"flow_deleted": 2}, skipped={"not_a_member": 3})
    report(installation, a_worker("w-1", deletedFlows=gone), a_worker("w-2", deletedFlows=gone, leftOut=40))

    found = as_json(installation)
    shown = installation.command("status")

    assert {name: found["deletedFlows"][name] for name in ("exported", "delivered", "deadLettered")} == {
        "exported": 14, "delivered": 10, "deadLettered": {"flow_deleted": 4},
    }  # fmt: skip
    assert found["deadLetters"] == {"flow_deleted": 4}
    assert found["flows"] == []
    assert found["problems"] == ["worker w-2 knows of too many flows: 40 are counted with the deleted ones"]
    assert "(deleted flows)" in shown.stdout
    assert "40 are counted with the deleted ones" in shown.stderr


def park(installation: Installation, *rows: ParkedFlowRow) -> None:
    with Writer(installation.settings) as writer:
        for number, row in enumerate(rows):
            key = f'["{row.flow}","stay-{number}"]'.encode()
            writer.write(
                installation.topics.delivery_positions, key, row.model_dump_json(by_alias=True).encode(), name=row.flow
            )


def test_g4_a_pause_is_told_with_reason_time_next_probe_and_what_waits(installation: Installation) -> None:
    said = {
        "waiting": 90,
        "parked": 80,
        "paused": "access_denied",
        "pausedSince": "2026-01-11T23:37:33Z",
        "nextProbe": "2026-01-11T23:38:00Z",
    }
    flow = FlowStatus.model_validate({**said, "oldestWaiting": "2026-01-11T23:37:30Z", "gone": 7})
    report(installation, a_worker("w-1", partitions=(0,), flows={"vip": flow}))
    park(
        installation,
        ParkedFlowRow(
            flow="vip", partition=0, first=3, reason="access_denied", since="2026-01-11T23:37:33Z", waiting=70
        ),
    )

    (vip,) = as_json(installation)["flows"]

    assert {name: vip[name] for name in said} == {**said, "paused": ["access_denied"]}
    assert (vip["oldestWaiting"], vip["gone"]) == ("2026-01-11T23:37:30Z", 7)
    shown = installation.command("status").stdout
    for told in (
        "paused flows:",
        "access_denied",
        "2026-01-11T23:37:33Z",
        "2026-01-11T23:38:00Z",
        "2026-01-11T23:37:30Z",
    ):
        assert told in shown


def test_a_parked_flow_is_told_also_while_nobody_owns_its_partition(installation: Installation) -> None:
    """As between the end of one worker and the first word of the next."""
    report(
        installation,
        a_worker("dead", age_seconds=60, partitions=(0,), flows={"vip": FlowStatus(waiting=1)}),
        a_worker("fresh", partitions=(1,)),
    )
    row = ParkedFlowRow(
        flow="vip", partition=0, first=3, reason="stream_not_found", since="2026-01-11T23:37:33Z", waiting=70
    )
    row = row.model_copy(update={"oldest": 1_768_174_653_000})
    park(
        installation,
        row,
        row.model_copy(update={"partition": 1, "first": 9, "since": "2026-01-11T23:37:40Z", "gone": 2}),
    )

    (vip,) = as_json(installation)["flows"]

    assert (vip["waiting"], vip["parked"], vip["paused"], vip["pausedSince"]) == (
        140,
        140,
        ["stream_not_found"],
        "2026-01-11T23:37:33Z",
    )
    assert (vip["oldestWaiting"], vip["nextProbe"], vip["gone"]) == ("2026-01-11T23:37:33Z", None, 2)


def test_the_lag_is_what_the_group_has_not_committed(installation: Installation) -> None:
    with Writer(installation.settings) as writer:
        for number in range(10):
            writer.write(installation.topics.profile_events, b"p-%d" % number, b"{}", name="event")

    found = as_json(installation)

    assert found["lag"] == {"profileEvents": 10, "exports": 0}
    assert sum(partition["profileEvents"]["end"] for partition in found["partitions"]) == 10


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(installation: Installation) -> None:
    report(installation, a_worker("w-1"))
    with Writer(installation.settings) as writer:
        writer.write(installation.topics.worker_status, b"w-9", b'{"name":"w-9"}', name="status")
        writer.write(installation.topics.flows, b"broken", b"{}", name="flow")

    result = installation.command("status")

    assert result.exit_code == 0
    assert "worker w-9" in result.stderr
    assert "flow broken" in result.stderr
    assert "w-1" in result.stdout


def test_topics_that_are_missing_are_named_with_the_remedy(tmp_path: Path) -> None:
    with EmbeddedBroker({"other": 1}) as broker:
        result = Installation(broker.bootstrap_servers, tmp_path).command("status")

    assert result.exit_code == 2
    assert "worker-status" in result.stderr
    assert "run `profile-exporter init`" in result.stderr


def test_without_a_broker_it_says_which_one_did_not_answer(tmp_path: Path) -> None:
    result = Installation("127.0.0.1:1", tmp_path).command("status", "--json")

    assert result.exit_code == 1
    assert "no answer from a Kafka broker at 127.0.0.1:1" in result.stderr


def looked_at(*statuses: WorkerStatus) -> Overview:
    lag = {0: Lag(committed=5, start=0, end=9, lag=4)}
    return build_overview(
        statuses, {}, {"profile-events": lag, "exports": lag}, DeadLetterCounts(), [], [], datetime.now(UTC)
    )


def test_a_partition_that_two_workers_claim_is_the_later_ones() -> None:
    found = looked_at(a_worker("a", age_seconds=1, partitions=(0,)), a_worker("b", age_seconds=7, partitions=(0,)))

    assert [partition.owner for partition in found.partitions] == ["a"]


def test_a_worker_that_stopped_is_not_silent_but_owns_nothing() -> None:
    found = looked_at(a_worker("a", age_seconds=600, partitions=(0,), state="stopped"))

    assert found.workers[0].silent_seconds == 0
    assert [partition.owner for partition in found.partitions] == [None]
