"""Commands write a profile's events where PARTITIONER says, or with `none` where the profile is (contract I12).

The changelog is written by hand; real workers and producers are in tests/integration/test_partitioners.py.
"""

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from confluent_kafka import Producer

from processor.core.partitioner import partition_of
from processor.kafka.reading import read_topic
from processor.sandbox.waiting import wait_until
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.profile import Profile
from schemas.wire.identity_index import (
    INDEX_KEY,
    IndexProgress,
    IndexState,
    encode_progress,
    identity_key,
    identity_value,
)
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    SourcePosition,
    encode_row,
    encode_source_position,
    profile_key,
)
from tests.kit.installation import Installation
from tests.kit.letters import unusable_letter, write_letters

ROW = Profile({"n": 1}, {}, {}, {}, 1, (), 64)
IN_UPLOAD = Profile({}, {}, {"CustomerAudienceUpload": {"loyal": "r2026-01-01T00:00:00Z"}}, {}, 1, (), 64)
PATCH = b'{"specversion":"1.0","id":"e-1","source":"/t","type":"profile.patched","data":{}}'
SECONDS = 20.0


def crc32_of(key: str) -> int:
    return partition_of(key.encode(), 4, Partitioner.CRC32)


def murmur2_of(key: str) -> int:
    return partition_of(key.encode(), 4, Partitioner.MURMUR2)


KEYS = [key for key in (f"p-{number}" for number in range(40)) if crc32_of(key) != murmur2_of(key)]


