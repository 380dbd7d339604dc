"""Watch jobs on stderr until they end: a bar each on a terminal, a plain line now and then otherwise."""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from processor.cli.views.job_views import describe_progress
from processor.cli.views.progress import LINE_SECONDS
from processor.control.job_status import JobStatus
from processor.kafka.errors import BrokerUnreachable, ReadFailed

LOOK_SECONDS: Final = 1.0

Look = Callable[[], Sequence[JobStatus]]
"""Returns all jobs as they are now."""

Show = Callable[[Sequence[JobStatus]], None]


def watch_jobs(
    look: Look, job_ids: Collection[str], pause: Callable[[], None] = lambda: time.sleep(LOOK_SECONDS)
) -> list[JobStatus]:
    """Show these jobs until all have ended, and return how. A job that is forgotten meanwhile has ended.

    A broker that does not answer for a while is waited for, once it has answered: the jobs go on. Raises what the first
    look does.
    """

    def looked() -> list[JobStatus]:
        return [status for status in look() if status.id in job_ids]

    with _shown() as show:
        found, is_away = looked(), False
        show(found)
        while any(status.is_open for status in found):
            pause()
            try:
                found, is_away = looked(), False
                show(found)
            except (BrokerUnreachable, ReadFailed) as error:
                if not is_away:
                    click.echo(
                        f"warning: {str(error).partition(chr(10))[0]}; the jobs go on, and so does waiting", err=True
                    )
                is_away = True
    return found


@contextmanager
def _shown() -> Iterator[Show]:
    with _bars() if sys.stderr.isatty() else _lines() as show:
        yield show


@contextmanager
def _bars() -> Iterator[Show]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(statuses: Sequence[JobStatus]) -> None:
            for status in statuses:
                if status.id not in tasks:
                    tasks[status.id] = bars.add_task("", total=None)
                seen, to_go = status.counts.seen, status.counts.to_go
                bars.update(
                    tasks[status.id],
                    completed=seen,
                    total=None if to_go is None else seen + to_go,
                    description=describe_progress(status),
                )

        yield show


@contextmanager
def _lines() -> Iterator[Show]:
    """Show a line where the state changed, or the reason why a job waits; otherwise now and then."""
    shown: dict[str, tuple[object, float]] = {}

    def show(statuses: Sequence[JobStatus]) -> None:
        now = time.monotonic()
        for status in statuses:
            stands = status.state, status.reason
            before, shown_at = shown.get(status.id, (None, now))
            if stands != before or now - shown_at >= LINE_SECONDS:
                shown[status.id] = stands, now
                click.echo(describe_progress(status), err=True)

    yield show
