"""An audience out of CSV files, with real workers: who enters, who leaves, and for how long (contract M1)."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.audience_import.request import ImportRequest
from processor.audience_import.run import import_audience
from processor.cli.control_plane import change, read_state
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.waiting import wait_until
from schemas.times import parse_time
from tests.kit.installation import Installation
from tests.kit.rows import require_whole_index, rows_of_changelog, says_whole
from tests.kit.whole_job import WholeJob

DAY_SECONDS = 24 * 60 * 60
SECONDS = 240.0
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

    assert (first["entered"], first["known"], first["exited"], first["duplicates"], first["rejected"]) == (
        3,
        0,
        0,
        1,
        0,
    )
    for done in (planned, second):
        assert (done["entered"], done["known"], done["exited"]) == (2, 1, 2)
    assert exports(job) == {
        "a": ["realized", "exited"],
        "b": ["realized"],
        "c": ["realized", "exited"],
        "d": ["realized"],
    }
    events = [
        orjson.loads(record.value or b"")
        for record in read_topic(job.installation.settings, job.installation.topics.profile_events)
    ]
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


def send_identities(job: WholeJob, identities: dict[str, Any]) -> None:
    settings = job.installation.settings
    head = {"specversion": "1.0", "source": "/test", "time": "2026-01-11T08:37:33Z"}
    with Writer(settings) as writer:
        for number, (profile, of) in enumerate(identities.items()):
            kind = "profile.patched" if of is not None else "profile.deleted"
            event = head | {"id": f"e-{number}", "type": kind, "data": {"identityMap": of}}
            writer.write(settings.topics.profile_events, profile.encode(), orjson.dumps(event), name=profile)


def is_applied(job: WholeJob) -> bool:
    return job.lags()[job.installation.topics.profile_events] == 0


def rejections(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "members.csv.rejected.csv").open() as file:
        return [(row["line"], row["reason"], row["explanation"]) for row in csv.DictReader(file)]


def test_m6_members_are_named_by_identity_and_leave_as_those_of_profile_ids_do(job: WholeJob, tmp_path: Path) -> None:
    """The profile of an identity is in any partition; a worker need not run, once it has applied all events."""
    people = {
        f"p-{number}": {
            "Email": [{"id": f"{number}@example.com"}],
            "ECID": [{"id": "shared" if number < 2 else f"e-{number}"}],
        }
        for number in range(8)
    }
    with job.worker():
        send_identities(job, people)
        first = imported(
            job, tmp_path, "namespace,id\n" + "".join(f"Email,{number}@example.com\n" for number in range(4))
        )
        wait_until(lambda: set(exports(job)) == {"p-0", "p-1", "p-2", "p-3"}, "the first import", SECONDS)
        send_identities(job, {"p-3": {"Email": [{"id": "moved@example.com"}]}, "p-7": None})
        wait_until(lambda: is_applied(job), "all applied", SECONDS)
    text = (
        "Id;x;Namespace;profileId\n2@example.com;;Email;\nmoved@example.com;;Email;\nother;;Email;p-5\nshared;;ECID;\n"
    )
    text += "4@example.com;;email;\n3@example.com;;Email;\ne-7;;ECID;\ne-2;;ECID;\n"
    refused = job.installation.command("audiences", "import", str(written(tmp_path, text)), "loyalty")
    planned = imported(job, tmp_path, text, "--exits", "--dry-run")
    events = len(list(read_topic(job.installation.settings, job.installation.topics.profile_events)))
    second = imported(job, tmp_path, text, "--exits")
    with job.worker():
        wait_until(
            lambda: sum(map(len, exports(job).values())) == 8,
            "the second import, and p-3 with another identity",
            SECONDS,
        )

    assert (first["entered"], first["rejected"], first["ignored_columns"]) == (4, 0, [])
    assert refused.exit_code == 2
    assert "4 rows are rejected, and whoever is named in them would leave" in refused.stderr
    counts = {"entered": 3, "known": 3, "exited": 2, "duplicates": 1, "rejected": 4, "ignored_columns": ["x"]}
    assert planned.items() >= counts.items()
    assert second.items() >= counts.items()
    assert events == len(people) + 4 + 2, "neither a refused import nor a dry run sends anything"
    other_case = "write the namespace as it is stored, upper and lower case count"
    assert rejections(tmp_path) == [
        ("5", "several_profiles", "2 profiles have the identity shared of the namespace ECID: p-0 and p-1"),
        (
            "6",
            "namespace_case",
            f"no profile has the identity 4@example.com of the namespace email; p-4 has it in Email: {other_case}",
        ),
        ("7", "no_profile", "no profile has the identity 3@example.com of the namespace Email"),
        ("8", "no_profile", "no profile has the identity e-7 of the namespace ECID"),
    ]
    assert {profile: statuses[-1] for profile, statuses in exports(job).items()} == {
        "p-0": "exited",
        "p-1": "exited",
        "p-2": "realized",
        "p-3": "realized",
        "p-5": "realized",
    }


def written(folder: Path, text: str) -> Path:
    file = folder / "members.csv"
    file.write_text(text)
    return file


def test_m6_an_index_that_is_off_is_refused_with_the_remedy_and_built_when_it_is_on_again(
    job: WholeJob, tmp_path: Path
) -> None:
    file = written(tmp_path, "namespace,id\nECID,1\n")
    with job.worker():
        send_identities(job, {"p-1": {"ECID": [{"id": "1"}]}})
        wait_until(lambda: is_applied(job), "all applied", SECONDS)
    with job.worker(identity_index=False):
        send_identities(job, {"p-2": {"ECID": [{"id": "2"}]}})
        wait_until(lambda: is_applied(job), "all applied", SECONDS)
        off = job.installation.command("audiences", "import", str(file), "loyalty")
    job.installation.change(identity_index=True)
    workers_off = job.installation.command("audiences", "import", str(file), "loyalty")
    with job.worker():
        wait_until(lambda: all(says_whole(rows) for rows in rows_of_changelog(job).values()), "an index", SECONDS)
        done = imported(job, tmp_path, "namespace,id\nECID,1\nECID,2\n")

    assert (off.exit_code, workers_off.exit_code) == (2, 1)
    assert "1 rows name a member by an identity, and PROFILE_EXPORTER_IDENTITY_INDEX=false" in off.stderr
    assert (
        "no index of identities; the workers run with PROFILE_EXPORTER_IDENTITY_INDEX=false there" in workers_off.stderr
    )
    assert (done["entered"], done["rejected"]) == (2, 0)
    for rows in rows_of_changelog(job).values():
        require_whole_index(rows)


def _described(folder: Path) -> Path:
    file = folder / "audiences.yaml"
    file.write_text("audiences: [{namespace: CustomerAudienceUpload, id: loyalty}]")
    return file


def refusal_without_waiting(settings: Settings, file: Path, *, exits: bool) -> CommandError:
    state = partial(read_state, settings)
    request = ImportRequest("loyalty", exits=exits)
    with pytest.raises(CommandError) as refused:
        import_audience(settings, partial(change, settings), state, file, request, None, lambda *_: None, 0.0)
    return refused.value


def test_who_leaves_is_not_guessed_while_workers_are_behind(job: WholeJob, tmp_path: Path) -> None:
    settings = job.installation.settings
    with Writer(settings) as writer:
        writer.write(settings.topics.profile_events, b"p", b"{}", name="an event")
    file = tmp_path / "members.csv"
    file.write_text("profileId\na\n")

    refused = refusal_without_waiting(settings, file, exits=True)
    empty = tmp_path / "empty.csv"
    empty.write_text("profileId\n,\n\n")
    nobody = job.installation.command("audiences", "import", str(empty), "loyalty")

    file.write_text("profileId,x\na,1\nNULL\n")
    settled = job.installation.command("audiences", "apply", str(_described(tmp_path)))
    half = job.installation.command("audiences", "import", str(file), "loyalty")
    file.write_text("namespace,id\nECID,1\n")
    whose = refusal_without_waiting(settings, file, exits=False)

    assert settled.exit_code == 0, settled.output
    assert half.exit_code == 2
    assert "1 rows are rejected, and whoever is named in them would leave" in half.stderr
    assert (refused.exit_code, nobody.exit_code) == (1, 2)
    assert "the workers have not applied 1 events" in str(refused)
    assert whose.exit_code == 1
    assert "the workers have not applied 1 events: whose the identities are is not known" in str(whose)
    assert "nobody leaves the audience" in nobody.stderr
    assert len(list(read_topic(settings, settings.topics.profile_events))) == 1