def produce(installation: Installation, topic: str, *records: tuple[bytes | None, bytes | None, int]) -> None:
    """(key, value, partition) each."""
    producer = Producer({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    for key, value, partition in records:
        producer.produce(topic, value, key, partition=partition)
    producer.flush()


def keep(installation: Installation, *places: tuple[str, int], profile: Profile = ROW) -> None:
    """Rows of these profiles, as a worker writes them."""
    rows = [(profile_key(key.encode()), encode_row(profile, 0), partition) for key, partition in places]
    produce(installation, installation.topics.changelog, *rows)


def pass_events(installation: Installation) -> None:
    """Let the source positions stand behind every event that there is."""
    ends = dict.fromkeys(range(4), 0)
    for record in written(installation):
        ends[record.partition] = record.offset + 1
    marks = [
        (SOURCE_POSITION_KEY, encode_source_position(SourcePosition(end)), partition) for partition, end in ends.items()
    ]
    produce(installation, installation.topics.changelog, *marks)


def written(installation: Installation) -> list[ReadRecord]:
    return list(read_topic(installation.settings, installation.topics.profile_events))


def places(installation: Installation) -> dict[str, list[int]]:
    """The partitions of the events that are written, by key, the lowest first."""
    found: dict[str, list[int]] = {}
    for record in written(installation):
        found.setdefault((record.key or b"").decode(), []).append(record.partition)
    return {key: sorted(partitions) for key, partitions in found.items()}


def delete(installation: Installation, *arguments: str) -> Result:
    return installation.command("profiles", "delete", "--yes", "--no-wait", "--json", *arguments)


def send(installation: Installation, *lines: Any) -> Result:
    return installation.command(
        "send", "-", stdin=b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    )


def bare(key: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "e",
        "source": "/s",
        "type": "profile.patched",
        "subject": key,
        "data": {"partition": 9},
    }


def kafka_line(key: str | None, partition: int) -> dict[str, Any]:
    return {
        "topic": "elsewhere",
        "partition": partition,
        "offset": 3,
        "timestamp": None,
        "key": key,
        "value": bare(key or "p"),
    }


def import_members(installation: Installation, folder: Path, *ids: str, options: tuple[str, ...] = ()) -> Result:
    (folder / "members.csv").write_text("\n".join(["profileId", *ids, ""]))
    return installation.command("audiences", "import", str(folder / "members.csv"), "loyal", "--json", *options)


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
def test_i12_every_command_writes_where_the_partitioner_puts_the_key(
    ready: Installation, tmp_path: Path, partitioner: str
) -> None:
    """Whatever partition a line names, and wherever a dead letter came from."""
    ready.change(partitioner=partitioner)
    sent, deleted, member, redriven = KEYS[:4]
    write_letters(ready.settings, [unusable_letter(3, PATCH, redriven, timestamp=-1)])

    results = [
        send(ready, bare(sent)),
        send(ready, kafka_line(sent, 90), kafka_line(sent, 0)),
        delete(ready, deleted),
        import_members(ready, tmp_path, member),
        ready.command("dead-letters", "redrive", "--all"),
    ]

    assert [result.exit_code for result in results] == [0] * 5, [result.output for result in results]
    home = crc32_of if partitioner == "crc32" else murmur2_of
    wanted = {sent: [home(sent)] * 3, **{key: [home(key)] for key in (deleted, member, redriven)}}
    wait_until(lambda: places(ready) == wanted, "what is committed to be shown", SECONDS)


def test_i12_with_none_a_deletion_goes_where_the_profile_is_and_one_of_nobody_changes_nothing(
    ready: Installation,
) -> None:
    """Of the changelog the last row counts; an event that no worker has applied yet counts as its profile."""
    ready.change(partitioner="none")
    here, moved, fresh, nobody = KEYS[:4]
    keep(ready, (here, crc32_of(here)), (moved, 0), (moved, 1))
    produce(ready, ready.topics.changelog, (profile_key(moved.encode()), None, 0))
    produce(ready, ready.topics.profile_events, (b"old", PATCH, 2))
    pass_events(ready)
    produce(ready, ready.topics.profile_events, (fresh.encode(), PATCH, crc32_of(fresh)))

    result = delete(ready, here, moved, fresh, nobody)

    assert result.exit_code == 0, result.output
    receipts = {receipt["profile"]: receipt["partition"] for receipt in map(orjson.loads, result.stdout.splitlines())}
    assert receipts == {here: crc32_of(here), moved: 1, fresh: crc32_of(fresh), nobody: murmur2_of(nobody)}
    assert places(ready)["old"] == [2]


def test_i12_with_none_a_profile_on_two_partitions_is_refused_by_name_and_deleted_half_by_half(
    ready: Installation,
) -> None:
    ready.change(partitioner="none")
    keep(ready, ("half", 1), ("half", 3), ("whole", 2))
    pass_events(ready)

    refused = delete(ready, "whole", "half")
    before = places(ready)
    halves = [delete(ready, "half", "--partition", str(partition)) for partition in (1, 3)]
    beyond = delete(ready, "half", "--partition", "4")

    assert (refused.exit_code, refused.stdout, before) == (1, "", {})
    assert (
        "nothing was written: PARTITIONER=none, and\n  half: its profile is on partitions 1 and 3, half each"
        in refused.stderr
    )
    assert "profiles delete --partition" in refused.stderr
    assert [half.exit_code for half in halves] == [0, 0]
    assert places(ready) == {"half": [1, 3]}
    assert (beyond.exit_code, "there is no partition 4: PROFILE_EXPORTER_PARTITIONS is 4" in beyond.stderr) == (2, True)


def test_i12_with_none_send_keeps_profiles_together_and_leaves_out_what_nobody_can_place(ready: Installation) -> None:
    """A new profile goes where its first line says; what is known of it wins over later lines, and over bare events."""
    ready.change(partitioner="none")
    keep(ready, ("half", 1), ("half", 3), ("known", 2))
    pass_events(ready)

    dump = [
        kafka_line("known", 0),
        kafka_line("new", 1),
        kafka_line("new", 3),
        kafka_line("half", 1),
        kafka_line("far", 4),
        kafka_line(None, 0),
    ]
    of_dump, of_events = send(ready, *dump), send(ready, bare("known"), bare("new"), bare("newer"))

    assert (of_dump.exit_code, of_events.exit_code) == (1, 1)
    told, told_of_events = of_dump.stderr.splitlines(), of_events.stderr.splitlines()
    assert told[0].startswith("line 4: its profile is on partitions 1 and 3, half each")
    assert told[1].startswith(
        "line 5: its profile is on no partition yet, and PARTITIONER=none does not say where it belongs"
    )
    assert told[-1].endswith("2 lines were not sent, see above")
    assert told_of_events[0].startswith("line 3: its profile is on no partition yet")
    found = places(ready)
    assert len(found.pop("")) == 1
    assert found == {"known": [2, 2], "new": [1, 1, 1]}


def test_i12_with_none_an_import_rejects_rows_that_nobody_can_place_with_their_reasons(
    ready: Installation, tmp_path: Path
) -> None:
    ready.change(partitioner="none")
    keep(ready, ("half", 0), ("half", 1), ("known", crc32_of("known")))
    pass_events(ready)

    result = import_members(ready, tmp_path, "known", "half", "nobody")

    assert result.exit_code == 0, result.output
    said = orjson.loads(result.stdout)
    assert (said["entered"], said["rejected"]) == (1, 2)
    with (tmp_path / "members.csv.rejected.csv").open() as file:
        explanations = {(row["row"], row["line"], row["reason"]): row["explanation"] for row in csv.DictReader(file)}
    assert "its profile is on partitions 0 and 1, half each" in explanations.pop(("half", "3", "no_partition"))
    assert "its profile is on no partition yet" in explanations.pop(("nobody", "4", "no_partition"))
    assert not explanations
    assert places(ready) == {"known": [crc32_of("known")]}


def index(installation: Installation, *places: tuple[str, int]) -> None:
    """Rows of the index of identities, as workers write them: each of these profiles has its own name as an ECID.

    The index is whole.
    """
    rows: list[tuple[bytes | None, bytes | None, int]]
    rows = [(identity_key("ECID", key, key.encode()), identity_value("ECID"), partition) for key, partition in places]
    whole = [
        (INDEX_KEY, encode_progress(IndexProgress(IndexState.COMPLETE, 1_000)), partition) for partition in range(4)
    ]
    produce(installation, installation.topics.changelog, *rows, *whole)


@pytest.mark.parametrize("partitioner", ["none", "crc32"])
def test_i12_an_identity_of_a_profile_that_no_event_would_reach_is_a_rejected_row(
    ready: Installation, tmp_path: Path, partitioner: str
) -> None:
    ready.change(partitioner=partitioner)
    elsewhere = murmur2_of(KEYS[0])
    rows = [
        ("known", crc32_of("known")),
        (KEYS[0], elsewhere),
        *([("half", 0), ("half", 1)] if partitioner == "none" else []),
    ]
    keep(ready, *rows)
    index(ready, *rows)
    pass_events(ready)
    ids = ["id", "known", "half", KEYS[0], "nobody"]
    (tmp_path / "members.csv").write_text("namespace," + "\nECID,".join(ids))

    result = ready.command("audiences", "import", str(tmp_path / "members.csv"), "loyal", "--json")

    assert result.exit_code == 0, result.output
    said = orjson.loads(result.stdout)
    with (tmp_path / "members.csv.rejected.csv").open() as file:
        explanations = {(row["row"], row["line"], row["reason"]): row["explanation"] for row in csv.DictReader(file)}
    if partitioner == "none":  # it asks where each is
        assert (said["entered"], said["known"], said["rejected_for"]) == (2, 2, {"no_partition": 1, "no_profile": 1})
        assert "its profile is on partitions 0 and 1, half each" in explanations["ECID,half", "3", "no_partition"]
        assert places(ready) == {"known": [crc32_of("known")], KEYS[0]: [elsewhere]}
    else:
        assert (said["entered"], said["known"], said["rejected_for"]) == (1, 1, {"no_partition": 1, "no_profile": 2})
        told = f"is on partition {elsewhere}, and PARTITIONER puts its events on {crc32_of(KEYS[0])}"
        assert told in explanations[f"ECID,{KEYS[0]}", "4", "no_partition"]
        assert places(ready) == {"known": [crc32_of("known")]}


def test_i12_with_none_nobody_leaves_an_audience_by_half(prepared: Installation, tmp_path: Path) -> None:
    prepared.change(partitioner="none")
    keep(prepared, ("half", 0), ("half", 1), ("gone", 2), ("stays", 3), profile=IN_UPLOAD)
    pass_events(prepared)

    refused = import_members(prepared, tmp_path, "stays", options=("--exits",))
    before = places(prepared)
    keep(prepared, ("half", 1), profile=ROW)
    produce(prepared, prepared.topics.changelog, (profile_key(b"half"), None, 0))
    done = import_members(prepared, tmp_path, "stays", options=("--exits",))

    assert (refused.exit_code, before) == (1, {})
    assert (
        "nobody knows where to write that these leave the audience; nothing was sent\n  half: its profile is on"
        in refused.stderr
    )
    assert done.exit_code == 0, done.output
    assert places(prepared) == {"stays": [3], "gone": [2]}


def test_i12_a_row_that_is_elsewhere_than_its_key_belongs_leaves_no_audience(
    prepared: Installation, tmp_path: Path
) -> None:
    """What the command writes would not reach it: it is another profile, half of one."""
    key, other = KEYS[:2]
    keep(prepared, (key, crc32_of(key)), (other, murmur2_of(other)), profile=IN_UPLOAD)
    pass_events(prepared)

    done = import_members(prepared, tmp_path, "new", options=("--exits",))

    assert done.exit_code == 0, done.output
    assert places(prepared) == {"new": [murmur2_of("new")], other: [murmur2_of(other)]}


def test_i12_with_none_a_redriven_event_goes_where_its_profile_is_or_where_it_came_from(ready: Installation) -> None:
    ready.change(partitioner="none")
    keep(ready, ("half", 0), ("half", 1), ("known", 2))
    pass_events(ready)
    letters = [unusable_letter(number, PATCH, key, timestamp=-1) for number, key in enumerate(("half", "known", "new"))]
    produced = [(key, value, headers, 3) for key, value, headers, _ in letters]
    producer = Producer({"bootstrap.servers": ready.settings.kafka_bootstrap_servers})
    for key, value, headers, partition in produced:
        producer.produce(ready.topics.dead_letters, value, key, partition=partition, headers=headers)
    producer.flush()

    result = ready.command("dead-letters", "redrive", "--all", "--json")

    assert result.exit_code == 1
    assert {(each["fate"], each["letters"]) for each in orjson.loads(result.stdout)["letters"]} == {
        ("redrive", 2),
        ("on_two_partitions", 1),
    }
    wait_until(lambda: places(ready) == {"known": [2], "new": [3]}, "what is committed to be shown", SECONDS)
