"""An audience out of CSV files, with real workers: who enters, who leaves, and for how long (contract M1)."""

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.demo.waiting import wait_until
from processor.kafka.reading import read_topic
from processor.kafka.writing import Writer
from schemas.times import parse_time
from tests.kit.installation import Installation
from tests.kit.whole_job import WholeJob

DAY_SECONDS = 24 * 60 * 60
SECONDS = 60.0
FLOW = """
flows:
  - id: loyal
    destination: {{type: kinesis, stream: s, region: us-east-2, endpointUrl: "{endpoint}"}}
    audiences: [{{namespace: CustomerAudienceUpload, id: loyalty}}]
"""


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    job.text = FLOW.format(endpoint=kinesis)
    job.apply()
    return job


def imported(job: WholeJob, folder: Path, text: str, *options: str) -> dict[str, Any]:
    file = folder / "members.csv"
    file.write_text(text)
    result = job.installation.command("audiences", "import", str(file), "loyalty", "--json", *options)
    assert result.exit_code == 0, result.output
    return dict(orjson.loads(result.stdout))


def exports(job: WholeJob) -> dict[str, list[str]]:
    """The statuses of the audience that were exported, by profile."""
    found: dict[str, list[str]] = {}
    for record in read_topic(job.installation.settings, job.installation.topics.exports):
        entry = orjson.loads(record.value or b"")["segmentMembership"]["CustomerAudienceUpload"]["loyalty"]
        found.setdefault((record.key or b"").decode(), []).append(entry["status"])
    return found


def test_a_second_import_exits_those_no_longer_in_it_and_only_those(job: WholeJob, tmp_path: Path) -> None:
    with job.worker():
        first = imported(job, tmp_path, "profileId\na\nb\nb\n\nc\n", "--name", "Loyal customers")
        wait_until(lambda: set(exports(job)) == {"a", "b", "c"}, "the first import", SECONDS)
        planned = imported(job, tmp_path, "profileId;x\nb;1\nd;2\n", "--dry-run")
        second = imported(job, tmp_path, "profileId;x\nb;1\nd;2\n", "--ttl-days", "7")
        wait_until(lambda: sum(map(len, exports(job).values())) == 6, "the second import", SECONDS)

    assert (first["entered"], first["known"], first["exited"], first["duplicates"], first["rejected"]) == (3, 0, 0, 1, 0)
    for done in (planned, second):
        assert (done["entered"], done["known"], done["exited"]) == (2, 1, 2)
    assert exports(job) == {"a": ["realized", "exited"], "b": ["realized"], "c": ["realized", "exited"], "d": ["realized"]}
    events = [orjson.loads(record.value or b"") for record in read_topic(job.installation.settings, job.installation.topics.profile_events)]
    last = [event for event in events if event["subject"] == "d"][-1]
    valid_until = last["data"]["segmentMembership"]["CustomerAudienceUpload"]["loyalty"]["validUntil"]
    assert parse_time(valid_until) - parse_time(last["time"]) == 7 * DAY_SECONDS
    shown = job.installation.command("audiences", "show", "CustomerAudienceUpload/loyalty").stdout
    assert "name: Loyal customers" in shown
    assert "origin: CustomerAudienceUpload" in shown


def test_m6_rejected_rows_are_in_a_file_with_their_reasons(job: WholeJob, tmp_path: Path) -> None:
    done = imported(job, tmp_path, "profileId,x\na,1\n,2\nNULL\n\nb\n")

    with (tmp_path / "members.csv.rejected.csv").open() as file:
        rejected = list(csv.DictReader(file))
    assert (done["entered"], done["rejected"], done["ignored_columns"]) == (2, 2, ["x"])
    assert done["rejected_for"] == {"no_id": 1, "word_for_nothing": 1}
    assert [(row["line"], row["reason"], row["explanation"], row["row"]) for row in rejected] == [
        ("3", "no_id", "the id is empty", ",2"),
        ("4", "word_for_nothing", "it is what programs write where there is no id", "NULL"),
    ]


def _described(folder: Path) -> Path:
    file = folder / "audiences.yaml"
    file.write_text("audiences: [{namespace: CustomerAudienceUpload, id: loyalty}]")
    return file


def test_who_leaves_is_not_guessed_while_workers_are_behind(job: WholeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.audience_import.run.WAIT_SECONDS", 0.0)
    settings = job.installation.settings
    with Writer(settings) as writer:
        writer.write(settings.topics.profile_events, b"p", b"{}", name="an event")
    file = tmp_path / "members.csv"
    file.write_text("profileId\na\n")

    refused = job.installation.command("audiences", "import", str(file), "loyalty", "--exits")
    empty = tmp_path / "empty.csv"
    empty.write_text("profileId\n,\n\n")
    nobody = job.installation.command("audiences", "import", str(empty), "loyalty")

    file.write_text("profileId,x\na,1\nNULL\n")
    settled = job.installation.command("audiences", "apply", str(_described(tmp_path)))
    half = job.installation.command("audiences", "import", str(file), "loyalty")

    assert settled.exit_code == 0, settled.output
    assert half.exit_code == 2
    assert "1 rows are rejected, and whoever is named in them would leave" in half.stderr
    assert (refused.exit_code, nobody.exit_code) == (1, 2)
    assert "the workers have not applied 1 events" in refused.stderr
    assert "nobody leaves the audience" in nobody.stderr
    assert len(list(read_topic(settings, settings.topics.profile_events))) == 1
