"""`profile-exporter backfill` and `resend`: order, watch and cancel jobs (contract E1, E4)."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import click
import orjson
from pydantic import ValidationError

from processor.catalog.state import ControlState, Topic
from processor.cli.audiences import parse_audience_name
from processor.cli.control_plane import change, require_job_topics
from processor.cli.views.job_views import describe_job, job_details, jobs_table
from processor.cli.views.job_watch import watch_jobs
from processor.cli.views.tables import print_table
from processor.control.job_orders import JobOrder, NoSuchJob, OrderedAudience, cancel_job, order_job
from processor.control.job_progress import JobProgressFollower, read_job_progress
from processor.control.job_status import FlowCondition, JobStatus, find_flow_condition, list_job_statuses
from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings, read_settings
from processor.kafka.follower import TopicFollower
from schemas.job import JobKind, JobState
from schemas.model import list_faults
from schemas.times import format_time

NOT_SUCCEEDED: Final = 1
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line, one a job. [default: lines for people]"
)
_WAIT = click.option(
    "--wait", "--watch", "wait", is_flag=True, help="Show how far it is until it ends. [default: return at once]"
)


_AUDIENCES = click.option(
    "--audience",
    "audiences",
    multiple=True,
    metavar="NAMESPACE/ID",
    help="A mapped audience; may be repeated. [default: all mapped]",
)
_RECORDS_PER_SECOND = click.option(
    "--records-per-second",
    type=click.IntRange(1),
    default=None,
    help="At most so many, over all partitions. [default: the setting]",
)
_FORCE = click.option(
    "--force", is_flag=True, help="Also where there was one within 24 hours, or one is open. [default: refuse]"
)


class JobsReader:
    """A reader of all jobs, which are looked at again and again."""

    def __init__(self, settings: Settings) -> None:
        require_job_topics(settings)
        self._flows = TopicFollower(settings, settings.topics.flows)
        self._progress = JobProgressFollower(settings, age_seconds=0.0)
        self._state = ControlState()
        self._warned: set[str] = set()

    def close(self) -> None:
        """Close the connections to the broker."""
        self._flows.close()
        self._progress.close()

    def __call__(self) -> list[JobStatus]:
        """Return all jobs, the newest first; warn once of what cannot be read. Raises BrokerUnreachable, ReadFailed."""
        if self._flows.is_new:
            self._state = ControlState()
        records = self._flows.read_on()
        self._state = self._state.after((Topic.FLOWS, record) for record in records)
        progress = self._progress.progress()
        for text in (*self._state.unreadable.values(), *progress.unreadable):
            if text not in self._warned:
                self._warned.add(text)
                click.echo(f"warning: {text}", err=True)
        return list_job_statuses(self._state, progress, format_time(int(datetime.now(UTC).timestamp())))

    def is_disabled(self, flow_id: str) -> bool:
        """Return whether a flow was disabled at the last look."""
        return find_flow_condition(self._state, flow_id) is FlowCondition.DISABLED


def job_commands(kind: JobKind, help_text: str) -> click.Group:
    """Return the group of commands for one kind that is ordered by hand."""
    group = click.Group(kind.value, help=help_text)
    shown = None if kind is JobKind.BACKFILL else kind
    for command in (_start(kind), _list(shown), _status(shown), _cancel()):
        group.add_command(command)
    return group


def _start(kind: JobKind) -> click.Command:
    @click.command("start")
    @click.argument("flow")
    @_AUDIENCES
    @_RECORDS_PER_SECOND
    @_FORCE
    @_WAIT
    @_JSON
    def start(flow: str, audiences: tuple[str, ...], wait: bool, as_json: bool, **chosen: Any) -> None:
        """Send every profile that is realized in mapped audiences of FLOW, one record each, as it stands now.

        Once a day for each flow and audience, whichever of backfill and resend, unless forced. Where FLOW is disabled
        the job waits until it is enabled. Profiles that FLOW sends by itself meanwhile are skipped. Ctrl-C ends
        waiting, not the job. Exit codes: 0 it is ordered (with --wait: it succeeded), 1 it is refused, or did not
        succeed, 2 no such flow or audience.
        """
        settings = read_settings()
        require_job_topics(settings)
        order = _order(kind, flow, audiences, **chosen)
        progress = read_job_progress(settings)
        job = change(settings, lambda draft: order_job(draft, order, progress, force="--force"))
        click.echo(describe_job(job), err=as_json)
        if wait or as_json:
            _print_and_exit(settings, job.id, wait=wait, as_json=as_json)

    return start


def _list(kind: JobKind | None) -> click.Command:
    @click.command("list", help=f"Show {_which(kind)}, the newest first. Ended ones are forgotten after 30 days.")
    @_JSON
    def list_jobs(as_json: bool) -> None:
        with closing(JobsReader(read_settings())) as look:
            _print_all(_of_kind(look(), kind), as_json=as_json)

    return list_jobs


def _status(kind: JobKind | None) -> click.Command:
    text = f"""Show JOB whole; {_which(kind)}, the newest first, where none is named.

    With --wait, a bar on a terminal and lines elsewhere, until JOB ends; where none is named, until all end that do not
    wait for a disabled flow. Exit codes: 0 all is shown (with --wait: all succeeded), 1 with --wait: one did not, 2
    there is no such job.
    """

    @click.command("status", help=text)
    @click.argument("job", required=False)
    @_WAIT
    @_JSON
    def status(job: str | None, wait: bool, as_json: bool) -> None:
        settings = read_settings()
        if job is not None:
            _print_and_exit(settings, job, wait=wait, as_json=as_json)
            return
        with closing(JobsReader(settings)) as look:
            statuses = _of_kind(look(), kind)
            waited = {each.id for each in statuses if each.is_open and not look.is_disabled(each.flow)}
            ended = watch_jobs(look, waited) if wait and waited else []
            _print_all(_of_kind(look(), kind) if ended else statuses, as_json=as_json)
        _exit(ended)

    return status


def _cancel() -> click.Command:
    @click.command("cancel")
    @click.argument("job")
    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: a line for people]")
    def cancel(job: str, as_json: bool) -> None:
        """Cancel JOB, of whichever kind: what is decided already still leaves.

        Of a cancelled catchup nothing is caught up.
        """
        settings = read_settings()
        require_job_topics(settings)
        progress = read_job_progress(settings)
        cancelled = change(settings, lambda draft: cancel_job(draft, job, progress))
        if as_json:
            _print_and_exit(settings, job, wait=False, as_json=True)
        else:
            click.echo(describe_job(cancelled))

    return cancel


def _order(kind: JobKind, flow: str, audiences: tuple[str, ...], **chosen: Any) -> JobOrder:
    keys = [parse_audience_name(name) for name in audiences]
    try:
        named = tuple(OrderedAudience(namespace=namespace, id=audience) for namespace, audience in keys)
        return JobOrder(kind=kind, flow=flow, audiences=named, **chosen)
    except ValidationError as error:
        raise UsageError("; ".join(list_faults(error, whole="the order"))) from None


def _print_and_exit(settings: Settings, job_id: str, *, wait: bool, as_json: bool) -> None:
    with closing(JobsReader(settings)) as look:
        found = _chosen(look(), job_id)
        ended = watch_jobs(look, {job_id}) if wait else []
    (status,) = ended or [found]
    click.echo(orjson.dumps(status.as_object()) if as_json else "\n".join(job_details(status)))
    _exit(ended)


def _print_all(statuses: list[JobStatus], *, as_json: bool) -> None:
    if not as_json:
        print_table(jobs_table(statuses))
    for status in statuses if as_json else []:
        click.echo(orjson.dumps(status.as_object()))


def _exit(ended: list[JobStatus]) -> None:
    if any(status.state is not JobState.SUCCEEDED for status in ended):
        raise SystemExit(NOT_SUCCEEDED)


def _chosen(statuses: list[JobStatus], job_id: str) -> JobStatus:
    found = next((status for status in statuses if status.id == job_id), None)
    if found is None:
        raise NoSuchJob(job_id, [status.id for status in statuses])
    return found


def _of_kind(statuses: list[JobStatus], kind: JobKind | None) -> list[JobStatus]:
    return [status for status in statuses if kind in (None, status.kind)]


def _which(kind: JobKind | None) -> str:
    return "all jobs of all kinds" if kind is None else f"all jobs of the kind {kind}"


backfill = job_commands(
    JobKind.BACKFILL,
    """Look at all jobs, order a backfill, cancel a job.

    A backfill begins by itself when an audience is mapped, a catchup when a flow is enabled again. Ordered by hand it
    is the same: every profile that is realized in an audience, one record each.
    """,
)
resend = job_commands(
    JobKind.RESEND,
    """Send once more what has arrived before: every profile that is realized in an audience, one record each.

    As a backfill, with other record ids and causes: `resend` in the place of `backfill`.
    """,
)
