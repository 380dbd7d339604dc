"""Commands that are imported when they run, so that `--help` answers at once."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from processor.foundation.errors import CommandError


class Lazy(NamedTuple):
    """A command: its location (`module:attribute`), and its line in the list of commands."""

    location: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are named before they are imported; a CommandError ends it with its text and exit code."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """List the commands in the order of first use, not of the alphabet."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the signature is click's
        """Import and return a command; None where no command has that name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].location.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the signature is click's
        """Write the list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a CommandError is one clear text on stderr."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            click.echo(f"profile-exporter: {error}", err=True)
            ctx.exit(error.exit_code)
