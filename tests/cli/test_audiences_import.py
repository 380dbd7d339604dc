"""`profile-exporter audiences import`: what it says of a file, as lines and as JSON, before anything is sent (contract
M6).
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from confluent_kafka import Producer

from processor.core.partitioner import partition_of
from processor.kafka.reading import read_topic
from schemas.profile import Profile
from schemas.wire.profiles_changelog import encode_row, profile_key
from tests.kit.installation import Installation

ROW = Profile({"person": {"name": "Ada"}}, {}, {}, {}, 1, (), 64)
MEMBER = Profile({}, {}, {"CustomerAudienceUpload": {"loyalty": "r2026-01-11T23:37:33Z"}}, {}, 1, (), 64)


def write_rows(installation: Installation, rows: Sequence[tuple[str, Profile | None]]) -> None:
    """Write what a worker would keep of these profiles, in this order; None: it is gone."""
    producer = Producer({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    for name, profile in rows:
        value = None if profile is None else encode_row(profile, 0)
        place = partition_of(name.encode(), installation.settings.partitions, installation.settings.partitioner)
        producer.produce(installation.topics.changelog, value=value, key=profile_key(name.encode()), partition=place)
    producer.flush()


def plan(installation: Installation, file: Path, content: str | bytes, *options: str) -> Result:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return installation.command("audiences", "import", str(file), "loyalty", "--dry-run", *options)


def test_m6_every_output_names_encoding_delimiter_known_ids_and_reasons(ready: Installation, tmp_path: Path) -> None:
    write_rows(ready, [("p-1", ROW), ("p-2", ROW), ("p-2", None), ("p-4", None), ("p-4", ROW), ("other", MEMBER)])
    content = (
        "\ufeffsep=;\r\nprofileId;name\r\np-1;A\r\np-2;B\r\np-3\r\np-4;D;\r\np-4;D\r\nNULL;E\r\n1,23E+12;F\r\nnan;G\r\n"
    )

    result = plan(ready, tmp_path / "members.csv", content)
    as_json: dict[str, Any] = orjson.loads(plan(ready, tmp_path / "members.csv", content, "--json").stdout)

    assert result.exit_code == 0, result.output
    assert 'was read as utf-8-sig with the delimiter ";"' in result.stdout
    assert (
        "4 members, 2 of them known before, 0 leave, 1 rows stood twice, 3 rows are rejected; nothing was sent:"
        " --dry-run" in result.stdout
    )
    assert "word_for_nothing: 2, the first in line 8: NULL;E: " in result.stderr
    assert "shortened_number: 1, the first in line 9: 1,23E+12;F: " in result.stderr
    assert as_json.pop("name").startswith("import-")
    assert as_json == {
        "dialect": {"encoding": "utf-8-sig", "delimiter": ";", "escape": None},
        "entered": 4,
        "known": 2,
        "exited": 0,
        "duplicates": 1,
        "rejected": 3,
        "rejected_for": {"word_for_nothing": 2, "shortened_number": 1},
        "ignored_columns": ["name"],
        "warnings": [],
    }
    with (tmp_path / "members.csv.rejected.csv").open() as file:
        assert [(row["line"], row["reason"], row["row"]) for row in csv.DictReader(file)] == [
            ("8", "word_for_nothing", "NULL;E"),
            ("9", "shortened_number", "1,23E+12;F"),
            ("10", "word_for_nothing", "nan;G"),
        ]
    assert not list(read_topic(ready.settings, ready.topics.profile_events))


def test_m6_who_leaves_and_who_is_known_are_found_by_one_scan(prepared: Installation, tmp_path: Path) -> None:
    write_rows(
        prepared,
        [("p-1", MEMBER), ("p-2", MEMBER), ("p-3", ROW), ("p-4", MEMBER), ("p-4", ROW), ("p-5", MEMBER), ("p-5", None)],
    )
    content = "profileId\np-1\np-3\np-5\nnew\n"

    all_leave, nobody_leaves = (
        orjson.loads(plan(prepared, tmp_path / "m.csv", content, "--json", end).stdout)
        for end in ("--exits", "--no-exits")
    )

    assert [(done["entered"], done["known"], done["exited"]) for done in (all_leave, nobody_leaves)] == [
        (4, 2, 1),
        (4, 2, 0),
    ]


def test_m6_a_file_without_a_usable_row_is_refused_with_all_reasons(ready: Installation, tmp_path: Path) -> None:
    content = "profileId,name\r\n1.23457E+12,A\r\n1.23457E+12,B\r\n1.45750E+37,C\r\n"

    refused = plan(ready, tmp_path / "sci.csv", content, "--json")
    taken = plan(ready, tmp_path / "sci.csv", content, "--json", "--any-id")

    assert refused.exit_code == 2
    for words in (
        "3 are rejected",
        'utf-8 with the delimiter ","',
        "shortened_number 3",
        "line 2: 1.23457E+12,A",
        "--any-id",
        "nothing was sent",
    ):
        assert words in refused.stderr
    assert (orjson.loads(taken.stdout)["entered"], orjson.loads(taken.stdout)["duplicates"]) == (2, 1)


@pytest.mark.parametrize(
    ("content", "options", "member"),
    [
        ("profileId,nombre\r\npeña-01,José\r\n".encode("cp1252"), ["--encoding", "cp1252"], "peña-01"),
        (b"profile_id,name\np-1,A\n", ["--id-column", "profile_id"], "p-1"),
        (b'profileId,name\np-1,"Joe \\"The Man\\" S"\n', ["--escape", "\\"], "p-1"),
        (b"profileId^name\np-1^A\n", ["--delimiter", "^"], "p-1"),
    ],
)
def test_m6_an_option_takes_what_is_refused_without_it(
    ready: Installation, tmp_path: Path, content: bytes, options: list[str], member: str
) -> None:
    write_rows(ready, [(member, ROW)])

    refused = plan(ready, tmp_path / "m.csv", content)
    taken = plan(ready, tmp_path / "m.csv", content, *options)

    assert refused.exit_code == 2
    assert options[0] in refused.stderr
    assert taken.exit_code == 0, taken.output
    assert "1 members, 1 of them known before" in taken.stdout


def test_rejected_rows_that_cannot_be_written_are_a_fault_with_words(ready: Installation, tmp_path: Path) -> None:
    result = plan(
        ready, tmp_path / "m.csv", "profileId\np-1\nNULL\n", "--rejected", str(tmp_path / "nowhere" / "rejected.csv")
    )

    assert result.exit_code == 2
    assert "name another file with --rejected" in result.stderr
