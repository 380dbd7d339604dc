"""Show on stderr how far long work is: a bar on a terminal, a plain line now and then otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 5.0
BAR_SECONDS: Final = 0.1

Report = Callable[[int, int], None]
"""(things done, bytes read): both since the beginning."""


@contextmanager
def progress(
    title: str, total_bytes: int | None, *, line_seconds: float = LINE_SECONDS, bar_seconds: float = BAR_SECONDS
) -> Iterator[Report]:
    """Yield what to call with each step; `total_bytes` is None where the end is not known, as on a pipe.

    It is shown every `bar_seconds` on a terminal, every `line_seconds` elsewhere.
    """
    on_terminal = sys.stderr.isatty()
    with _bar(title, total_bytes, bar_seconds) if on_terminal else _lines(title, line_seconds) as report:
        yield report


@contextmanager
def _bar(title: str, total_bytes: int | None, seconds: float) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total_bytes)
        yield _now_and_then(
            seconds, lambda done, read: bar.update(task, completed=read, description=f"{title} {done:,}")
        )


@contextmanager
def _lines(title: str, seconds: float) -> Iterator[Report]:
    yield _now_and_then(seconds, lambda done, read: click.echo(f"{title} {done} ({read} bytes read)", err=True))


def _now_and_then(seconds: float, show: Report) -> Report:
    last = time.monotonic()

    def report(done: int, read: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            show(done, read)

    return report
