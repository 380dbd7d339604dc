"""`profile-exporter check`: the settings in force, and whether everything that a worker needs is in place."""

import os
from itertools import chain

import click

from processor.cli.findings import check_kafka, check_names
from processor.cli.tables import Table, show
from processor.cli.tell import not_in_place, tell
from processor.errors import CommandError
from processor.settings import Settings, env_name, read_settings, shown


@click.command()
def check() -> None:
    """Show the settings, and check broker, topics, flows and the flows' destinations.

    Of each destination it asks what `flows check` asks, and writes nothing. Each line is ok, warning or FAILED, with what to
    do. Exit codes: 0 everything is in place, 1 something FAILED, 2 the settings are wrong.
    """
    settings = read_settings()
    show(_settings(settings))
    failed = tell(chain(check_names(os.environ), check_kafka(settings, os.environ)))
    if failed:
        raise CommandError(not_in_place(failed))


def _settings(settings: Settings) -> Table:
    """Secrets are masked."""
    rows = [
        [env_name(name), shown(settings, name), "set" if name in settings.model_fields_set else "default", field.description or ""]
        for name, field in Settings.model_fields.items()
    ]
    return Table("settings", ["variable", "value", "from", "what it is"], rows)
