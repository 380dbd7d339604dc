"""`profile-exporter check`: the settings in force, and whether everything that a worker needs is in place."""

from itertools import chain

import click

from processor.cli.checks import check_hot_path, check_kafka, check_names
from processor.cli.views.check_report import count_not_in_place, print_findings
from processor.cli.views.tables import Table, print_table
from processor.foundation.env_file import ENVIRONMENT
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings, read_settings, shown
from processor.foundation.settings_environment import env_name, origin_of
from processor.worker.hot_path import FORM


@click.command()
def check() -> None:
    """Show the settings, and check broker, topics, flows and the flows' destinations.

    Of each destination it asks what `flows check` asks, and writes nothing. Each line is ok, warning or FAILED, with
    what to do. Exit codes: 0 everything is in place, 1 something FAILED, 2 the settings are wrong.
    """
    settings = read_settings()
    print_table(_settings(settings))
    failed = print_findings(chain(check_hot_path(FORM), check_names(ENVIRONMENT), check_kafka(settings, ENVIRONMENT)))
    if failed:
        raise CommandError(count_not_in_place(failed))


def _settings(settings: Settings) -> Table:
    """Return the settings in force, with secrets masked."""
    rows = [
        [env_name(name), shown(settings, name), origin_of(name, ENVIRONMENT), field.description or ""]
        for name, field in Settings.model_fields.items()
    ]
    return Table("settings", ["variable", "value", "from", "what it is"], rows)
