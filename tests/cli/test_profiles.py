"""`profile-exporter profiles delete`: an event for each id, and a receipt of what became of it (contract F3)."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from processor.core.parse import parse_event
from processor.core.partitioner import partition_of
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.privacy import deletion as deletions
from schemas.event import EventType
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.profile import Profile
from schemas.wire.exports import ExportHeader
from schemas.wire.identity_index import identity_key
from schemas.wire.profiles_changelog import (
    SOURCE_POSITION_KEY,
    SourcePosition,
    encode_row,
    encode_source_position,
    profile_key,
)
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka

SECONDS = "60"
ROW = Profile({"person": {"name": "Ada"}}, {}, {}, {}, 1, (), 64)


def delete(
    installation: Installation, *arguments: str, exit_code: int = 0, stdin: bytes | None = None
) -> list[dict[str, Any]]:
    """Return the receipts of a deletion."""
    result = installation.command("profiles", "delete", "--yes", "--json", *arguments, stdin=stdin)
    assert result.exit_code == exit_code, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def written(installation: Installation) -> list[ReadRecord]:
    return list(read_topic(installation.settings, installation.topics.profile_events))


class FakeWorker:
    """Writes what a worker would: rows, exports, source positions.

    Rows are of `known` profiles; `begun_again` come back after their deletion.
    """

    def __init__(
        self,
        installation: Installation,
        known: Sequence[str],
        begun_again: Sequence[str] = (),
        passed_over: Sequence[str] = (),
    ) -> None:
        self._installation, self._known, self._begun_again = installation, set(known), begun_again
        self._producer = Producer({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
        for profile in (*known, *begun_again, *passed_over):
            self._write_row(profile, encode_row(ROW, 0))
        self._producer.flush()
        self._seen: set[tuple[int, int]] = set()

    def apply_new(self) -> None:
        for record in written(self._installation):
            if (record.partition, record.offset) not in self._seen:
                self._seen.add((record.partition, record.offset))
                self._apply(record)
        self._producer.flush()

    def _apply(self, record: ReadRecord) -> None:
        profile = (record.key or b"").decode()
        if profile in {*self._known, *self._begun_again}:
            for flow in ("vip", "vip", "crm"):  # one of them is written twice, as without transactions after a crash
                self._write_export(record, f"{record.topic}-{record.partition}-{record.offset}-{flow}", flow)
            self._write_export(record, f"{record.topic}-{record.partition}-{record.offset}0-vip", "vip")
        if profile in self._known:
            self._known.remove(profile)
            self._write_row(profile, None)
        if profile in self._begun_again:
            self._write_row(profile, encode_row(ROW, record.offset + 1))
        position = encode_source_position(SourcePosition(record.offset + 1))
        self._producer.produce(
            self._installation.topics.changelog, value=position, key=SOURCE_POSITION_KEY, partition=record.partition
        )

    def _write_row(self, profile: str, value: bytes | None) -> None:
        key = profile.encode()
        partition = partition_of(key, self._installation.settings.partitions, Partitioner.MURMUR2)
        self._producer.produce(
            self._installation.topics.changelog, value=value, key=profile_key(key), partition=partition
        )

    def _write_export(self, event: ReadRecord, record_id: str, flow: str) -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            (ExportHeader.RECORD_ID, record_id),
            (ExportHeader.FLOW_ID, flow),
        ]
        self._producer.produce(
            self._installation.topics.exports, value=b"{}", key=event.key, headers=headers, partition=event.partition
        )


@contextmanager
def running(worker: FakeWorker) -> Iterator[None]:
    stopped = Event()

    def run() -> None:
        while not stopped.wait(0.05):
            worker.apply_new()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_i1_each_id_of_arguments_and_file_gets_one_event_that_a_worker_can_use_where_its_profile_is(
    ready: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "ids"
    file.write_bytes(
        b"\xef\xbb\xbfp-1\r\n\nZo\xc3\xab\np 2\n" + b"".join(b"q-%d\n" % number for number in range(300)) + b"x" * 512
    )
    ids = ["a/b", "p-1", "Zoë", "p 2", *(f"q-{number}" for number in range(300)), "x" * 512]

    receipts = delete(ready, "a/b", "p-1", "a/b", "--file", str(file), "--no-wait")

    assert [receipt["profile"] for receipt in receipts] == ids
    records = {(record.partition, record.offset): record for record in written(ready)}
    assert len(records) == len(ids) == len({receipt["eventId"] for receipt in receipts})
    for receipt in receipts:
        record = records[receipt["partition"], receipt["offset"]]
        event = parse_event(ReadRecord(*record[:6]))
        assert (event.type, event.key, event.id, event.time) == (
            EventType.DELETED,
            receipt["profile"],
            receipt["eventId"],
            receipt["time"],
        )
        assert orjson.loads(record.value or b"")["source"] == "/profile-exporter/commands"
        home = partition_of(record.key or b"", ready.settings.partitions, Partitioner.MURMUR2)
        assert (record.topic, record.partition) == (receipt["topic"], home)
        assert (receipt["applied"], receipt["known"], receipt["row"], receipt["records"]) == (False, None, None, None)


def test_f3_a_receipt_says_whether_the_profile_was_known_what_its_row_is_and_what_left_because_of_the_event(
    ready: Installation,
) -> None:
    """An id that was deleted before, or never seen, is not known, and that is no fault."""
    with running(FakeWorker(ready, known=["p-1", "p-2"], begun_again=["back"])):
        first = delete(ready, "p-1", "back", "nobody", "--timeout", SECONDS)
        second = delete(ready, "p-1", "p-2", "--timeout", SECONDS)

    def said(receipts: list[dict[str, Any]]) -> list[tuple[str, bool, str]]:
        assert all(receipt["applied"] for receipt in receipts)
        return [(receipt["profile"], receipt["known"], receipt["row"]) for receipt in receipts]

    assert said(first) == [("p-1", True, "tombstone"), ("back", True, "new"), ("nobody", False, "none")]
    assert said(second) == [("p-1", False, "tombstone"), ("p-2", True, "tombstone")]
    begin = f"{ready.topics.profile_events}-{first[0]['partition']}-{first[0]['offset']}-"
    assert first[0]["records"] == [
        {"flow": "vip", "recordId": f"{begin}vip"},
        {"flow": "crm", "recordId": f"{begin}crm"},
    ]
    assert (len(first[1]["records"]), first[2]["records"]) == (2, [])


def test_people_get_tables_and_a_profile_that_is_still_there_is_a_failure(prepared: Installation) -> None:
    with running(FakeWorker(prepared, known=["p-1"], passed_over=["stays"])):
        result = prepared.command("profiles", "delete", "p-1", "nobody", "stays", "--timeout", SECONDS, stdin="y\n")

    assert result.exit_code == 1
    assert "delete 3 profiles (p-1, nobody, stays), which cannot be undone? [y/N]" in result.stderr
    assert re.search(r"p-1 .* known +a tombstone +2\n", result.stdout)
    assert re.search(r"nobody .* not known +none +0\n", result.stdout)
    assert re.search(r"stays .* known +THE OLD ONE +0\n", result.stdout)
    assert re.search(r"last records:\n +profile +flow +record id\n +p-1 +vip +\S+-vip\n +p-1 +crm", result.stdout)
    assert "the event was passed over" in result.stderr


def test_f3_rows_of_the_index_that_an_older_version_leaves_are_a_failure_and_those_of_a_new_profile_are_not(
    prepared: Installation,
) -> None:
    producer = Producer({"bootstrap.servers": prepared.settings.kafka_bootstrap_servers})
    for profile, value in (("left", b"ECID"), ("back", b"ECID"), ("clean", b"ECID"), ("clean", None)):
        partition = partition_of(profile.encode(), prepared.settings.partitions, Partitioner.MURMUR2)
        producer.produce(
            prepared.topics.changelog, value=value, key=identity_key("ECID", "1", profile.encode()), partition=partition
        )
    producer.flush()
    with running(FakeWorker(prepared, known=["left", "clean"], begun_again=["back"])):
        receipts = delete(prepared, "left", "back", "clean", "nobody", "--timeout", SECONDS, exit_code=1)
        result = prepared.command("profiles", "delete", "left", "--timeout", SECONDS, stdin="y\n")

    assert [receipt["row"] for receipt in receipts] == ["indexed", "new", "tombstone", "none"]
    assert result.exit_code == 1
    assert re.search(r"left .* INDEX ROWS ARE LEFT ", result.stdout)
    assert "a worker of this version takes them away by itself" in result.stderr


def test_i12_a_receipt_is_of_one_partition_and_rows_of_another_half_are_none_of_it(prepared: Installation) -> None:
    """The partition of the other half is read, too: another profile of the same command is there."""
    names = {
        partition_of(name.encode(), prepared.settings.partitions, Partitioner.MURMUR2): name
        for name in map("p-{}".format, range(20))
    }
    (_, profile), (elsewhere, other) = sorted(names.items())[:2]
    producer = Producer({"bootstrap.servers": prepared.settings.kafka_bootstrap_servers})
    for key, value in (
        (identity_key("ECID", "1", profile.encode()), b"ECID"),
        (profile_key(profile.encode()), encode_row(ROW, 0)),
    ):
        producer.produce(prepared.topics.changelog, value=value, key=key, partition=elsewhere)
    producer.flush()
    with running(FakeWorker(prepared, known=[other])):
        receipts = delete(prepared, profile, other, "--timeout", SECONDS)

    assert [(receipt["known"], receipt["row"]) for receipt in receipts] == [(False, "none"), (True, "tombstone")]


def test_what_no_worker_applies_in_time_is_written_and_told_so(ready: Installation) -> None:
    receipts = delete(ready, "p-1", "p-2", "--timeout", "0", exit_code=1)
    result = ready.command("profiles", "delete", "p-3", "--yes", "--timeout", "0.1")

    assert [(receipt["applied"], receipt["known"]) for receipt in receipts] == [(False, None)] * 2
    assert len(written(ready)) == 3
    assert result.exit_code == 1
    assert "not applied yet" in result.stdout
    assert "1 of 1 deletions is written, and not applied after 0.1 s\n  nothing is lost" in result.stderr


def test_a_broker_that_goes_away_after_the_events_are_written_leaves_receipts(
    own_kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(own_kafka.bootstrap_servers, tmp_path / "data")
    installation.init()
    monkeypatch.setattr("processor.kafka.log_ends.ANSWER_SECONDS", 0.5)
    written_by = deletions.Writer.__exit__

    def kill_after(writer: Writer, *why: Any) -> None:
        written_by(writer, *why)
        own_kafka.kill()

    monkeypatch.setattr(deletions.Writer, "__exit__", kill_after)

    (receipt,) = delete(installation, "p-1", "--timeout", "1", exit_code=1)

    assert (receipt["profile"], receipt["offset"], receipt["applied"]) == ("p-1", 0, False)


def test_a_row_of_another_version_is_told_with_its_place(prepared: Installation) -> None:
    producer = Producer({"bootstrap.servers": prepared.settings.kafka_bootstrap_servers})
    partition = partition_of(b"p-1", prepared.settings.partitions, Partitioner.MURMUR2)
    producer.produce(prepared.topics.changelog, value=b"[99,", key=profile_key(b"p-1"), partition=partition)
    producer.flush()

    result = prepared.command("profiles", "delete", "p-1", "--yes")

    assert result.exit_code == 1
    assert f"{prepared.topics.changelog}[{partition}] offset 0: a row has format 99" in result.stderr
    assert written(prepared) == []


@pytest.mark.parametrize(
    ("arguments", "lines", "told"),
    [
        ([""], b"", ["ID 1: it is empty"]),
        (["good", "é" * 257, "x" * 600], b"", ["ID 2: it has 514 bytes, 512 are allowed", "ID 3: it has 600 bytes"]),
        (["\udcff"], b"", [r"ID 1: it is not UTF-8: b'\xff'"]),
        (
            ["good"],
            b"a\n\n\xff\xfe\n" + b"y" * 513,
            [r"stdin line 3: it is not UTF-8: b'\xff\xfe'", "stdin line 4: it has 513 bytes"],
        ),
        ([], b"x" * 513 + b"\n" + (b"y" * 513 + b"\n") * 30, ["stdin line 20: it has 513 bytes", "and 11 more"]),
        ([], b"\n\r\n", ["name at least one profile"]),
        (
            ["p-1 ", '"p-1"', '{"id":1}'],
            b"",
            ["ID 1: it ends with white space (U+0020)", "ID 2: it is a text in quotes", "ID 3: it is an object"],
        ),
        (
            [],
            b"good\np\x1b1\n\xe3\x80\x80p\n",
            ["stdin line 2: it holds the control character U+001B", "stdin line 3: it begins with white space"],
        ),
    ],
)
def test_ids_that_can_be_no_profiles_are_one_error_and_nothing_is_written(
    prepared: Installation, arguments: list[str], lines: bytes, told: list[str]
) -> None:
    result = prepared.command("profiles", "delete", "--yes", "--file", "-", *arguments, stdin=lines)

    assert (result.exit_code, result.stdout) == (2, "")
    assert all(text in result.stderr for text in told), result.stderr
    assert written(prepared) == []


def test_without_an_id_or_a_yes_nothing_is_written(prepared: Installation) -> None:
    nobody = prepared.command("profiles", "delete", "--yes")
    refused = prepared.command("profiles", "delete", "p-1", stdin="n\n")
    cannot_be_asked = prepared.command("profiles", "delete", "--file", "-", stdin="p-1\ny\n")
    no_file = prepared.command("profiles", "delete", "--file", "/nowhere", "--yes")
    no_time = prepared.command("profiles", "delete", "p-1", "--yes", "--timeout", "-1")

    assert [result.exit_code for result in (nobody, refused, cannot_be_asked, no_file, no_time)] == [2, 1, 2, 2, 2]
    assert "name at least one profile: its ID, or a --file of ids" in nobody.stderr
    assert "say --yes" in cannot_be_asked.stderr
    assert written(prepared) == []


def test_topics_that_are_missing_are_named_with_the_remedy(installation: Installation) -> None:
    result = installation.command("profiles", "delete", "p-1", "--yes")

    assert result.exit_code == 2
    assert "run `profile-exporter init`" in result.stderr
