"""The commands. One file a command; errors become one clear text on stderr and the exit code of the error."""

import sys

import click

from processor.cli.replay import replay
from processor.errors import CommandError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-exporter")
def commands() -> None:
    """Profile events on Kafka become incremental export records in Amazon Kinesis."""


commands.add_command(replay)


def main() -> None:
    """The console script `profile-exporter`."""
    try:
        commands()
    except CommandError as error:
        click.echo(f"profile-exporter: {error}", err=True)
        sys.exit(error.exit_code)
