"""`profile-exporter backfill` and `resend`, and the jobs that changes of flows set going; workers are played by the
tests.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result

from processor.cli.control_plane import read_state
from processor.cli.jobs import JobsReader
from processor.cli.views import job_watch
from processor.control.job_status import JobStatus
from processor.kafka.admin import Admin
from processor.kafka.errors import BrokerUnreachable
from processor.kafka.topics import topic_specs
from processor.kafka.writer import Writer
from schemas.job import Job, JobProgress, JobState, PartitionState
from tests.cli.test_flow_commands import FILE, written
from tests.kit.installation import Installation

DONE, RUNNING = PartitionState.DONE, PartitionState.RUNNING


def lines(result: Result, exit_code: int = 0) -> list[str]:
    assert result.exit_code == exit_code, result.output
    return result.stdout.splitlines()


def objects(result: Result, exit_code: int = 0) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines(result, exit_code)]


def jobs(installation: Installation) -> list[Job]:
    return sorted(read_state(installation.settings).jobs.values(), key=lambda job: (job.created_at, job.kind))


def work(installation: Installation, job: Job, state: PartitionState = DONE, **fields: Any) -> None:
    """What a worker says of each partition."""
    with Writer(installation.settings) as writer:
        for partition in range(installation.settings.partitions):
            times = {"begun_at": job.created_at, "updated_at": job.created_at}
            progress = JobProgress(
                job=job.id, flow=job.flow, kind=job.kind, partition=partition, start=0, state=state, **times | fields
            )
            key = orjson.dumps([job.id, partition])
            writer.write(
                installation.topics.job_progress, key, progress.model_dump_json(by_alias=True).encode(), name=job.id
            )


def with_a_backfill(installation: Installation, tmp_path: Path) -> Installation:
    file = written(tmp_path, FILE.replace("state: disabled", "state: enabled"))
    assert installation.command("apply", "--no-check", str(file)).exit_code == 0
    return installation


@pytest.fixture
def enabled(prepared: Installation, tmp_path: Path) -> Installation:
    """Flow `vip` maps ups/gold; no worker has begun its backfill."""
    return with_a_backfill(prepared, tmp_path)


@pytest.fixture
def done(enabled: Installation) -> Installation:
    """Its backfill is."""
    work(enabled, jobs(enabled)[0], seen=25, exported=10, skipped={"not_a_member": 15})
    return enabled


def test_apply_and_flows_tell_the_jobs_that_they_set_going(prepared: Installation, tmp_path: Path) -> None:
    applied = lines(prepared.command("apply", "--no-check", str(written(tmp_path, FILE))))
    (backfill,) = jobs(prepared)
    enabled = lines(prepared.command("flows", "enable", "vip"))
    disabled = lines(prepared.command("flows", "disable", "vip"))
    catchup = next(job for job in jobs(prepared) if job.kind == "catchup")
    again = lines(prepared.command("flows", "enable", "vip"))
    same = lines(prepared.command("flows", "enable", "vip"))
    as_json = objects(prepared.command("flows", "disable", "vip", "--json"))
    deleted = lines(prepared.command("flows", "delete", "vip", "--yes"))

    assert applied[-2] == f"backfill {backfill.id} of flow vip waits until the flow is enabled: ups/gold"
    assert enabled == ["flow vip is enabled", f"backfill {backfill.id} of flow vip starts: ups/gold"]
    assert disabled == ["flow vip is disabled", f"catchup {catchup.id} of flow vip begins to note what the flow misses"]
    assert again == ["flow vip is enabled", f"catchup {catchup.id} of flow vip starts: what the flow missed"]
    assert same == ["flow vip is enabled already"]
    assert len(as_json) == 1
    assert deleted == ["remove flow vip"]


def test_e4_a_resend_is_ordered_once_a_day_unless_forced(done: Installation) -> None:
    first = lines(done.command("resend", "start", "vip", "--audience", "ups/gold", "--records-per-second", "50"))
    (resend,) = (job for job in jobs(done) if job.kind == "resend")
    work(done, resend)
    second = done.command("resend", "start", "vip")
    forced = done.command("resend", "start", "vip", "--force")

    assert first == [f"resend {resend.id} of flow vip starts: ups/gold"]
    assert resend.records_per_second == 50
    assert resend.requested_by
    assert second.exit_code == 1
    assert (
        f"flow vip had a resend of audience ups/gold at {resend.started_at} ({resend.id}): once a day is allowed"
        in second.stderr
    )
    assert "--force orders it all the same" in second.stderr
    assert forced.exit_code == 0


REFUSALS = [
    ("backfill start vpi", 2, "there is no flow vpi; did you mean vip?"),
    ("backfill start vip --audience ups/gld", 2, "does not map the audience ups/gld; did you mean ups/gold?"),
    ("backfill start vip --audience gold", 2, "NAMESPACE/ID"),
    (f"resend start vip --audience ups/{'x' * 600}", 2, "at most 512 characters"),
    ("resend start vip --records-per-second 0", 2, "0 is not in the range"),
    ("backfill start vip", 1, "a backfill of audience ups/gold is open for flow vip"),
    ("backfill status nothing", 2, "there is no job nothing: ended ones are forgotten after 30 days"),
    ("resend cancel nothing", 2, "there is no job nothing"),
]


def test_what_cannot_be_done_is_told_with_the_remedy(enabled: Installation) -> None:
    for arguments, exit_code, text in REFUSALS:
        result = enabled.command(*arguments.split())

        assert (result.exit_code, result.stdout) == (exit_code, ""), arguments
        assert text in result.stderr
    assert len(jobs(enabled)) == 1


def test_all_jobs_are_listed_the_newest_first_and_one_is_shown_whole(done: Installation) -> None:
    (backfill,) = jobs(done)
    resend = objects(done.command("resend", "start", "vip", "--json"))[0]

    table = lines(done.command("backfill", "list"))
    listed = objects(done.command("backfill", "status", "--json"))
    resends = objects(done.command("resend", "list", "--json"))
    shown = lines(done.command("resend", "status", backfill.id))

    assert table[1].split()[:5] == ["job", "kind", "flow", "audiences", "state"]
    assert {row.split()[0] for row in table[2:]} == {resend["id"], backfill.id}
    assert {each["id"]: each["state"] for each in listed} == {resend["id"]: "queued", backfill.id: "succeeded"}
    assert [each["id"] for each in resends] == [resend["id"]]
    assert resend["reason"] == "no worker has begun it"
    partitions = done.settings.partitions
    assert f"job         backfill {backfill.id}" in shown
    assert f"profiles    {25 * partitions:,} seen, {10 * partitions:,} exported, 0 to go" in shown
    assert f"skipped     {15 * partitions:,} not_a_member" in shown
    assert f"ordered     {backfill.created_at}, by a change of the flow" in shown


def test_a_job_is_cancelled_once_whichever_command_is_used(enabled: Installation) -> None:
    (backfill,) = jobs(enabled)

    cancelled = lines(enabled.command("resend", "cancel", backfill.id))
    again = enabled.command("backfill", "cancel", backfill.id)
    waited = enabled.command("backfill", "status", backfill.id, "--wait", "--json")

    assert cancelled == [f"backfill {backfill.id} of flow vip is cancelled: ups/gold"]
    assert again.exit_code == 1
    assert "has ended" in again.stderr
    assert objects(waited, exit_code=1)[0]["state"] == "cancelled"


def when_looked_at(monkeypatch: pytest.MonkeyPatch, *happen: Callable[[], object]) -> None:
    """In the pauses between two looks, one after the other."""
    left = list(happen)
    monkeypatch.setattr(job_watch.time, "sleep", lambda _: left.pop(0)() if left else None)


def test_waiting_shows_how_far_it_is_and_ends_with_the_job(
    ready: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = with_a_backfill(ready, tmp_path)
    (backfill,) = jobs(enabled)
    when_looked_at(
        monkeypatch,
        lambda: work(enabled, backfill, RUNNING, total=9, seen=4, exported=3),
        lambda: work(enabled, backfill, RUNNING, total=9, seen=4, waiting="the destination is paused: clock"),
        lambda: work(enabled, backfill, seen=9, exported=7),
    )

    result = enabled.command("backfill", "status", "--wait", "--json")

    (status,) = objects(result)
    partitions = enabled.settings.partitions
    assert (status["state"], status["counts"]["exported"]) == ("succeeded", 7 * partitions)
    told = [line.removeprefix(f"backfill {backfill.id} of flow vip: ") for line in result.stderr.splitlines()]
    assert told[0] == "queued, 0 profiles seen, 0 exported, ? to go; waits: no worker has begun it"
    assert told[1] == f"running, {4 * partitions} profiles seen, {3 * partitions} exported, {5 * partitions} to go"
    assert told[2].endswith("; waits: the destination is paused: clock")
    assert told[3] == f"succeeded, {9 * partitions} profiles seen, {7 * partitions} exported, 0 to go"


def test_an_order_that_is_waited_for_ends_with_1_where_it_is_cancelled(
    done: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel() -> None:
        (job,) = (job for job in jobs(done) if job.kind == "resend")
        assert done.command("backfill", "cancel", job.id).exit_code == 0

    when_looked_at(monkeypatch, cancel)

    result = done.command("resend", "start", "vip", "--wait")

    assert result.exit_code == 1
    assert "state       cancelled" in result.stdout


def test_where_no_job_is_named_those_of_disabled_flows_are_not_waited_for(
    prepared: Installation, tmp_path: Path
) -> None:
    prepared.command("apply", "--no-check", str(written(tmp_path, FILE)))

    result = prepared.command("backfill", "status", "--wait")

    assert result.exit_code == 0
    assert "flow vip is disabled: it starts when the flow is enabled" in result.stdout


def test_a_job_that_had_begun_when_its_flow_was_disabled_is_not_waited_for_either(enabled: Installation) -> None:
    work(enabled, jobs(enabled)[0], RUNNING, total=9, seen=4)
    enabled.command("flows", "disable", "vip")

    result = enabled.command("backfill", "status", "--wait")

    assert result.exit_code == 0
    assert "flow vip is disabled: it goes on when the flow is enabled" in result.stdout


def test_on_a_terminal_there_is_a_bar(
    done: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    (backfill,) = jobs(done)

    with closing(JobsReader(done.settings)) as look:
        (ended,) = job_watch.watch_jobs(look, {backfill.id})

    assert ended.state is JobState.SUCCEEDED
    assert capsys.readouterr().out == ""


def test_a_broker_that_is_away_for_a_while_ends_no_waiting(
    done: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job goes on; exit code 1 would say that it did not succeed."""
    (backfill,) = jobs(done)
    away, looked = BrokerUnreachable(done.settings, "timed out"), []

    with closing(JobsReader(done.settings)) as look:

        def now_and_then() -> list[JobStatus]:
            looked.append(1)
            if len(looked) in (2, 3):
                raise away
            found = look()
            return (
                found
                if len(looked) > 1
                else [status.model_copy(update={"state": JobState.RUNNING}) for status in found]
            )

        (ended,) = job_watch.watch_jobs(now_and_then, {backfill.id}, pause=lambda: None)
        with pytest.raises(BrokerUnreachable):
            job_watch.watch_jobs(lambda: (_ for _ in ()).throw(away), {backfill.id})

    assert ended.state is JobState.SUCCEEDED
    assert len(looked) == 4
    assert capsys.readouterr().err.count("warning: no answer from a Kafka broker") == 1


def test_progress_that_cannot_be_read_is_warned_of(done: Installation) -> None:
    with Writer(done.settings) as writer:
        writer.write(done.topics.job_progress, b'["j1",0]', b"nothing", name="bad")

    result = done.command("backfill", "list")

    assert result.exit_code == 0
    assert 'warning: job-progress ["j1",0]: ' in result.stderr


def test_an_installation_of_before_is_told_to_create_the_topic(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = installation.settings
    Admin(settings).create_missing(
        [spec for spec in topic_specs(settings) if spec.name != settings.topics.job_progress]
    )

    for arguments in (("backfill", "list"), ("resend", "start", "vip"), ("backfill", "cancel", "j1")):
        result = installation.command(*arguments)
        assert result.exit_code == 2
        assert f"missing on the broker: {settings.topics.job_progress}\n  run `profile-exporter init`" in result.stderr
