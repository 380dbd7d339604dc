"""`profile-exporter check`: the settings in force, and whether everything that a worker needs is in place."""

import os
import sys
from collections.abc import Iterable
from itertools import chain

import click

from processor.cli.findings import Finding, Level, check_kafka, check_names
from processor.cli.tables import Table, show
from processor.errors import CommandError
from processor.settings import Settings, env_name, read_settings, shown

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


@click.command()
def check() -> None:
    """Show the settings, and check broker, topics, flows and the flows' destinations.

    Of a destination it asks which streams there are (kinesis:ListStreams) and writes nothing. Each line is ok, warning or
    FAILED, with what to do. Exit codes: 0 everything is in place, 1 something FAILED, 2 the settings are wrong.
    """
    settings = read_settings()
    show(_settings(settings))
    failed = _report(chain(check_names(os.environ), check_kafka(settings, os.environ)))
    if failed:
        raise CommandError(f"{failed} thing{'s are' if failed > 1 else ' is'} not in place, see above")


def _settings(settings: Settings) -> Table:
    """Secrets are masked."""
    rows = [
        [env_name(name), shown(settings, name), "set" if name in settings.model_fields_set else "default", field.description or ""]
        for name, field in Settings.model_fields.items()
    ]
    return Table("settings", ["variable", "value", "from", "what it is"], rows)


def _report(findings: Iterable[Finding]) -> int:
    """Tell each finding as it comes; how many FAILED."""
    failed = 0
    for level, text, remedy in findings:
        failed += level is Level.FAILED
        mark = f"{level:8}"
        click.echo(f"{click.style(mark, fg=_COLOURS[level]) if sys.stdout.isatty() else mark}{text}")
        if remedy:
            click.echo(f"{'':8}  → {remedy}")
    return failed
